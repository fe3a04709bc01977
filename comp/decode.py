"""One file's bytes to upright 8-bit pixels: OpenCV for what is common, Pillow for palettes, CMYK, 16 bits and alpha."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from comp.spec import Resize

_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_END_OF_IMAGE = b"\xff\xd9"
_ARRAY = b"\x93NUMPY"  # a row of an array file: see comp.arrays
_CV2_MODES = {"RGB", "L"}
MOST_PIXELS = 200_000_000  # as many as phones and cameras take, 0.6 GB as RGB; a header of more is a corrupt one
WIDEST = 40  # heights: a hair of a file, one pixel high, would fill the memory
_TOO_LARGE = f"a header of more than {MOST_PIXELS // 10**6} megapixels"
_SIXTEEN_BITS = {"I;16", "I;16L", "I;16B", "I;16N", "I"}


@dataclass(frozen=True)
class Photo:
    """A decoded file.

    Attributes:
        pixels: (H, W, 3) uint8, RGB, upright, alpha laid over white.
        mode: How the file stored it, in Pillow's words: RGB, L, P, RGBA, CMYK, I;16 and so on.
        is_cut_short: Whether a JPEG ends before its end marker; what was there is decoded, the rest is grey.
    """

    pixels: np.ndarray
    mode: str
    is_cut_short: bool = False


class Unreadable(Exception):
    """The bytes are no image that OpenCV or Pillow can decode; the message says why, in a few words."""


def decode(data: bytes) -> Photo:
    """Return the photo in a file's bytes, upright and in RGB, the first frame of an animation.

    Raises:
        Unreadable: If it cannot be decoded.
    """
    if not data:
        raise Unreadable("empty file")
    if data.startswith(_ARRAY):
        return _decode_array(data)
    is_cut_short = _is_cut_short(data)
    if is_cut_short:
        data += (
            _END_OF_IMAGE  # OpenCV 5 decodes nothing of a JPEG without its end marker, and all that is there with it
        )
    mode = jpeg_mode(data) if data[:2] == b"\xff\xd8" else pillow_mode(data)
    pixels = _decode_with_cv2(data) if mode in _CV2_MODES else None
    return _decode_with_pillow(data) if pixels is None else Photo(pixels, mode, is_cut_short)


def jpeg_mode(data: bytes) -> str:
    """Return a JPEG's mode from its frame header (ITU-T T.81, B.2.2), 20 times faster than opening it with Pillow.

    Raises:
        Unreadable: If the header tells of more than `MOST_PIXELS`.
    """
    position = 2
    while position + 9 < len(data):
        if data[position] != 0xFF:
            break
        marker = data[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height = int.from_bytes(data[position + 5 : position + 7], "big")
            width = int.from_bytes(data[position + 7 : position + 9], "big")
            if height * width > MOST_PIXELS:
                raise Unreadable(_TOO_LARGE)
            return _JPEG_MODES.get(data[position + 9], "unknown")
        if marker == 0xFF:
            position += 1
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return "unknown"


def pillow_mode(data: bytes) -> str:
    """Return the mode that Pillow reads in a file's header; transparency in a palette or a grey file counts as alpha."""
    with _opened(data) as image:
        return f"{image.mode}+alpha" if "transparency" in image.info else image.mode


@contextmanager
def _opened(data: bytes) -> Iterator[Any]:
    """Open a file with Pillow; whatever is raised inside is Unreadable, Pillow's warning of too many pixels too."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                yield image
    except Exception as error:  # Pillow's plug-ins raise anything on garbage
        raise Unreadable(_reason(error)) from error


def _is_cut_short(data: bytes) -> bool:
    return data[:2] == b"\xff\xd8" and data.rfind(_END_OF_IMAGE, len(data) // 2) < 0


def _decode_array(data: bytes) -> Photo:
    try:
        pixels = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise Unreadable(_reason(error)) from error
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.dtype != np.uint8 or not pixels.size or (pixels.ndim != 2 and pixels.shape[2:] != (3,)):
        raise Unreadable(f"an array {pixels.shape} {pixels.dtype}")
    if pixels.ndim == 2:
        return Photo(np.repeat(pixels[..., None], 3, axis=2), "L")
    return Photo(np.ascontiguousarray(pixels), "RGB")


def _decode_with_cv2(data: bytes) -> np.ndarray | None:
    """Return a photo's pixels, or None where OpenCV cannot decode it."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except (cv2.error, MemoryError):  # it has bounds of its own, on a side for one; Pillow says what is wrong
        return None


def _decode_with_pillow(data: bytes) -> Photo:
    from PIL import ImageOps

    with _opened(data) as image:
        mode = image.mode
        image.seek(0)
        upright = ImageOps.exif_transpose(image)
        return Photo(np.ascontiguousarray(_to_rgb(upright)), mode)


def _to_rgb(image: Any) -> np.ndarray:
    from PIL import Image

    if image.mode in _SIXTEEN_BITS or image.mode == "F":
        return np.repeat(_to_8_bits(np.asarray(image))[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        colour = image.convert("RGBA")
        white = Image.new("RGBA", colour.size, "white")
        image = Image.alpha_composite(white, colour)
    return np.asarray(image.convert("RGB"))


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """Scale 16-bit or float grey to 0..255: by the full range of 16 bits where it is used, else by what is there."""
    values = values.astype(np.float64)
    top = 65535.0 if values.max() > 255 else 255.0 if values.max() > 1 else 1.0
    return np.clip(np.rint(values * (255.0 / top)), 0, 255).astype(np.uint8)


def _reason(error: Exception) -> str:
    if type(error).__name__.startswith("DecompressionBomb"):
        return _TOO_LARGE
    text = (str(error).splitlines() or [""])[0]
    return "not an image" if "cannot identify" in text else f"{type(error).__name__}: {text[:120]}"


def bring_to_size(pixels: np.ndarray, side: int, channels: int, resize: Resize) -> np.ndarray:
    """Return a photo as a square: (side, side, channels) uint8.

    `squash` ignores the aspect, `pad` keeps all of the photo on a border of its mean colour, `crop` keeps the middle.

    Args:
        pixels: (H, W, 3) uint8.
    """
    if channels == 1:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    height, width = pixels.shape[:2]
    if resize == "crop":
        edge = min(height, width)
        top, left = (height - edge) // 2, (width - edge) // 2
        pixels = pixels[top : top + edge, left : left + edge]
    if resize == "pad" and height != width:
        return _pad(pixels, side, channels)
    return _shrink_or_grow(pixels, side, side).reshape(side, side, channels)


def bring_to_height(pixels: np.ndarray, height: int, channels: int) -> np.ndarray:
    """Return a photo at a height, its aspect kept: (height, W, channels) uint8, W at least 1 and at most 40 heights.

    Args:
        pixels: (H, W, 3) uint8.
    """
    if channels == 1:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    width = round(pixels.shape[1] * height / pixels.shape[0])
    width = min(max(1, width), WIDEST * height)
    return _shrink_or_grow(pixels, height, width).reshape(height, width, channels)


def _shrink_or_grow(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    grows = height > pixels.shape[0] and width > pixels.shape[1]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR if grows else cv2.INTER_AREA)


def _pad(pixels: np.ndarray, side: int, channels: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    small = _shrink_or_grow(pixels, max(1, round(height * scale)), max(1, round(width * scale)))
    square = np.empty((side, side, channels), np.uint8)
    square[:] = np.rint(pixels.reshape(height * width, channels).mean(axis=0)).astype(np.uint8)
    top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
    square[top : top + small.shape[0], left : left + small.shape[1]] = small.reshape(*small.shape[:2], channels)
    return square
