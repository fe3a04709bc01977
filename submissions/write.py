"""Probabilities of test rows to a checked CSV with its manifest: the one writer of every kind of submission."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from comp.console import say
from comp.errors import BadInput, Refused
from comp.spec import Competition
from comp.store import locked, read_json, write_bytes, write_json
from comp.tables import Tables
from folds.dataset import Dataset
from folds.oof import Predictions
from folds.runs import submission_path
from submissions.check import check_frame

DIGITS = 6  # of a probability in a CSV


def template_ids(tables: Tables, dataset: Dataset) -> list[str]:
    """Return the ids of the CSV: in the order of the sample submission, else of the test table, else of the hold-out."""
    if tables.sample is not None:
        return list(tables.sample[tables.competition.id_column])
    return list(dataset.test["id"])


def with_prior(predictions: Predictions, ids: Sequence[str], dataset: Dataset) -> np.ndarray:
    """Return (M, C) probabilities of all test rows, in the order of `ids`; an unreadable row gets the shares of the classes."""
    prior = np.bincount(dataset.truth, minlength=len(dataset.classes)) / len(dataset.truth)
    row_of = {row_id: row for row, row_id in enumerate(predictions.test_ids)}
    table = np.tile(prior, (len(ids), 1))
    for position, row_id in enumerate(ids):
        if row_id in row_of:
            table[position] = predictions.test[row_of[row_id]]
    return table


def template_classes(tables: Tables, dataset: Dataset) -> list[str]:
    """Return the classes in the order of the CSV's columns: that of the sample submission where it has them, else sorted.

    Raises:
        Refused: If the sample submission has other classes than the fold table.
    """
    sample, competition = tables.sample, tables.competition
    if sample is None or competition.submission != "probabilities":
        return dataset.classes
    return ordered_classes(list(sample.columns)[1:], dataset.classes, competition.sample_submission)


def ordered_classes(columns: Sequence[str], classes: Sequence[str], name: str) -> list[str]:
    """Return the classes in the order that a file has them as columns.

    Args:
        name: Of the file, the subject of the message.

    Raises:
        Refused: If they are other classes.
    """
    odd = sorted(set(columns) ^ set(classes))
    if odd:
        raise Refused(
            f"{name}: expected a column for each of the {len(classes)} classes of the fold table; {odd[0]!r} differs"
        )
    return list(columns)


def make_frame(
    competition: Competition,
    ids: Sequence[str],
    probabilities: np.ndarray,
    classes: Sequence[str],
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the submission as text, in the competition's columns.

    Args:
        probabilities: (M, C), rows in the order of `ids`, columns in that of `classes`.
        columns: The classes in the order in which they are written, where each has a column; as they are where None.
    """
    id_column, target_column = competition.submission_columns
    frame = pd.DataFrame({id_column: pd.Series(list(ids), dtype=str)})
    if competition.submission == "label":
        frame[target_column] = np.asarray(classes, dtype=str)[probabilities.argmax(axis=1)]
    elif competition.submission == "probability":
        column = list(classes).index(competition.positive or classes[-1])
        frame[target_column] = _as_text(probabilities[:, column])
    else:
        index_of = {name: index for index, name in enumerate(classes)}
        for name in columns or classes:
            frame[name] = _as_text(probabilities[:, index_of[name]])
    return frame


def _as_text(numbers: np.ndarray) -> list[str]:
    return [f"{number:.{DIGITS}f}" for number in np.clip(numbers, 0.0, 1.0)]


def facts_of_format(competition: Competition) -> dict[str, Any]:
    """Return how answers are written down, as the manifest records it: enough to write the CSV again without the competition."""
    names = ("id_column", "target_column", "condition_column", "submission", "positive")
    return {name: getattr(competition, name) for name in names}


