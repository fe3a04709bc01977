"""A few answered photos for the eye: a sheet of pictures with what they are said to be, and the same in words."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from submissions.predict import NewPhotos

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

N_SHOWN, N_COLUMNS, SIDE = 8, 4, 240
N_NAMED = 3  # classes named under a photo
LINE, MARGIN = 18, 8


def words_of(photos: NewPhotos, classes: Sequence[str], table: np.ndarray, n: int = N_SHOWN) -> list[list[str]]:
    """Return for the first photos: what each is called, and its likeliest classes with their probabilities.

    Args:
        table: (N, C) probabilities.
    """
    best = np.argsort(-table, axis=1, kind="stable")[:n, :N_NAMED]
    return [
        [photos.ids[row], *(f"{table[row, c]:.2f} {classes[c]}" for c in columns)]
        for row, columns in enumerate(best.tolist())
    ]


def sheet_of(photos: NewPhotos, classes: Sequence[str], table: np.ndarray, n: int = N_SHOWN) -> bytes:
    """Return a PNG of the first photos, each with its words below; one that cannot be read is an empty square."""
    from PIL import Image, ImageDraw, ImageFont

    words = words_of(photos, classes, table, n)
    height = SIDE + MARGIN + LINE * (1 + N_NAMED)
    sheet = Image.new("RGB", (N_COLUMNS * (SIDE + MARGIN), -(-len(words) // N_COLUMNS) * height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for index, lines in enumerate(words):
        x, y = index % N_COLUMNS * (SIDE + MARGIN), index // N_COLUMNS * height
        photo = _thumbnail(photos.folder / photos.paths[index])
        sheet.paste(photo, (x + (SIDE - photo.width) // 2, y + SIDE - photo.height))
        for row, line in enumerate(lines):
            draw.text((x + 2, y + SIDE + 4 + row * LINE), _fitted(line, font), fill="black", font=font)
    content = BytesIO()
    sheet.save(content, format="PNG")
    return content.getvalue()


def _thumbnail(path: Path) -> PillowImage:
    from PIL import Image

    from comp.decode import Unreadable, decode

    try:
        pixels = decode(path.read_bytes()).pixels
    except (OSError, Unreadable):
        return Image.new("RGB", (SIDE, SIDE), "lightgrey")
    photo = Image.fromarray(pixels).convert("RGB")
    photo.thumbnail((SIDE, SIDE))
    return photo


def _fitted(words: str, font: Any) -> str:
    line = " ".join(words.split())  # Pillow cannot measure several lines
    while font.getlength(line) > SIDE:
        line = f"{line.removesuffix('…')[:-1]}…"
    return line
