"""The layout of a CSV that names photos: its rows, with path and label, become the train and the test table.

    metadata.csv            id, ..., label, path        photos lie anywhere below the same folder
    test.csv                the same without the label  may be absent: then a hold-out of train plays the test set
    sample_submission.csv   id, label                   may be absent

The label comes from the table, never from the path.
"""

from __future__ import annotations

from pathlib import Path

from comp.errors import BadInput
from comp.spec import Competition
from comp.tables import Tables, pick_columns, read_csv


def read(competition: Competition, data_dir: Path) -> Tables:
    """Return the rows of the competition's tables, as they stand.

    A label that the test table should carry by mistake is never read.

    Raises:
        BadInput: If the train table or a column is missing, or a file cannot be read as CSV.
    """
    if competition.path_column is None:
        raise BadInput(f"competition {competition.name}: layout table needs path_column, the column of photo paths")
    known_of_test = {
        "id": competition.id_column,
        "path": competition.path_column,
        "condition": competition.condition_column,
    }
    known_of_train = {**known_of_test, "label": competition.target_column, "group": competition.group_column}
    train_path, test_path = data_dir / competition.train_table, data_dir / competition.test_table
    train = pick_columns(read_csv(train_path), _in_order(known_of_train), train_path)
    sample_path = data_dir / competition.sample_submission
    if not test_path.is_file():
        unused = f"{sample_path.name} is not used: there is no {test_path.name} that it could be for"
        return Tables(competition, data_dir, train, notes=(unused,) if sample_path.is_file() else ())
    test = pick_columns(read_csv(test_path), known_of_test, test_path)
    sample = read_csv(sample_path) if sample_path.is_file() else None
    return Tables(competition, data_dir, train, test, sample)


def _in_order(columns: dict[str, str | None]) -> dict[str, str | None]:
    return {common: columns[common] for common in ("id", "path", "label", "condition", "group")}
