"""Pictures that lie as rows of one file (`mnist.npz`, a CSV of pixels): raw rows to the image cache, no image file in between.

A row has a path like any photo, `FILE::ARRAY/ROW` (`mnist.npz::x_train/12`), so tables, folds and cache know nothing of it. Its
content is the row as `.npy` bytes, which `comp.decode` reads as it reads a JPEG.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from comp.errors import BadInput

_ROW = re.compile(r"(.+)::(\w+)/(\d+)")


def row_paths(file: str, array: str, n_rows: int) -> list[str]:
    """Return the paths of an array's rows, in their order."""
    return [f"{file}::{array}/{row}" for row in range(n_rows)]


def file_of(path: str) -> str:
    """Return the file that holds a row; of any other path, the path itself."""
    return path.partition("::")[0] if _ROW.fullmatch(path) else path


def read_content(path: str) -> bytes:
    """Return the bytes that stand for a picture: those of its file, or its row as `.npy`.

    Raises:
        OSError: If the file cannot be read.
        BadInput: If the file is no array of pictures that was announced.
    """
    found = _ROW.fullmatch(path)
    if found is None:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    rows_file, array, row = Path(found[1]), found[2], int(found[3])
    status = rows_file.stat()
    rows = _rows_of(rows_file, array, status.st_size, status.st_mtime_ns)
    if row >= len(rows):
        raise BadInput(f"{rows_file}: {array} has {len(rows)} rows, expected more than {row}; is the file whole?")
    content = io.BytesIO()
    np.save(content, rows[row])
    return content.getvalue()


@lru_cache(maxsize=2)  # a worker reads many chunks of the same file; size and time tell whether it is still the same
def _rows_of(file: Path, array: str, size: int, mtime: int) -> np.ndarray:
    del size, mtime
    if file.suffix == ".npz":
        return read_npz(file, array)
    if file.suffix == ".csv":
        return read_pixel_csv(file)
    from comp.cifar import read_batch

    return read_batch(file).pixels


def read_npz(file: Path, array: str) -> np.ndarray:
    """Return one array of an `.npz`; nothing in it is ever unpickled.

    Raises:
        BadInput: If it is absent or torn, or has no such array.
    """
    with _opened(file) as arrays:
        if array not in arrays.files:
            raise BadInput(f"{file}: it has no array {array!r}, only {', '.join(arrays.files)}; check DATA=")
        return np.asarray(arrays[array])


def names_in_npz(file: Path) -> set[str]:
    """Return the names of the arrays of an `.npz`, opening none.

    Raises:
        BadInput: If it is absent or torn.
    """
    with _opened(file) as arrays:
        return set(arrays.files)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    try:
        # opened here: np.load (numpy 2.4) leaves a torn file open
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            yield arrays
    except FileNotFoundError as error:
        raise BadInput(f"array file {file.name} is missing in {file.parent}: expected it there; check DATA=") from error
    except (OSError, ValueError, BadZipFile, EOFError, zlib.error) as error:
        raise BadInput(f"{file} cannot be read as .npz ({error}); is the file whole?") from error


def read_pixel_csv(file: Path) -> np.ndarray:
    """Return the pictures of a CSV with the columns pixel0, pixel1 and so on, one picture a row: (N, side, side) uint8.

    Raises:
        BadInput: If the pixels make no square, or are no whole numbers from 0 to 255.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(file, dtype=np.int64)
    except (ValueError, pd.errors.ParserError) as error:
        raise BadInput(f"{file}: its pixels cannot be read ({error}); expected whole numbers from 0 to 255") from error
    pixels = frame[[name for name in frame.columns if str(name).startswith("pixel")]].to_numpy()
    side = round(pixels.shape[1] ** 0.5)
    if not side or side * side != pixels.shape[1]:
        raise BadInput(f"{file}: {pixels.shape[1]} columns pixel0, pixel1 and so on, expected those of a square")
    if pixels.min() < 0 or pixels.max() > 255:
        raise BadInput(f"{file}: pixels from {pixels.min()} to {pixels.max()}, expected 0 to 255")
    return np.asarray(pixels.reshape(-1, side, side), dtype=np.uint8)
