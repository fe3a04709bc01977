"""Raw files become two tables, train and test, whose columns have the same names whatever the competition calls them.

    train: id, path, label [, condition] [, group]        test: id, path [, condition]

A layout reads; `read_tables` refuses what cannot be right, in one line, before anything is computed from it.
"""

from __future__ import annotations

import csv
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pandas as pd

from comp.arrays import file_of
from comp.errors import BadInput
from comp.metrics import metric
from comp.registry import did_you_mean, load_layout
from comp.spec import Competition

_BREAKING = frozenset({"Cc", "Cs", "Zl", "Zp"})  # categories of Unicode
MOST_ABSENT = 0.05  # share of photos without which a folder still counts as holding a competition's data


@dataclass(frozen=True, eq=False)
class Tables:
    """What is competed in, row by row; every value is text, rows stand in the order of their file.

    Attributes:
        data_dir: Folder that each `path` is below.
        train: Columns id, path, label, and condition and group where the competition has them.
        test: Columns id, path, and condition (the empty string where a row has none); None where there is no test set.
        sample: The sample submission exactly as it was read, or None.
        missing: Paths of train photos that are absent and whose rows were left out because that was allowed.
        notes: Lines for the person: what was left out or not used, and why.
    """

    competition: Competition
    data_dir: Path
    train: pd.DataFrame
    test: pd.DataFrame | None = None
    sample: pd.DataFrame | None = None
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_data_dir(competition: Competition, data: Path | None, data_root: Path) -> Path:
    """Return the folder of raw files: the one given, else the first of the competition's names whose data are there.

    Where none of the folders is whole, it is the first that is there at all, so that what it lacks is told.

    Args:
        data: What DATA= says, or None.
        data_root: What DATA_ROOT= says: where the folder names of the competition are looked for.

    Raises:
        BadInput: If none is given and none is found.
    """
    if data is not None:
        return data.expanduser()
    places = [data_root.expanduser() / Path(folder).expanduser() for folder in competition.folders]
    there = [place for place in places if place.is_dir()]
    if there:
        whole = (place for place in there if len(there) == 1 or not what_lacks(competition, place))
        return next(whole, there[0])
    looked = f"looked for {', '.join(map(str, places))}" if places else "it names no folder to look for"
    raise BadInput(f"no data for {competition.name}: {looked}; say where it lies: DATA=folder")


def what_lacks(competition: Competition, data_dir: Path) -> str:
    """Return why a folder does not hold a competition's data (no table, or fewer than 95 % of its photos), or the empty string."""
    try:
        check_folder(data_dir)
        tables: Tables = load_layout(competition.layout).read(competition, data_dir)
    except BadInput as error:
        return str(error)
    paths = [*tables.train["path"], *([] if tables.test is None else tables.test["path"])]
    absent = absent_paths(data_dir, paths)
    return _counted(data_dir, absent, len(paths)) if len(absent) > MOST_ABSENT * len(paths) else ""


def read_tables(competition: Competition, data_dir: Path, allow_missing: bool = False) -> Tables:
    """Return the competition's train and test rows, read by its layout and checked alike for all layouts.

    Nothing is written into `data_dir`, and no row is dropped, repaired or reordered in silence.

    Args:
        allow_missing: Whether to go on where photos are absent: train rows without a photo are then left out and
            listed in `missing`; test rows without a photo stay.

    Raises:
        BadInput: If the folder, a table or a column is missing or empty, ids or labels are empty or ids double, photos
            are absent, there is but one class, the metric is unknown or not for these classes, or the sample submission
            does not fit the test rows.
    """
    check_folder(data_dir)
    tables: Tables = load_layout(competition.layout).read(competition, data_dir)
    _check_columns(tables)
    train = _checked_rows(tables.train, _source(data_dir, competition.train_table, competition.train_folder))
    test = tables.test
    if test is not None:
        test = _checked_rows(test, _source(data_dir, competition.test_table, competition.test_folder))
        _check_apart(train, test)
    tables = _without_absent(replace(tables, train=train, test=test), allow_missing)
    _check_classes(tables)
    _check_sample(tables)
    return tables


def check_class_counts(labels: Iterable[str], n_folds: int) -> None:
    """Do nothing if each class has at least one row a fold.

    Raises:
        BadInput: If a class has fewer rows than folds.
    """
    counts = Counter(labels)
    rare = sorted((n, label) for label, n in counts.items() if n < n_folds)
    if not rare:
        return
    first = shown([f"{label} {n}" for n, label in rare], 3)
    fewer = f"FOLDS={rare[0][0]}, or " if rare[0][0] >= 2 else ""
    raise BadInput(
        f"{len(rare)} of {len(counts)} classes have fewer rows than the {n_folds} folds ({first}): {fewer}leave them out "
        "of the table"
    )


