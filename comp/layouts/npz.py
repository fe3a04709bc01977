"""The layout of one `.npz` with the arrays of keras.datasets: raw arrays become rows, no image file is written.

    mnist.npz               x_train (N, side, side), y_train (N,), x_test, y_test     the last two may be absent
    sample_submission.csv   id, label                                                 may be absent

Test rows are numbered from 1, in their order. `y_test` is opened by `answers` alone: to score at the end, never to fit or choose.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from comp.arrays import names_in_npz, read_npz, row_paths
from comp.errors import BadInput
from comp.spec import Competition
from comp.tables import Tables, read_csv


def read(competition: Competition, data_dir: Path) -> Tables:
    """Return a row for each picture; train ids are `train-1` and so on.

    Raises:
        BadInput: If the file or an array is missing, or pictures and labels differ in number.
    """
    name = competition.train_table
    labels = read_npz(data_dir / name, "y_train").reshape(-1)
    n_rows = _n_pictures(data_dir / name, "x_train")
    if n_rows != len(labels):
        raise BadInput(
            f"{data_dir / name}: {n_rows} pictures x_train and {len(labels)} labels y_train; expected as many"
        )
    train = {"id": [f"train-{row + 1}" for row in range(n_rows)], "path": row_paths(name, "x_train", n_rows)}
    frame = pd.DataFrame({**train, "label": [str(label) for label in labels.tolist()]}, dtype="str")
    sample_path = data_dir / competition.sample_submission
    has_sample = sample_path.is_file()
    if "x_test" not in names_in_npz(data_dir / name):
        unused = f"{sample_path.name} is not used: {name} has no x_test that it could be for"
        return Tables(competition, data_dir, frame, notes=(unused,) if has_sample else ())
    n_test = _n_pictures(data_dir / name, "x_test")
    test = pd.DataFrame({"id": _test_ids(n_test), "path": row_paths(name, "x_test", n_test)}, dtype="str")
    return Tables(competition, data_dir, frame, test, read_csv(sample_path) if has_sample else None)


def answers(competition: Competition, data_dir: Path) -> pd.DataFrame | None:
    """Return the ids and labels of the test rows where the file carries them: to grade a finished CSV, nothing else."""
    path = data_dir / competition.train_table
    if not {"x_test", "y_test"} <= names_in_npz(path):
        return None
    labels = [str(label) for label in read_npz(path, "y_test").reshape(-1).tolist()]
    return pd.DataFrame({competition.id_column: _test_ids(len(labels)), competition.target_column: labels}, dtype="str")


def _test_ids(n_rows: int) -> list[str]:
    return [str(row + 1) for row in range(n_rows)]


def _n_pictures(path: Path, array: str) -> int:
    rows = read_npz(path, array)
    if rows.dtype != np.uint8 or rows.ndim not in (3, 4) or (rows.ndim == 4 and rows.shape[-1] not in (1, 3)):
        raise BadInput(
            f"{path}: {array} is {rows.shape} {rows.dtype}, expected (N, side, side) or (N, side, side, 3) uint8"
        )
    return len(rows)
