"""The batch files of the CIFAR archives, which are pickles, read without running any of them: raw files to pictures and labels.

A pickle may name any function to be called. Here the three names that make an array in these files stand for harmless
stand-ins, and every other name is refused.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from comp.errors import BadInput

SIDE = 32


@dataclass(frozen=True)
class Batch:
    """Pictures (N, 32, 32, 3) uint8, and all else that stands beside them in the file, by name."""

    pixels: np.ndarray
    rest: dict[str, Any]


class _Dtype:
    """Stands for a dtype: its name is all that is kept."""

    def __init__(self, name: Any, *rest: Any) -> None:
        self.name = text_of(name)

    def __setstate__(self, state: Any) -> None:
        """Leave byte order and flags unread: bytes have none."""


class _Array:
    """Stands for an array, made of bytes only."""

    values: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, content = state
        if not isinstance(dtype, _Dtype) or dtype.name not in ("u1", "|u1", "uint8") or is_fortran:
            raise pickle.UnpicklingError("an array of other numbers than bytes")
        raw = content.encode("latin-1") if isinstance(content, str) else content
        self.values = np.frombuffer(raw, np.uint8).reshape(tuple(shape))


class _Reader(pickle.Unpickler):
    known: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy.core.multiarray", "_reconstruct"): lambda *given: _Array(),
        ("numpy._core.multiarray", "_reconstruct"): lambda *given: _Array(),
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        # how Python 3 writes bytes for readers of protocol 2
        ("_codecs", "encode"): lambda text, encoding: str(text).encode("latin-1"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.known:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no batch of pictures needs")
        return self.known[module, name]


def read_batch(file: Path) -> Batch:
    """Return the pictures and labels of `train` or `test`; of `meta`, which holds no pictures, what it holds.

    Raises:
        BadInput: If the file is absent, torn, or names anything but arrays of bytes.
    """
    try:
        with file.open("rb") as opened:
            found = _Reader(opened, encoding="latin-1").load()
    except FileNotFoundError as error:
        raise BadInput(f"{file.name} is missing in {file.parent}: expected it there; check DATA=") from error
    except Exception as error:  # a torn pickle raises anything
        reason = " ".join(f"{error}".split())[:120] or type(error).__name__
        raise BadInput(f"{file} cannot be read as a CIFAR batch: {reason}; is the file whole?") from error
    if not isinstance(found, dict):
        raise BadInput(f"{file}: expected a table by name, as the CIFAR archives hold")
    rest = {text_of(name): _plain(value) for name, value in found.items()}
    return Batch(_pictures(rest.pop("data", None), file), rest)


def _pictures(rows: Any, file: Path) -> np.ndarray:
    if rows is None:
        return np.empty((0, SIDE, SIDE, 3), np.uint8)
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != 3 * SIDE * SIDE:
        raise BadInput(f"{file}: data of shape {getattr(rows, 'shape', '')}, expected rows of {3 * SIDE * SIDE} bytes")
    return np.ascontiguousarray(rows.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1))  # stored plane by plane


def text_of(name: Any) -> str:
    """Return a name as text: Python 2 wrote it as bytes."""
    return name.decode("latin-1") if isinstance(name, bytes) else str(name)


def _plain(value: Any) -> Any:
    return value.values if isinstance(value, _Array) else value
