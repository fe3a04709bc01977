"""Brings a published `.npz` file of arrays into a model: every name used exactly once, or nothing is changed."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from comp.errors import BadInput

if TYPE_CHECKING:
    import keras

ANOTHER_VARIANT = "is it the file of another variant?"


def published_names(model: keras.Model, renamed: Mapping[str, str], prefix: str = "") -> dict[str, keras.Variable]:
    """Return the model's variables by the names of the publisher.

    A layer carries the publisher's name with `.` where that has `/` (Keras allows no `/` in a name).

    Args:
        renamed: The publisher's word for Keras' name of a variable (`gamma`), where they differ.
        prefix: What stands before all names in the file.
    """
    return {
        f"{prefix}{layer.name.replace('.', '/')}/{renamed.get(variable.name, variable.name)}": variable
        for layer in model.layers
        for variable in layer.weights
    }


def load_npz(path: Path | str, variables: Mapping[str, keras.Variable], head: str, hint: str = ANOTHER_VARIANT) -> None:
    """Assign the arrays of a file to the variables of the same names; changes none unless all fit.

    Args:
        path: The `.npz` file; nothing in it is unpickled.
        variables: What the file must hold, no more and no less, by the names in the file.
        head: Arrays whose names begin with this are the classification head and are left alone.
        hint: What to do where a shape differs.

    Raises:
        BadInput: If it is no such file, or a name is missing or foreign, or a shape differs; the line names the first.
    """
    arrays = _read(path, head)
    file = Path(path).name
    for name in variables:
        if name not in arrays:
            raise BadInput(f"weights {file}: expected an array {name}, but there is none; {ANOTHER_VARIANT}")
    for name in arrays:
        if name not in variables:
            raise BadInput(f"weights {file}: holds {name}, which the model has not; {ANOTHER_VARIANT}")
    for name, variable in variables.items():
        expected, got = tuple(variable.shape), arrays[name].shape
        if expected != got:
            raise BadInput(f"weights {file}: {name} has shape {got}, expected {expected}; {hint}")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _read(path: Path | str, head: str) -> dict[str, np.ndarray]:
    try:
        # opened here: numpy 2.4.6 leaves its own handle open where the archive is broken
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if not name.startswith(head)}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadInput(
            f"weights {path}: expected an .npz file of arrays, but it cannot be read ({reason}); get it again"
        ) from error
