"""Predictions of any other tool, admitted beside our runs after the same checks: ids, classes, every train row once, no leak."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from comp.errors import BadInput, Refused
from comp.metrics import Floats
from comp.store import locked, read_json, sha256_of_file, write_array, write_json, write_marker
from comp.tables import read_csv
from folds.dataset import Dataset
from folds.oof import Predictions, align, read_predictions
from submissions.matched import match
from submissions.stored import OUTSIDE

FOLD_COLUMN = "fold"
SUM_TOLERANCE = 1e-3
LEAK_SIGMAS = 6.0  # a fold so much better than the others was, in all likelihood, trained on


@dataclass(frozen=True)
class Admitted:
    """Where predictions were put, and whether their folds were declared and are ours."""

    folder: Path
    folds: str
    n_rows: int
    n_test: int


def add_run(name: str, oof: Path, test: Path, dataset: Dataset, id_column: str, is_trusted: bool = False) -> Admitted:
    """Check predictions of another tool and put them beside the runs over a fold table.

    Each CSV has the id column, a column for each class, and nothing else but, out-of-fold, perhaps a column `fold`: the fold
    whose rows the model did not see. Nothing is clipped, scaled or filled in.

    Args:
        is_trusted: Whether to admit them although one fold scores so much better than the others that it looks trained on.

    Raises:
        BadInput: If the name is none, or is taken by other predictions, or a file lacks a column.
        Refused: If ids or classes differ from the fold table's, a row is no probabilities (named by its id), the folds are not
            those of the table, or one fold looks trained on.
    """
    if not re.fullmatch(r"[\w.-]+", name):
        raise BadInput(f"NAME={name!r}: expected letters, digits, dot, dash and underscore; it names a folder")
    rows, tests = read_csv(oof), read_csv(test)
    folds = _folds(rows, id_column, dataset, oof)
    predictions = _aligned(
        Predictions(
            *_table(rows.drop(columns=FOLD_COLUMN, errors="ignore"), id_column, dataset.classes, oof),
            *_table(tests, id_column, dataset.classes, test),
            dataset.classes,
        ),
        dataset,
    )
    if not is_trusted:
        _refuse_leak(predictions.oof, dataset, oof)
    folder = dataset.folder / f"{OUTSIDE}{name}"
    facts = {"name": name, "folds": folds, "sha256": {"oof": sha256_of_file(oof), "test": sha256_of_file(test)}}
    _write(folder, predictions, facts)
    return Admitted(folder, folds, len(predictions.oof_ids), len(predictions.test_ids))


def _table(frame: pd.DataFrame, id_column: str, classes: Sequence[str], path: Path) -> tuple[list[str], Floats]:
    """Return ids and (N, C) probabilities in the order of the classes."""
    if id_column not in frame.columns:
        raise BadInput(f"{path}: it has no column {id_column!r}, only {', '.join(map(str, frame.columns[:6]))}")
    ids = frame[id_column].tolist()
    others = [str(column) for column in frame.columns if column != id_column]
    if set(others) != set(classes):
        foreign = sorted(set(others) ^ set(classes))
        raise Refused(
            f"{path}: expected one column for each of the {len(classes)} classes, got {len(others)}; the first that is "
            f"missing or foreign is {foreign[0]!r}"
        )
    numbers = frame[list(classes)].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore"):  # what is no finite number is caught here
        is_good = (numbers >= 0).all(axis=1) & (np.abs(numbers.sum(axis=1) - 1) <= SUM_TOLERANCE)
    if not is_good.all():
        row = int(np.argmin(is_good))
        raise Refused(
            f"{path}, line {row + 2} (id {ids[row]}): expected {len(classes)} probabilities of 0 or more that sum to 1, got "
            f"lowest {numbers[row].min():.6g} and sum {numbers[row].sum():.6g}"
        )
    return ids, numbers.astype(np.float32)


def _aligned(found: Predictions, dataset: Dataset) -> Predictions:
    """Return the predictions in the order of the fold table; test rows whose photo we cannot read are left out."""
    readable = dataset.readable_test["id"].tolist()
    every = dataset.test["id"].tolist()
    test_ids, test = found.test_ids, found.test
    if set(test_ids) == set(every) and len(test_ids) == len(every):
        test = align(test_ids, every, test, "test rows")[(dataset.test["sha"] != "").to_numpy()]
        test_ids = readable
    run = Predictions(found.oof_ids, found.oof, test_ids, test, found.classes)
    matched = match(dataset, {"to be added": run})
    return Predictions(dataset.in_folds["id"].tolist(), matched.oof[0], readable, matched.test[0], dataset.classes)


def _folds(rows: pd.DataFrame, id_column: str, dataset: Dataset, path: Path) -> str:
    """Return `declared` where each row's fold is ours, `unverified` where none is given."""
    if FOLD_COLUMN not in rows.columns or FOLD_COLUMN in dataset.classes or id_column not in rows.columns:
        return "unverified"
    ours = dict(zip(dataset.in_folds["id"], dataset.in_folds["fold"].astype(str), strict=True))
    for row_id, fold in zip(rows[id_column], rows[FOLD_COLUMN], strict=True):
        if ours.get(row_id, fold) != fold:
            raise Refused(
                f"{path}: id {row_id} was predicted as a row of fold {fold}, here it is in fold {ours[row_id]}; train over "
                f"{dataset.folder / 'folds.csv'}, or leave the column {FOLD_COLUMN!r} out and it is marked unverified"
            )
    return "declared"


