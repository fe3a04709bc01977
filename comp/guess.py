"""Beside `comp.scaffold`: which facts of a competition can be told from the folder its raw files lie in.

What the sample submission says comes first, then what train has and test has not, then what the values look like.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from comp.errors import BadInput
from comp.layouts.class_folders import folders_in, is_photo_name, natural_key, photos_in
from comp.tables import absent_paths, read_csv, shown

_TRAIN_FOLDERS = frozenset({"train", "training", "train_images", "images_train"})
_TEST_FOLDERS = frozenset({"test", "testing", "test_images", "images_test"})
_POSITIVE = ("1", "1.0", "true", "yes", "positive")


@dataclass(frozen=True)
class Guess:
    """Facts that were told from a folder.

    Attributes:
        facts: Fields of `Competition`.
        unused: Columns and tables that no fact came from.
        doubts: Lines about facts that the person should look at.
    """

    facts: dict[str, Any]
    unused: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Csvs:
    """The CSV files of a folder by their part; None where there is none."""

    sample: pd.DataFrame | None
    test: pd.DataFrame | None
    others: dict[str, pd.DataFrame]
    names: dict[str, str]


def guess_facts(data_dir: Path) -> Guess:
    """Return layout, columns and kind of submission of what lies in a folder.

    A CSV that names photos goes before class folders: a folder's name may be more, or less, than the label.

    Raises:
        BadInput: If they cannot be told; the line says what was seen.
    """
    csvs = _read_csvs(data_dir)
    path_columns = {name: _path_column(frame, data_dir) for name, frame in csvs.others.items()}
    with_photos = {name: column for name, column in path_columns.items() if column is not None}
    guess = _of_table(csvs, with_photos, data_dir) if with_photos else _of_folders(csvs, data_dir)
    return Guess({**guess.facts, **csvs.names}, guess.unused, guess.doubts)


def _read_csvs(data_dir: Path) -> _Csvs:
    found = sorted((path.name for path in data_dir.glob("[!.]*.[cC][sS][vV]")), key=natural_key)
    sample = _only([name for name in found if "submission" in name.lower()], data_dir, "sample submission")
    test = _only([name for name in found if name.lower().startswith("test")], data_dir, "test table")
    names = {"sample_submission": sample, "test_table": test}
    others = {name: read_csv(data_dir / name) for name in found if name not in (sample, test)}
    return _Csvs(
        sample=_two_columns(read_csv(data_dir / sample), sample) if sample else None,
        test=read_csv(data_dir / test) if test else None,
        others=others,
        names={field: name for field, name in names.items() if name is not None},
    )


def _only(found: list[str], data_dir: Path, what: str) -> str | None:
    if len(found) > 1:
        raise BadInput(f"{data_dir}: cannot tell which is the {what}: saw {shown(found, 5)}; leave one of them there")
    return found[0] if found else None


def _two_columns(sample: pd.DataFrame, name: str) -> pd.DataFrame:
    if len(sample.columns) < 2:
        raise BadInput(f"{name}: expected a column of ids and one of answers, saw only {shown(_columns(sample))}")
    return sample


def _of_table(csvs: _Csvs, path_columns: dict[str, str], data_dir: Path) -> Guess:
    name = _train_name(list(path_columns), data_dir)
    train, path_column = csvs.others[name], path_columns[name]
    sample = csvs.sample if csvs.test is not None else None  # without a test table there is nothing that it is for
    id_column = _id_column(train, csvs.test, sample, path_column, name)
    target = _target_column(train, csvs.test, sample, {id_column, path_column}, name)
    used = {id_column, path_column, target}
    condition = _condition_column(train, csvs.test, target, used)
    submission, doubts = _submission(sample, set(train[target]))
    facts = {
        "layout": "table",
        "train_table": name,
        "id_column": id_column,
        "target_column": target,
        "path_column": path_column,
        **({"condition_column": condition} if condition else {}),
        **submission,
    }
    columns = [column for column in _columns(train) if column not in used | {condition}]
    return Guess(facts, (*columns, *(other for other in csvs.others if other != name)), doubts)


def _train_name(with_photos: list[str], data_dir: Path) -> str:
    for start in ("train", "metadata", ""):
        named = [name for name in with_photos if name.lower().startswith(start)]
        if len(named) == 1:
            return named[0]
    raise BadInput(f"{data_dir}: cannot tell which is the train table: {shown(with_photos, 5)} all name photos")


def _path_column(frame: pd.DataFrame, data_dir: Path) -> str | None:
    """Return the column that names the most photos below the folder, or None; one photo that is there is enough."""
    best, most = None, 0
    for column in _columns(frame):
        paths = [path for path in frame[column] if _may_be_photo(path)]
        n_there = len(paths) - len(absent_paths(data_dir, paths)) if len(paths) > len(frame) / 2 else 0
        if n_there > most:
            best, most = column, n_there
    return best


def _may_be_photo(path: str) -> bool:
    pure = PurePosixPath(path)
    return is_photo_name(pure.name) and not pure.is_absolute() and ".." not in pure.parts


def _id_column(
    train: pd.DataFrame, test: pd.DataFrame | None, sample: pd.DataFrame | None, path_column: str, name: str
) -> str:
    shared = [column for column in _columns(train) if test is None or column in test.columns]
    if sample is not None:
        asked = str(sample.columns[0])
        if asked not in shared:
            raise BadInput(f"{name}: expected the sample submission's column {asked!r} here and in the test table")
        return asked
    unique = [column for column in shared if train[column].is_unique and train[column].str.strip().ne("").all()]
    if not unique:
        raise BadInput(f"{name}: expected a column of ids, another in each row; saw {_distinct(train)}")
    return min(unique, key=lambda column: (column == path_column, not column.lower().endswith("id")))


def _target_column(
    train: pd.DataFrame, test: pd.DataFrame | None, sample: pd.DataFrame | None, used: set[str], name: str
) -> str:
    if sample is not None and len(sample.columns) == 2 and sample.columns[1] in train.columns:
        return str(sample.columns[1])
    rest = [column for column in _columns(train) if column not in used]
    labels = [column for column in rest if 2 <= train[column].nunique() <= len(train) / 2]
    if not labels:
        raise BadInput(f"{name}: expected a column of labels, two rows or more a label; saw {_distinct(train)}")
    unknown_of_test = [column for column in labels if test is not None and column not in test.columns]
    return (unknown_of_test or labels)[-1]


def _condition_column(train: pd.DataFrame, test: pd.DataFrame | None, target: str, used: set[str]) -> str | None:
    """Return the finest column that each label decides, coarser than the labels and known of test rows, or None."""
    if test is None:
        return None
    n_labels, finest, most = train[target].nunique(), None, 1
    for column in _columns(train):
        n_values = train[column].nunique()
        if column in used or column not in test.columns or not most < n_values < n_labels:
            continue
        if train.groupby(target)[column].nunique().max() == 1:
            finest, most = column, n_values
    return finest


def _of_folders(csvs: _Csvs, data_dir: Path) -> Guess:
    top = folders_in(data_dir)
    train = next((name for name in top if name.lower() in _TRAIN_FOLDERS and _classes(data_dir / name)), "")
    test = next((name for name in top if name.lower() in _TEST_FOLDERS), "test")
    classes = [name for name in _classes(data_dir / train) if train or name != test]
    doubtful = [name for name in classes if not train and name.lower() in _TRAIN_FOLDERS | _TEST_FOLDERS]
    if len(classes) - len(doubtful) < 2:
        raise BadInput(_why_nothing(csvs, data_dir))
    if doubtful:
        beside = f"{doubtful[0]}/ holds photos itself and lies beside class folders ({shown(classes, 3)})"
        raise BadInput(f"{data_dir}: {beside}: is it a class? expected train/<class>/1.jpg, or class folders alone")
    sample = csvs.sample
    id_column, target = ("id", "label") if sample is None else _columns(sample)[:2]
    submission, doubts = _submission(sample, set(classes))
    if submission["submission"] == "probabilities":
        target = "label"  # the sample's columns are the classes, and none of them is the name of the answer
    facts = {"layout": "class_folders", "train_folder": train, "test_folder": test}
    facts |= {"id_column": id_column, "target_column": target}
    return Guess({**facts, **submission}, tuple(csvs.others), doubts)


def _classes(folder: Path) -> list[str]:
    return [name for name in folders_in(folder) if photos_in(folder / name)]


def _submission(sample: pd.DataFrame | None, labels: set[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the facts of what is handed in, and a line where the class whose probability is wanted is a guess."""
    if sample is None:
        return {"submission": "label"}, ()
    answers = set(sample.iloc[:, 1])
    if len(sample.columns) > 2:
        if set(_columns(sample)[1:]) == labels:
            return {"submission": "probabilities"}, ()
        raise BadInput(f"sample submission: expected two columns, or id and one a class; saw {_distinct(sample)}")
    if len(labels) != 2 or answers <= labels or not all(map(_is_fraction, answers)):
        return {"submission": "label"}, ()
    column = str(sample.columns[1])
    told = [label for label in labels if label == column or label.lower() in _POSITIVE]
    if len(told) == 1:
        return {"submission": "probability", "positive": told[0]}, ()
    last = max(labels, key=natural_key)
    doubt = f"positive={last!r} is a guess: is {column!r} the probability of that class? if not, name the other one"
    return {"submission": "probability", "positive": last}, (doubt,)


