"""The layout of the CIFAR-100 archive as keras.datasets unpacks it: raw batches become rows, no image file is written.

    cifar-100-python/train, test, meta     or the three files directly in the data folder
    sample_submission.csv                  id, label; may be absent

Labels are the fine names of `meta`. Test rows are numbered from 1; their labels are opened by `answers` alone, at the end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from comp.arrays import row_paths
from comp.cifar import read_batch, text_of
from comp.errors import BadInput
from comp.spec import Competition
from comp.tables import Tables, check_folder, read_csv

FOLDER, ARRAY = "cifar-100-python", "data"


def read(competition: Competition, data_dir: Path) -> Tables:
    """Return a row for each picture; train ids are `train-1` and so on.

    Raises:
        BadInput: If a file is missing or torn, or labels and pictures differ in number.
    """
    check_folder(data_dir)
    home, folder = _home(data_dir)
    labels, n_rows = _labels(folder, "train")
    ids = [f"train-{row + 1}" for row in range(n_rows)]
    train = pd.DataFrame({"id": ids, "path": row_paths(f"{home}train", ARRAY, n_rows), "label": labels}, dtype="str")
    if not (folder / "test").is_file():
        return Tables(competition, data_dir, train)
    n_test = len(read_batch(folder / "test").pixels)
    test = {"id": [str(row + 1) for row in range(n_test)], "path": row_paths(f"{home}test", ARRAY, n_test)}
    sample_path = data_dir / competition.sample_submission
    sample = read_csv(sample_path) if sample_path.is_file() else None
    return Tables(competition, data_dir, train, pd.DataFrame(test, dtype="str"), sample)


def answers(competition: Competition, data_dir: Path) -> pd.DataFrame | None:
    """Return the ids and labels of the test rows, where they are there: to grade a finished CSV, nothing else."""
    folder = _home(data_dir)[1]
    if not (folder / "test").is_file() or "fine_labels" not in read_batch(folder / "test").rest:
        return None
    labels, n_rows = _labels(folder, "test")
    ids = [str(row + 1) for row in range(n_rows)]
    return pd.DataFrame({competition.id_column: ids, competition.target_column: labels}, dtype="str")


def _home(data_dir: Path) -> tuple[str, Path]:
    """Return what stands before a file's name in a path, and the folder of the files."""
    is_inside = (data_dir / FOLDER).is_dir()
    return (f"{FOLDER}/", data_dir / FOLDER) if is_inside else ("", data_dir)


def _labels(folder: Path, part: str) -> tuple[list[str], int]:
    names = read_batch(folder / "meta").rest.get("fine_label_names")
    batch = read_batch(folder / part)
    numbers: Any = batch.rest.get("fine_labels")
    n_rows = len(batch.pixels)
    if not isinstance(names, list) or not isinstance(numbers, list) or len(numbers) != n_rows or not n_rows:
        raise BadInput(f"{folder / part}: expected a fine label for each of its {n_rows} pictures, and names in meta")
    if not all(isinstance(number, int) and 0 <= number < len(names) for number in numbers):
        raise BadInput(f"{folder / part}: expected fine labels from 0 to {len(names) - 1}, as meta names them")
    return [text_of(names[number]) for number in numbers], n_rows