def _refuse_leak(oof: Floats, dataset: Dataset, path: Path) -> None:
    """Refuse predictions one of whose folds is far more accurate than the others: its model saw those rows."""
    is_hit, fold = oof.argmax(axis=1) == dataset.truth, dataset.in_folds["fold"].to_numpy()
    for k in range(dataset.n_folds):
        inside, others = is_hit[fold == k], is_hit[fold != k]
        share = np.clip(others.mean(), 0.5 / len(others), 1 - 0.5 / len(others))
        sigmas = (inside.mean() - share) / np.sqrt(share * (1 - share) / len(inside))
        spread = np.std([is_hit[fold == other].mean() for other in range(dataset.n_folds) if other != k])
        if sigmas > LEAK_SIGMAS and inside.mean() - share > LEAK_SIGMAS * spread:
            raise Refused(
                f"{path}: fold {k} has accuracy {inside.mean():.3f}, the others {others.mean():.3f}: it looks trained on what "
                "it scores; mend it, or say --trust if that is how it is"
            )


def _write(folder: Path, predictions: Predictions, facts: Mapping[str, object]) -> None:
    with locked(folder.with_name(f".{folder.name}.lock")):
        if (folder / "outside.json").is_file():
            if read_json(folder / "outside.json")["sha256"] != facts["sha256"]:
                raise BadInput(f"{folder} holds other predictions: take another name, or remove that folder first")
            return
        write_array(folder / "oof.npy", predictions.oof)
        write_array(folder / "test.npy", predictions.test)
        ids = {"oof": predictions.oof_ids, "test": predictions.test_ids, "classes": predictions.classes}
        write_json(folder / "predictions.json", ids)
        write_json(folder / "outside.json", facts)
        write_marker(folder, ["oof.npy", "test.npy", "predictions.json", "outside.json"])


def outside_runs(dataset: Dataset, names: str | None) -> dict[str, Path]:
    """Return the folders of admitted predictions, by name of the run.

    Args:
        names: What WITH says: names separated by spaces or commas; None: none.

    Raises:
        BadInput: If one was never admitted over this fold table.
    """
    found = {}
    for name in re.split(r"[\s,]+", names.strip()) if names else []:
        folder = dataset.folder / f"{OUTSIDE}{name}"
        if not (folder / "outside.json").is_file():
            there = sorted(
                path.parent.name.removeprefix(OUTSIDE) for path in dataset.folder.glob(f"{OUTSIDE}*/outside.json")
            )
            raise BadInput(
                f"WITH={name}: no such predictions over fold table {dataset.data8}, there are {', '.join(there) or 'none'}; "
                "admit them first: python -m submissions add-run"
            )
        found[folder.name] = folder
    return found


def read_outside(folder: Path) -> tuple[Predictions, str]:
    """Return admitted predictions, and whether their folds were declared."""
    return read_predictions(folder), str(read_json(folder / "outside.json")["folds"])
