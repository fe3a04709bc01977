"""The layout of a CSV of ids and labels beside folders of photos that are named by id: raw files become rows.

    trainLabels.csv         id, label
    train/ID.png, test/ID.png, sample_submission.csv     the last two may be absent

The suffix is whatever the photo has; a label without a photo counts as a photo that is absent.
"""

from __future__ import annotations

from pathlib import Path, PurePath

import pandas as pd

from comp.layouts.class_folders import path_below, photos_in
from comp.spec import Competition
from comp.tables import Tables, pick_columns, read_csv


def read(competition: Competition, data_dir: Path) -> Tables:
    """Return the rows of the table of labels in its order, and the photos of the test folder in natural order.

    Raises:
        BadInput: If the table or a column of it is missing.
    """
    table_path = data_dir / competition.train_table
    columns = {"id": competition.id_column, "label": competition.target_column, "group": competition.group_column}
    rows = pick_columns(read_csv(table_path), columns, table_path)
    train_dir, test_dir = data_dir / competition.train_folder, data_dir / competition.test_folder
    photos = photos_in(train_dir)
    photo_of = {PurePath(name).stem: name for name in reversed(photos)}
    suffix = PurePath(photos[0] if photos else "1.png").suffix
    names = [photo_of.get(row_id, f"{row_id}{suffix}") for row_id in rows["id"]]
    # Kaggle numbers train and test photos from 1 each: what is trained on says so in its id
    train = rows.assign(
        id=[f"{competition.train_folder}/{row_id}" for row_id in rows["id"]],
        path=[path_below(data_dir, train_dir / name) for name in names],
    )
    train = train[[name for name in ("id", "path", "label", "group") if name in train.columns]].astype("str")
    sample_path = data_dir / competition.sample_submission
    has_sample, tests = sample_path.is_file(), photos_in(test_dir)
    if not tests:
        unused = f"{sample_path.name} is not used: {competition.test_folder}/ holds no photos that it could be for"
        return Tables(competition, data_dir, train, notes=(unused,) if has_sample else ())
    test = {"id": [PurePath(name).stem for name in tests], "path": [path_below(data_dir, test_dir / n) for n in tests]}
    return Tables(
        competition, data_dir, train, pd.DataFrame(test, dtype="str"), read_csv(sample_path) if has_sample else None
    )
