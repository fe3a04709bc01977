"""Promise 2: every way of storing a photo comes out upright, in RGB, at the size asked for."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from comp.decode import Unreadable, bring_to_size, decode, jpeg_mode

H, W = 40, 60


def picture() -> np.ndarray:
    """Return (H, W, 3): red top left, green top right, blue bottom: upright has only one way."""
    pixels = np.zeros((H, W, 3), np.uint8)
    pixels[: H // 2, : W // 2] = (200, 30, 30)
    pixels[: H // 2, W // 2 :] = (30, 180, 30)
    pixels[H // 2 :] = (30, 30, 200)
    return pixels


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def rotated(orientation: int) -> bytes:
    """Return a JPEG stored turned, whose EXIF tells how to turn it back."""
    turned = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.fromarray(picture()).transpose(turned), "JPEG", quality=95, exif=exif.tobytes())


RGB = Image.fromarray(picture())
COLOURED = {
    "jpeg": (saved(RGB, "JPEG", quality=95, subsampling=0), "RGB"),
    "progressive jpeg": (saved(RGB, "JPEG", quality=95, subsampling=0, progressive=True), "RGB"),
    "cmyk jpeg": (saved(RGB.convert("CMYK"), "JPEG", quality=95, subsampling=0), "CMYK"),
    "exif 3": (rotated(3), "RGB"),
    "exif 6": (rotated(6), "RGB"),
    "exif 8": (rotated(8), "RGB"),
    "png": (saved(RGB, "PNG"), "RGB"),
    "palette png": (saved(RGB.quantize(8), "PNG"), "P"),
    "palette with alpha": (saved(RGB.quantize(8), "PNG", transparency=255), "P"),
    "rgba png": (saved(RGB.convert("RGBA"), "PNG"), "RGBA"),
    "webp": (saved(RGB, "WEBP", lossless=True), "RGB"),
    "bmp": (saved(RGB, "BMP"), "RGB"),
    "tiff": (saved(RGB, "TIFF"), "RGB"),
    "animated gif": (saved(RGB, "GIF", save_all=True, append_images=[Image.new("RGB", (W, H))]), "P"),
}


@pytest.mark.parametrize("kind", COLOURED)
def test_colours_come_out_upright(kind: str) -> None:
    data, mode = COLOURED[kind]
    photo = decode(data)
    assert photo.pixels.shape == (H, W, 3) and photo.pixels.dtype == np.uint8
    assert photo.mode == mode and not photo.is_cut_short
    assert np.abs(photo.pixels.astype(int) - picture()).mean() < 6


GREY = np.linspace(0, 255, H * W).reshape(H, W).round().astype(np.uint8)
GREYS = {
    "grey jpeg": (saved(Image.fromarray(GREY), "JPEG", quality=95), "L"),
    "grey png": (saved(Image.fromarray(GREY), "PNG"), "L"),
    "16-bit png": (cv2.imencode(".png", GREY.astype(np.uint16) * 257)[1].tobytes(), "I;16"),
    "16-bit tiff": (cv2.imencode(".tiff", GREY.astype(np.uint16) * 257)[1].tobytes(), "I;16"),
    "grey alpha": (saved(Image.fromarray(GREY).convert("LA"), "PNG"), "LA"),
}


@pytest.mark.parametrize("kind", GREYS)
def test_greys_keep_their_levels(kind: str) -> None:
    data, mode = GREYS[kind]
    photo = decode(data)
    assert photo.mode == mode
    assert np.abs(photo.pixels.astype(int) - GREY[..., None]).max() <= 6


def test_one_bit_and_transparency_are_laid_over_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert decode(saved(clear, "PNG")).pixels.min() == 255
    assert set(np.unique(decode(saved(Image.new("1", (8, 8), 1), "PNG")).pixels)) == {255}


@pytest.mark.parametrize(
    "data", [b"", b"not an image", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"GIF89a"]
)
def test_garbage_is_unreadable_with_a_reason(data: bytes) -> None:
    with pytest.raises(Unreadable, match=r"\w+"):
        decode(data)


def test_a_jpeg_that_is_cut_short_is_decoded_and_marked() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), "JPEG")
    photo = decode(data[: len(data) * 3 // 4])
    assert photo.is_cut_short and photo.pixels.shape == (64, 64, 3)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=200), st.sampled_from(sorted(COLOURED)), st.integers(0, 400))
def test_wild_bytes_never_do_more_than_raise_unreadable(noise: bytes, kind: str, at: int) -> None:
    data = COLOURED[kind][0]
    for wild in (noise, data[:at], data[:at] + noise + data[at + len(noise) :]):
        try:
            photo = decode(wild)
        except Unreadable:
            continue
        assert photo.pixels.ndim == 3 and photo.pixels.dtype == np.uint8


def test_jpeg_mode_agrees_with_pillow_on_real_photos(real_data) -> None:  # type: ignore[no-untyped-def]
    photos = sorted((real_data / "animal-families").glob("*/*.jpg"))[::40]
    for photo in photos:
        with Image.open(photo) as image:
            assert jpeg_mode(photo.read_bytes()) == image.mode
    assert len(photos) > 50


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(4, 48),
    st.sampled_from([1, 3]),
    st.sampled_from(["squash", "pad", "crop"]),
)
def test_any_photo_becomes_the_square_asked_for(height: int, width: int, side: int, channels: int, resize: str) -> None:
    pixels = np.full((height, width, 3), 77, np.uint8)
    square = bring_to_size(pixels, side, channels, resize)  # type: ignore[arg-type]
    assert square.shape == (side, side, channels)
    assert np.abs(square.astype(int) - 77).max() <= 1


def test_pad_keeps_all_and_crop_keeps_the_middle() -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    assert bring_to_size(wide, 20, 3, "crop").min() > 200
    padded = bring_to_size(wide, 60, 3, "pad")
    assert padded[30, 30].min() > 200 and padded[30, 5].max() < 50 and abs(int(padded[2, 2, 0]) - 85) <= 1