def read_csv(path: Path) -> pd.DataFrame:
    """Return a CSV as it stands, every field text: `NA`, `007` and the empty string stay what they are.

    Raises:
        BadInput: If it is absent, no UTF-8 text, torn or ragged, has a column name twice, or has no row.
    """
    rows = _parse(path)
    if not rows:
        raise BadInput(f"{path} is empty: expected a line of column names and at least one row")
    (_, header), body = rows[0], rows[1:]
    doubled = [name for name, n in Counter(header).items() if n > 1]
    if doubled:
        raise BadInput(f"{path}: column {doubled[0]!r} is there more than once; rename one of them")
    for line, row in body:
        if len(row) != len(header):
            raise BadInput(f"{path}, line {line}: expected {len(header)} fields, got {len(row)}; is the file whole?")
    if not body:
        raise BadInput(f"{path} has column names but no rows; expected at least one")
    return pd.DataFrame([row for _, row in body], columns=pd.Index(header, dtype="str"), dtype="str")


def odd_character(text: str) -> str:
    """Return the first character of a transcript that breaks the line or the file it is written into, or the empty string.

    Such are line breaks, control characters and halves of surrogate pairs; a no-break space or a joiner is a part of words.
    """
    return next((character for character in text if unicodedata.category(character) in _BREAKING), "")


def shown(values: Sequence[str], n: int = 1) -> str:
    """Return the first n of some wild texts for an error line: what would break the line is escaped."""
    return ", ".join(value if value.isprintable() and value else repr(value) for value in values[:n])


def _parse(path: Path) -> list[tuple[int, list[str]]]:
    # the csv module and not pandas, which fills short rows and turns a first column without a name into an index
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            return [(reader.line_num, row) for row in reader if row]
    except FileNotFoundError as error:
        raise BadInput(f"table {path.name} is missing in {path.parent}: expected it there; check DATA=") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text ({error.reason}, byte {error.start}); save it as UTF-8") from error
    except (csv.Error, OSError) as error:
        raise BadInput(f"{path} cannot be read as CSV: {error}; is the file whole?") from error


def pick_columns(frame: pd.DataFrame, columns: Mapping[str, str | None], path: Path) -> pd.DataFrame:
    """Return the columns a layout needs under their common names; where a column's name is None, it is not wanted.

    Args:
        columns: Common name (id, path, label, condition, group) to the name it has in the file.
        path: The file, for the error's sake.

    Raises:
        BadInput: If the file has no such column.
    """
    there = [str(name) for name in frame.columns]
    wanted = {common: name for common, name in columns.items() if name is not None}
    for common, name in wanted.items():
        if name not in there:
            what = f"GROUP={name}" if common == "group" else f"column {name!r} ({common})"
            hint = did_you_mean(name, there)
            raise BadInput(f"{what} is missing in {path}{hint}; its columns are: {shown(there, len(there))}")
    return pd.DataFrame({common: frame[name] for common, name in wanted.items()})


def check_folder(data_dir: Path) -> None:
    """Do nothing if the data folder is a folder.

    Raises:
        BadInput: If it is absent or a file.
    """
    if data_dir.is_dir():
        return
    is_file = "it is a file (unpack it and name the folder)" if data_dir.exists() else "there is none"
    raise BadInput(f"data folder {data_dir}: expected a folder, {is_file}; say where the raw files lie: DATA=folder")


def _check_columns(tables: Tables) -> None:
    """Refuse a competition that wants of its layout what only a table can tell."""
    competition = tables.competition
    for common, name in {"condition": competition.condition_column, "group": competition.group_column}.items():
        if name is not None and common not in tables.train.columns:
            what = f"GROUP={name}" if common == "group" else f"condition column {name!r}"
            raise BadInput(f"{what}: layout {competition.layout} has no columns; leave it out, or use a table")


def _source(data_dir: Path, table: str, folder: str) -> str:
    """Return what the person knows a table's rows by: the CSV, or the folder where there is no CSV."""
    return table if (data_dir / table).is_file() else f"{folder or data_dir.name}/"


