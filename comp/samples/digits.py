"""The embedded stand-in for MNIST: scikit-learn's digits as one `.npz` of arrays, the answers of its test rows beside it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from comp.store import disk_full_is_one_line, write_bytes, write_text

VERSION = "1"  # raised when other rows come out

_SEED = 20261121
_TEST_SHARE = 4  # every fourth digit of a class, in a drawn order


def draw(folder: Path) -> None:
    """Write `data/digits.npz` (x_train, y_train, x_test) below a folder, and `answers.csv` apart from it.

    The same arrays come out on every call. The marker `data/.drawn` is written last.

    Raises:
        NoSpace: If the disk is full.
    """
    pixels, labels = _digits()
    is_test = _test_rows(labels)
    arrays = {"x_train": pixels[~is_test], "y_train": labels[~is_test], "x_test": pixels[is_test]}
    content = io.BytesIO()
    np.savez(content, **arrays)
    lines = ["ImageId,Label", *(f"{row},{label}" for row, label in enumerate(labels[is_test].tolist(), start=1))]
    data = folder / "data"
    with disk_full_is_one_line(folder):
        write_bytes(data / "digits.npz", content.getvalue())
        write_text(folder / "answers.csv", "\n".join(lines) + "\n")
        write_text(data / ".drawn", VERSION)


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Return (1797, 8, 8) uint8 pixels, and labels; scikit-learn has them as numbers from 0 to 16."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    return pixels, bunch.target.astype(np.int64)


def _test_rows(labels: np.ndarray) -> np.ndarray:
    """Return which rows play the test set: a quarter of each class."""
    random = np.random.default_rng(_SEED)
    is_test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        is_test[rows[: len(rows) // _TEST_SHARE]] = True
    return is_test
