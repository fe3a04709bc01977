"""Photos to measure with: real ones where REAL_DATA has them, made ones elsewhere; every copy with content of its own."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

REAL = "animal-families"


def sources() -> list[bytes]:
    """Return the JPEG files to copy."""
    folder = Path(os.environ.get("REAL_DATA", "../shared/data")) / REAL
    found = [path.read_bytes() for path in sorted(folder.glob("*/*.jpg"))[:3000]]
    return found or [made_photo(seed) for seed in range(300)]


def made_photo(seed: int) -> bytes:
    """Return a JPEG of a made photo: blurred noise, 224 x 168, about as large as a real one."""
    noise = np.random.default_rng(seed).integers(0, 256, (42, 56, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", cv2.resize(noise, (224, 168), interpolation=cv2.INTER_CUBIC))[1].tobytes()


def write_photos(folder: Path, n: int) -> list[str]:
    """Write n photos of different content and return their names; bytes behind a JPEG's end marker change no pixel."""
    originals = sources()
    names = []
    for i in range(n):
        names.append(f"{i:06d}.jpg")
        (folder / names[-1]).write_bytes(originals[i % len(originals)] + i.to_bytes(4, "big"))
    return names