def _checked_rows(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return one table with plain paths, after what can be said of it alone."""
    if frame.empty:
        raise BadInput(f"{name} has no rows; expected at least one photo")
    for column in ("id", "path", "label", "group"):
        if column in frame.columns:
            _check_filled(frame[column], f"{name}: {column}")
    _check_unique(frame["id"], name)
    return frame.assign(path=[_below(path, name) for path in frame["path"]])


def _check_filled(values: pd.Series[str], what: str) -> None:
    empty = [row for row, value in enumerate(values, start=1) if not value.strip()]
    if empty:
        raise BadInput(f"{what} is empty in {len(empty)} of {len(values)} rows (first: row {empty[0]}); fill them in")


def _check_unique(ids: pd.Series[str], name: str) -> None:
    doubled = [identity for identity, n in Counter(ids).items() if n > 1]
    if doubled:
        n_doubled = f"{len(doubled)} ids stand in more than one row"
        raise BadInput(f"{name}: {n_doubled} (first: {shown(doubled)}); expected each once")


def _below(path: str, name: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path:
        raise BadInput(f"{name}: photo {path!r} leaves the data folder; expected a path below it, such as train/1.jpg")
    return pure.as_posix()


def _check_apart(train: pd.DataFrame, test: pd.DataFrame) -> None:
    known = set(train["id"])
    both = [identity for identity in test["id"] if identity in known]
    if both:
        raise BadInput(f"{len(both)} ids are in train and in test (first: {shown(both)}); expected each in one of them")


def absent_paths(data_dir: Path, paths: Iterable[str]) -> list[str]:
    """Return those of the paths that are no file below `data_dir`, in order, upper and lower case told apart.

    Each folder is listed once; no file is looked up by itself, so 12,000 photos take a moment on any file system.
    """
    split = [(path, *os.path.split(file_of(path))) for path in paths]
    names: dict[str, set[str]] = defaultdict(set)
    for folder in {folder for _, folder, _ in split}:
        names[folder] = _file_names(data_dir / folder)
    return [path for path, folder, name in split if name not in names[folder]]


def _file_names(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except (OSError, ValueError):  # no such folder, one that may not be read, or a name that no folder can have
        return set()


def _without_absent(tables: Tables, allow_missing: bool) -> Tables:
    test_paths = [] if tables.test is None else list(tables.test["path"])
    absent_train = absent_paths(tables.data_dir, tables.train["path"])
    absent_test = absent_paths(tables.data_dir, test_paths)
    if not absent_train and not absent_test:
        return tables
    n_named = len(tables.train) + len(test_paths)
    counted = _counted(tables.data_dir, absent_train + absent_test, n_named)
    if not allow_missing:
        raise BadInput(f"{counted}; check DATA=, or go on without them: --allow-missing (ALLOW_MISSING=1)")
    gone = set(absent_train)
    train = tables.train[[path not in gone for path in tables.train["path"]]].reset_index(drop=True)
    if train.empty:
        raise BadInput(f"{counted}: no train photo is left; check DATA=")
    prior = f"; {len(absent_test):,} test rows get the prior" if absent_test else ""
    note = f"{counted}: {len(absent_train):,} train rows are left out{prior}"
    return replace(tables, train=train, missing=tuple(absent_train), notes=(*tables.notes, note))


def _counted(data_dir: Path, absent: Sequence[str], n_named: int) -> str:
    return f"{len(absent):,} of {n_named:,} photos are named but absent in {data_dir} (first: {shown(absent, 3)})"


def _check_classes(tables: Tables) -> None:
    competition = tables.competition
    if competition.task != "classify":
        _check_transcripts(tables.train)
        return
    classes = sorted(set(tables.train["label"]))
    if len(classes) < 2:
        one = f"of one class ({shown(classes)})"
        raise BadInput(f"all {len(tables.train):,} train rows are {one}; expected at least two classes")
    if competition.positive is not None and competition.positive not in classes:
        first = shown(classes, 3)
        raise BadInput(f"positive={competition.positive!r} is none of the {len(classes)} classes (first: {first})")
    for name in (competition.metric, *competition.also):
        metric(name, classes)  # one that is unknown, or cannot score these classes, is refused before training


def _check_transcripts(train: pd.DataFrame) -> None:
    odd = [row_id for row_id, text in zip(train["id"], train["label"], strict=True) if odd_character(text)]
    if odd:
        where = f"{len(odd)} of {len(train):,} train rows (first: id {shown(odd)})"
        raise BadInput(
            f"transcripts of {where} hold line breaks or control characters, which no CSV can be read back with"
        )


def _check_sample(tables: Tables) -> None:
    """Refuse a sample submission of other columns or ids than what will be handed in."""
    sample, competition = tables.sample, tables.competition
    if sample is None or tables.test is None:
        return
    name = competition.sample_submission
    expected, got = list(competition.submission_columns), [str(column) for column in sample.columns]
    is_wide = competition.submission == "probabilities"
    if is_wide:
        expected, got = expected[:1], got[:1]
    if got != expected:
        raise BadInput(f"{name}: expected the columns {', '.join(expected)}, got {', '.join(got)}")
    if is_wide:
        _check_class_columns(list(sample.columns)[1:], sorted(set(tables.train["label"])), name)
    _check_unique(sample[competition.id_column], name)
    _check_same_ids(list(tables.test["id"]), list(sample[competition.id_column]), name)


def _check_class_columns(columns: list[str], classes: list[str], name: str) -> None:
    lacking = [one for one in classes if one not in set(columns)]
    extra = [one for one in columns if one not in set(classes)]
    if lacking or extra:
        n_odd = f"{len(lacking)} missing, {len(extra)} too many (first: {shown(lacking + extra)})"
        raise BadInput(
            f"{name}: expected a column for each of the {len(classes)} classes of the train rows, got {n_odd}"
        )


def _check_same_ids(test_ids: list[str], sample_ids: list[str], name: str) -> None:
    in_test, in_sample = set(test_ids), set(sample_ids)
    lacking = [identity for identity in test_ids if identity not in in_sample]
    extra = [identity for identity in sample_ids if identity not in in_test]
    if lacking or extra:
        n_odd = f"{len(lacking)} missing, {len(extra)} too many (first: {shown(lacking + extra)})"
        raise BadInput(f"{name}: expected the ids of the {len(test_ids)} test rows, got {n_odd}; check DATA=")
