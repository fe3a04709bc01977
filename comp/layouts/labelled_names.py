"""The layout of photos whose file names begin with the label: raw files become rows.

    train/cat.0.jpg, train/dog.0.jpg, test/1.jpg, sample_submission.csv     the last two may be absent

The label is what stands before the first dot; hidden files, and files that are no photos by their suffix, are left out.
"""

from __future__ import annotations

from pathlib import Path, PurePath

import pandas as pd

from comp.errors import BadInput
from comp.layouts.class_folders import path_below, photos_in
from comp.spec import Competition
from comp.tables import Tables, read_csv, shown


def read(competition: Competition, data_dir: Path) -> Tables:
    """Return a row for each photo, in natural order (cat.2.jpg before cat.10.jpg).

    A train id is the path below `data_dir`; a test id is the file's name without its suffix.

    Raises:
        BadInput: If there is no photo, or the name of one has no label before its first dot.
    """
    train_dir, test_dir = data_dir / competition.train_folder, data_dir / competition.test_folder
    names = photos_in(train_dir)
    if not names:
        raise BadInput(f"no photos in {train_dir}: expected {train_dir.name}/<class>.1.jpg and so on; check DATA=")
    bare = [name for name in names if name.count(".") < 2]
    if bare:
        raise BadInput(
            f"{len(bare)} of {len(names)} photos in {train_dir} have no label in their name (first: {shown(bare)}): "
            "expected <class>.1.jpg and so on"
        )
    paths = [path_below(data_dir, train_dir / name) for name in names]
    labels = [name.partition(".")[0] for name in names]
    train = pd.DataFrame({"id": paths, "path": paths, "label": labels}, dtype="str")
    sample_path = data_dir / competition.sample_submission
    has_sample, tests = sample_path.is_file(), photos_in(test_dir)
    if not tests:
        unused = f"{sample_path.name} is not used: {competition.test_folder}/ holds no photos that it could be for"
        return Tables(competition, data_dir, train, notes=(unused,) if has_sample else ())
    rows = {"id": [PurePath(name).stem for name in tests], "path": [path_below(data_dir, test_dir / n) for n in tests]}
    sample = read_csv(sample_path) if has_sample else None
    return Tables(competition, data_dir, train, pd.DataFrame(rows, dtype="str"), sample)
