"""File kinds of the drawn sample: the same picture as the bytes of a JPEG, PNG or GIF of one of the modes that occur."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from PIL import Image

Encoder = Callable[[np.ndarray, np.ndarray, np.random.Generator], bytes]

_ORIENTATION = 0x0112  # EXIF tag
_TURNED = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def jpeg(pixels: np.ndarray, quality: int) -> bytes:
    """Return (H, W, 3) uint8 RGB as the bytes of a JPEG."""
    data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return bytes(data)


def _rgb_jpeg(pixels: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> bytes:
    del alpha
    return jpeg(pixels, int(rng.integers(72, 96)))


def _rgb_png(pixels: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> bytes:
    del alpha, rng
    return bytes(cv2.imencode(".png", pixels[..., ::-1])[1])


def _grey_jpeg(pixels: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> bytes:
    del alpha
    return _saved(Image.fromarray(pixels).convert("L"), "JPEG", quality=int(rng.integers(72, 96)))


def _palette_png(pixels: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> bytes:
    del alpha, rng
    return _saved(Image.fromarray(pixels).quantize(64), "PNG")


def _alpha_png(pixels: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> bytes:
    del rng  # the background stays in the colours below the transparency: who ignores it sees another picture
    return _saved(Image.fromarray(np.dstack([pixels, alpha])), "PNG")


def _deep_png(pixels: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> bytes:
    del alpha
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.uint16) * 256
    return _saved(Image.fromarray(grey + rng.integers(0, 256, grey.shape, dtype=np.uint16)), "PNG")


def _cmyk_jpeg(pixels: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> bytes:
    del alpha
    return _saved(Image.fromarray(pixels).convert("CMYK"), "JPEG", quality=int(rng.integers(80, 96)))


def _turned_jpeg(pixels: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> bytes:
    del alpha
    orientation = (3, 6, 8)[rng.integers(3)]
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    return _saved(Image.fromarray(pixels).transpose(_TURNED[orientation]), "JPEG", quality=90, exif=exif)


def _animated_gif(pixels: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> bytes:
    del alpha
    later = np.roll(pixels, int(rng.integers(3, 9)), axis=1)
    frames = [Image.fromarray(frame).quantize(128) for frame in (pixels, later)]
    return _saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=200, loop=0)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


ENCODERS: Mapping[str, tuple[str, Encoder]] = {
    "rgb": ("jpg", _rgb_jpeg),
    "rgb png": ("png", _rgb_png),
    "grey": ("jpg", _grey_jpeg),
    "palette": ("png", _palette_png),
    "alpha": ("png", _alpha_png),
    "16 bit": ("png", _deep_png),
    "cmyk": ("jpg", _cmyk_jpeg),
    "turned": ("jpg", _turned_jpeg),
    "animated": ("gif", _animated_gif),
}
