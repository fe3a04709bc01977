"""Probabilities of test rows to a checked CSV with its manifest: the one writer of every kind of submission."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from comp.console import say
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


def make_frame(
    competition: Competition, ids: Sequence[str], probabilities: np.ndarray, classes: Sequence[str]
) -> pd.DataFrame:
    """Return the submission as text, in the competition's columns.

    Args:
        probabilities: (M, C), rows in the order of `ids`.
    """
    id_column, target_column = competition.submission_columns
    frame = pd.DataFrame({id_column: pd.Series(list(ids), dtype=str)})
    if competition.submission == "label":
        frame[target_column] = np.asarray(classes, dtype=str)[probabilities.argmax(axis=1)]
    elif competition.submission == "probability":
        column = list(classes).index(competition.positive or classes[-1])
        frame[target_column] = _as_text(probabilities[:, column])
    else:
        for index, name in enumerate(classes):
            frame[name] = _as_text(probabilities[:, index])
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
    ids = template_ids(tables, dataset)
    frame = make_frame(competition, ids, with_prior(predictions, ids, dataset), dataset.classes)
    check_frame(_as_read(as_csv(frame)), competition, ids, dataset.classes, "the new submission")
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


def copy_to(path: Path, out: Path) -> Path:
    """Copy a CSV and its manifest to where the person wants them, and return the copy's path."""
    write_bytes(out, path.read_bytes())
    write_bytes(out.with_suffix(".json"), path.with_suffix(".json").read_bytes())
    return out
