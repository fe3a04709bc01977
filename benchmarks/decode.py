"""Decoding and caching, hashing included, against a bare OpenCV loop on as many processes."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.figure import Figure
from benchmarks.photos import write_photos
from comp.engine import ignore_events, n_cores
from comp.engines.local import LocalEngine
from comp.images import PixelSpec, cache_images
from comp.twins import THUMBNAIL

N_PHOTOS = 12_000
ROUNDS = 3
SIDE = 128


def bare_loop(job: tuple[str, list[str], str]) -> int:
    """Do what a person would write first: read, resize, put into an array on disk."""
    folder, names, out = job
    cv2.setNumThreads(0)
    photos = np.lib.format.open_memmap(out, "w+", np.uint8, (len(names), SIDE, SIDE, 3))
    for i, name in enumerate(names):
        photo = np.asarray(cv2.imread(f"{folder}/{name}", cv2.IMREAD_COLOR))
        photos[i] = cv2.resize(cv2.cvtColor(photo, cv2.COLOR_BGR2RGB), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    photos.flush()
    return len(names)


def time_bare(folder: Path, names: list[str], out: Path) -> float:
    """Return the seconds of the bare loop on one process a core, their start included."""
    parts = [(str(folder), names[i :: n_cores()], str(out / f"{i}.npy")) for i in range(n_cores())]
    began = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(len(parts)) as pool:
        assert sum(pool.map(bare_loop, parts)) == len(names)
    return time.monotonic() - began


def time_ours(folder: Path, names: list[str], cache: Path, specs: list[PixelSpec]) -> float:
    """Return the seconds of our cache from cold, on as many processes, their start included."""
    began = time.monotonic()
    cache_images(folder, names, specs, LocalEngine(n_cores()), ignore_events, cache)
    return time.monotonic() - began


def measure() -> list[Figure]:
    """Return the figures: the medians of rounds that take turns."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "photos").mkdir()
        names = write_photos(root / "photos", N_PHOTOS)
        ratios: dict[str, list[float]] = {"one size": [], "one size and thumbnails": []}
        for turn in range(ROUNDS):
            (root / f"bare{turn}").mkdir()
            bare = time_bare(root / "photos", names, root / f"bare{turn}")
            for kind, specs in zip(ratios, ([PixelSpec(SIDE)], [PixelSpec(SIDE), THUMBNAIL]), strict=True):
                ours = time_ours(root / "photos", names, root / f"cache{turn}{len(specs)}", specs)
                ratios[kind].append(bare / ours)
    how = f"{N_PHOTOS:,} photos to {SIDE} px, {n_cores()} processes, median of {ROUNDS}; bare cv2 loop / ours"
    one, both = (statistics.median(found) for found in ratios.values())
    return [
        Figure("decode and cache", one, "of bare cv2", how, at_least=0.85),
        Figure("the same with twin thumbnails", both, "of bare cv2", how),
    ]
