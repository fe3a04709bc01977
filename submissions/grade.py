"""Scoring a CSV against answers, as a hidden grader would: with the competition's metrics, after the same checks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from comp.bootstrap import interval
from comp.errors import BadInput, FoldboardError, Refused
from comp.metrics import metric
from comp.spec import Competition
from comp.store import read_json
from comp.tables import read_csv
from comp.text_metrics import resampled_text_scores, text_metric
from folds.runs import RUNS
from submissions.check import check_frame


@dataclass(frozen=True, eq=False)
class Graded:
    """A submission beside the true answers, after all checks.

    Attributes:
        frame: Rows in their own order.
        truth: The true answer of each.
        classes: Those that a row may have, sorted; for probabilities in the order of the columns.
    """

    frame: pd.DataFrame
    competition: Competition
    truth: list[str]
    classes: list[str]

    @cached_property
    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (N,) true class index and (N, C) probabilities; 0 or 1 where labels are told."""
        truth = np.array([self.classes.index(label) for label in self.truth])
        return truth, _probabilities(self.frame, self.competition, self.classes)

    @property
    def texts(self) -> list[str]:
        """Return what is told of each row, where that is a transcript."""
        return self.frame[self.competition.target_column].tolist()

    def scores(self) -> dict[str, float]:
        """Return the competition's metrics, and `n`, the number of rows; labels have no score in metrics of probabilities."""
        competition = self.competition
        if competition.submission == "text":
            names = (competition.metric, *competition.also)
            return {
                **{name: text_metric(name).function(self.truth, self.texts) for name in names},
                "n": len(self.truth),
            }
        main, *others = (metric(name, self.classes) for name in (competition.metric, *competition.also))
        also = [one for one in others if competition.submission != "label" or one.of_labels]
        return {**{one.name: float(one.function(*self.table, None)) for one in (main, *also)}, "n": len(self.truth)}

    def score_interval(self) -> tuple[float, float]:
        """Return the bootstrap interval (95 %) of the score in the competition's metric, labels resampled within class."""
        name = self.competition.metric
        if self.competition.submission != "text":
            return interval(metric(name, self.classes), *self.table)
        low, high = np.quantile(resampled_text_scores(text_metric(name), self.truth, self.texts), [0.025, 0.975])
        return float(low), float(high)


def grade(file: Path, answers: Path, competition: Competition) -> dict[str, float]:
    """Return the competition's metrics of a CSV, and `n`, the number of rows.

    Args:
        file: The submission.
        answers: Table with the competition's id and target columns; others are ignored.

    Raises:
        BadInput: If the answers lack a column, tell an id twice, or have an empty label.
        Refused: If the submission is malformed; the first bad row is named.
    """
    id_column, target_column = competition.submission_columns
    truth_table = read_csv(answers)
    for column in (id_column, target_column):
        if column not in truth_table.columns:
            raise BadInput(f"{answers}: it has no column {column!r}, only {', '.join(truth_table.columns)}")
    ids, labels = truth_table[id_column].tolist(), truth_table[target_column].tolist()
    _check_once(ids, str(answers), BadInput)
    if competition.submission != "text" and "" in labels:
        row = labels.index("")
        raise BadInput(f"{answers}, line {row + 2} (id {ids[row]}): its {target_column} is empty; expected a class")
    return graded(read_csv(file), ids, labels, competition, str(file), classes_here(competition)).scores()


def classes_here(competition: Competition, runs: Path = RUNS) -> set[str]:
    """Return the classes of a competition's fold tables, as far as some are here; none for transcripts."""
    if competition.submission == "text":
        return set()
    tables = (read_json(path) for path in (runs / competition.name).glob("*/dataset.json"))
    return {name for facts in tables for name in facts["classes"]}


def graded(
    frame: pd.DataFrame,
    ids: Sequence[str],
    labels: Sequence[str],
    competition: Competition,
    name: str,
    known: Collection[str] = (),
) -> Graded:
    """Return a submission that is read as text beside the answers; rows are matched by id, so their order does not matter.

    Args:
        ids, labels: The answers.
        name: Of the submission, the subject of messages.
        known: The competition's classes. None: a class that only the submission has is no error, for the answers may
            happen to hold no row of it.

    Raises:
        Refused: If it is malformed, or its ids are not those of the answers; the first bad row is named.
    """
    id_column = competition.id_column
    if id_column not in frame.columns:
        raise Refused(f"{name}: it has no column {id_column!r}, only {', '.join(map(str, frame.columns))}")
    wanted = dict(zip(ids, labels, strict=True))
    got = frame[id_column].tolist()
    _check_ids(got, wanted, name)
    classes = _classes(frame, competition, set(wanted.values()), set(known))
    check_frame(frame, competition, got, classes, name)
    return Graded(frame, competition, [wanted[row_id] for row_id in got], classes)


def _check_once(ids: Sequence[str], name: str, error: type[FoldboardError]) -> None:
    first: dict[str, int] = {}
    for line, row_id in enumerate(ids, start=2):
        if row_id in first:
            raise error(
                f"{name}, line {line}: id {row_id!r} is there twice, first in line {first[row_id]}; expected it once"
            )
        first[row_id] = line


def _check_ids(got: Sequence[str], wanted: Collection[str], name: str) -> None:
    """Refuse ids that are there twice, are none of the answers', or lack, in this order."""
    _check_once(got, name, Refused)
    for line, row_id in enumerate(got, start=2):
        if row_id not in wanted:
            raise Refused(f"{name}, line {line}: id {row_id!r} is none of the {len(wanted)} ids of the answers")
    there = set(got)
    for line, row_id in enumerate(wanted, start=2):
        if row_id not in there:
            counted = f"it has {len(got)} ids, the answers have {len(wanted)}"
            raise Refused(f"{name}: {counted}; the first that is missing is {row_id!r}, in line {line} of the answers")


def _classes(frame: pd.DataFrame, competition: Competition, true: set[str], known: set[str]) -> list[str]:
    """Return the classes that a submission may tell: those of the answers and the known ones; what it tells where none is known.

    Those that neither the answers nor the submission have change no score of labels.
    """
    id_column, target_column = competition.submission_columns
    if competition.submission == "label" and target_column in frame.columns:
        return sorted(true | (known or set(frame[target_column]) - {""}))
    if competition.submission == "probabilities":
        told = [column for column in frame.columns if column != id_column]
        return told if true <= set(told) <= true | (known or set(told)) else sorted(true | known)
    return sorted(true)


def _probabilities(frame: pd.DataFrame, competition: Competition, classes: list[str]) -> np.ndarray:
    target_column = competition.target_column
    if competition.submission == "label":
        return np.eye(len(classes))[[classes.index(label) for label in frame[target_column]]]
    if competition.submission == "probability":
        positive = frame[target_column].astype(float).to_numpy()
        columns = [positive if name == (competition.positive or classes[-1]) else 1 - positive for name in classes]
        return np.stack(columns, axis=1)
    return frame[classes].astype(float).to_numpy()


def grade_line(scores: dict[str, float]) -> str:
    """Return the scores as one line that a script can read: `macro_f1=0.8123 accuracy=0.8567 n=894`."""
    return " ".join(f"{name}={value}" if name == "n" else f"{name}={value:.4f}" for name, value in scores.items())