def _is_fraction(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _why_nothing(csvs: _Csvs, data_dir: Path) -> str:
    """Return the line for a folder that is no layout we know: what comes nearest, and what else was seen."""
    for name, frame in csvs.others.items():
        nearest = _nearest_to_path(frame, data_dir)
        if nearest:
            return f"{data_dir / name}: {nearest}; expected whole paths below the folder, such as train/1.jpg: add them"
    wanted = "a CSV with a column of photo paths, or class folders (train/<class>/1.jpg or <class>/1.jpg)"
    tables = [f"{name} with columns {shown(_columns(frame), 9)}" for name, frame in csvs.others.items()]
    return f"{data_dir}: expected {wanted}; saw {'; '.join([*tables, _seen(data_dir)])}"


def _nearest_to_path(frame: pd.DataFrame, data_dir: Path) -> str | None:
    """Return which column names photos by a part of their path, such as `1` for train/1.jpg, or None."""
    folders = sorted(folders_in(data_dir), key=lambda folder: folder.lower() in _TEST_FOLDERS)
    photos: dict[str, PurePosixPath] = {}
    for path in (PurePosixPath(folder, photo) for folder in folders for photo in photos_in(data_dir / folder)):
        for part in (path.name, path.stem, path.with_suffix("").as_posix()):
            photos.setdefault(part, path)
    hits = {column: [value for value in frame[column] if value in photos] for column in _columns(frame)}
    column = max(hits, key=lambda name: len(hits[name]))
    if not hits[column]:
        return None
    first = hits[column][0]
    return f"column {column!r} names {len(hits[column]):,} photos only by a part of their path ({first} for {photos[first]})"


def _seen(data_dir: Path) -> str:
    folders = [_folder_in_words(data_dir, name) for name in folders_in(data_dir)]
    files = sorted((path.name for path in data_dir.glob("[!.]*") if path.is_file()), key=natural_key)
    more = f" and {len(folders) - 4} more" if len(folders) > 4 else ""
    photos = [name for name in files if is_photo_name(name)]
    named = [name for name in files if not is_photo_name(name)]
    parts = [f"folders {', '.join(folders[:4])}{more}"] if folders else ["no folders"]
    parts += [f"{len(photos):,} photos in no folder"] if photos else []
    return "; ".join(parts + ([f"files {shown(named, 5)}"] if named else []))


def _folder_in_words(data_dir: Path, name: str) -> str:
    photos = photos_in(data_dir / name)
    first = f", such as {shown(photos)}" if photos else ""
    return f"{shown([name])} ({len(photos):,} photos directly in it{first})"


def _distinct(frame: pd.DataFrame) -> str:
    return ", ".join(f"{shown([column])} ({frame[column].nunique():,} distinct)" for column in _columns(frame)[:9])


def _columns(frame: pd.DataFrame) -> list[str]:
    return [str(column) for column in frame.columns]