def make_submission(tables: Tables, dataset: Dataset, predictions: Predictions) -> pd.DataFrame:
    """Return the CSV's content as text, checked.

    Raises:
        Refused: If it fails its own check.
    """
    competition = tables.competition
    ids, columns = template_ids(tables, dataset), template_classes(tables, dataset)
    frame = make_frame(competition, ids, with_prior(predictions, ids, dataset), dataset.classes, columns)
    check_frame(_as_read(as_csv(frame)), competition, ids, columns, "the new submission")
    return frame


def make_text_submission(tables: Tables, dataset: Dataset, texts: Mapping[str, str]) -> pd.DataFrame:
    """Return the CSV's content, checked, where transcripts are asked for.

    Args:
        texts: Of each test row, by id.

    Raises:
        Refused: If it fails its own check.
    """
    competition, ids = tables.competition, template_ids(tables, dataset)
    frame = make_text_frame(competition, ids, texts)
    check_frame(_as_read(as_csv(frame)), competition, ids, dataset.classes, "the new submission")
    return frame


def make_text_frame(competition: Competition, ids: Sequence[str], texts: Mapping[str, str]) -> pd.DataFrame:
    """Return the submission of transcripts, in the competition's columns and the order of `ids`."""
    id_column, target_column = competition.submission_columns
    told = [texts[row_id] for row_id in ids]
    return pd.DataFrame({id_column: pd.Series(list(ids), dtype=str), target_column: pd.Series(told, dtype=str)})


def write_submission(frame: pd.DataFrame, dataset: Dataset, competition: Competition, manifest: dict[str, Any]) -> Path:
    """Write a checked CSV under its hash and its manifest beside it, and return the CSV's path."""
    content = as_csv(frame)
    sha = hashlib.sha256(content).hexdigest()
    path = submission_path(dataset.folder, sha)
    with locked(path.with_name(".lock"), say):
        facts = {"sha256": sha, "competition": competition.name, **manifest}
        facts |= _of_the_work(path.with_suffix(".json"), facts)
        write_bytes(path, content)
        write_json(path.with_suffix(".json"), facts)
    return path


def _of_the_work(path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the command that trained the same runs and how long it took, where an earlier one did: a repetition does nothing."""
    if not path.is_file():
        return {}
    before = read_json(path)
    keys = [[run["key"] for run in found.get("runs", [])] for found in (before, facts)]
    if keys[0] != keys[1] or before.get("command_seconds", 0) < facts.get("command_seconds", 0):
        return {}
    return {name: before[name] for name in ("command", "command_seconds", "jobs") if name in before}


def as_csv(frame: pd.DataFrame) -> bytes:
    """Return a submission as the bytes of its file."""
    return frame.to_csv(index=False, lineterminator="\n").encode()


def _as_read(content: bytes) -> pd.DataFrame:
    return pd.read_csv(StringIO(content.decode()), dtype=str, keep_default_na=False)


def check_out(out: Path) -> Path:
    """Return where a CSV is wanted, `~` expanded: asked before anything is computed for it.

    Raises:
        BadInput: If that is a folder, does not end in `.csv`, or nothing can be written there.
    """
    path = Path(os.path.expanduser(out))
    if os.path.isdir(path):  # pathlib's raises where a folder above may not be looked into
        raise BadInput(f"OUT={out}: it is a folder; expected a file, such as OUT={out / 'answers.csv'}")
    if path.suffix.lower() != ".csv":
        raise BadInput(f"OUT={out}: expected a file that ends in .csv; a manifest goes beside it, which ends in .json")
    above = next(folder for folder in path.absolute().parents if os.path.exists(folder))
    if not os.path.isdir(above):
        raise BadInput(f"OUT={out}: {above} is a file; expected a folder, or none yet, that the CSV goes into")
    if not os.access(above, os.W_OK | os.X_OK):
        raise BadInput(f"OUT={out}: nothing can be written into {above}; name another place, or allow it")
    return path


def copy_to(path: Path, out: Path) -> Path:
    """Copy a CSV and its manifest to where the person wants them, and return the copy's path."""
    write_bytes(out, path.read_bytes())
    write_bytes(out.with_suffix(".json"), path.with_suffix(".json").read_bytes())
    return out
