"""The layout of CSV files that hold the pixels themselves, as Kaggle's Digit Recognizer has them: raw rows become rows.

    train.csv               label, pixel0, pixel1, ...
    test.csv                pixel0, pixel1, ...          may be absent
    sample_submission.csv   ImageId, Label               may be absent

Test rows are numbered from 1, in their order; no image file is written. The label's column is the one that is no pixel.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from comp.arrays import row_paths
from comp.errors import BadInput
from comp.spec import Competition
from comp.tables import Tables, read_csv, shown

ARRAY = "pixels"


def read(competition: Competition, data_dir: Path) -> Tables:
    """Return a row for each line of the CSV files; train ids are `train-1` and so on. Pixels are read by the image cache.

    Raises:
        BadInput: If a file is missing, or has not one column of labels and none but pixels besides.
    """
    train_path, test_path = data_dir / competition.train_table, data_dir / competition.test_table
    labels = _first_column(train_path, is_label=True)
    ids = [f"train-{row + 1}" for row in range(len(labels))]
    paths = row_paths(train_path.name, ARRAY, len(labels))
    train = pd.DataFrame({"id": ids, "path": paths, "label": labels}, dtype="str")
    sample_path = data_dir / competition.sample_submission
    if not test_path.is_file():
        unused = f"{sample_path.name} is not used: there is no {test_path.name} that it could be for"
        return Tables(competition, data_dir, train, notes=(unused,) if sample_path.is_file() else ())
    n_test = len(_first_column(test_path, is_label=False))
    test = {"id": [str(row + 1) for row in range(n_test)], "path": row_paths(test_path.name, ARRAY, n_test)}
    sample = read_csv(sample_path) if sample_path.is_file() else None
    return Tables(competition, data_dir, train, pd.DataFrame(test, dtype="str"), sample)


def _first_column(path: Path, is_label: bool) -> list[str]:
    """Return the first field of each line: 42,000 lines of 785 fields take a moment that way, and 5 s as a table."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline().rstrip("\r\n").split(",")
            fields = [line.partition(",")[0] for line in file if line.strip()]
    except FileNotFoundError as error:
        raise BadInput(f"table {path.name} is missing in {path.parent}: expected it there; check DATA=") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text ({error.reason}, byte {error.start}); save it as UTF-8") from error
    others = [name for name in header if not name.startswith("pixel")]
    if len(others) != is_label or (is_label and header[0] != others[0]):
        what = "first the label, then pixel0, pixel1 and so on" if is_label else "pixel0, pixel1 and so on"
        raise BadInput(f"{path}: expected the columns {what}, got {shown(header, 4)}")
    if not fields:
        raise BadInput(f"{path} has column names but no rows; expected at least one")
    return fields
