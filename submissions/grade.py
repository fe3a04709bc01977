"""Scoring a CSV against answers, as a hidden grader would: with the competition's metrics, after the same checks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from comp.bootstrap import interval
from comp.errors import BadInput, Refused
from comp.metrics import metric
from comp.spec import Competition
from comp.tables import read_csv
from comp.text_metrics import resampled_text_scores, text_metric
from submissions.check import check_frame

OF_PROBABILITIES = frozenset({"log_loss", "auc", "top5"})


def grade(file: Path, answers: Path, competition: Competition) -> dict[str, float]:
    """Return the competition's metrics of a CSV, and `n`, the number of rows.

    Args:
        file: The submission.
        answers: Table with the competition's id and target columns; others are ignored.

    Raises:
        BadInput: If the answers lack a column.
        Refused: If the submission is malformed; the first bad row is named.
    """
    id_column, target_column = competition.submission_columns
    truth_table = read_csv(answers)
    for column in (id_column, target_column):
        if column not in truth_table.columns:
            raise BadInput(f"{answers}: it has no column {column!r}, only {', '.join(truth_table.columns)}")
    return grade_frame(read_csv(file), truth_table[id_column], truth_table[target_column], competition, str(file))


def grade_frame(
    frame: pd.DataFrame, ids: pd.Series, labels: pd.Series, competition: Competition, name: str
) -> dict[str, float]:
    """Grade a submission that is read as text; rows are matched by id, so their order does not matter.

    A CSV of labels has no score in metrics of probabilities.
    """
    if competition.submission == "text":
        return _text_scores(frame, competition, _answers_to(frame, ids, labels, competition, name)[0])
    truth, probabilities = matched(frame, ids, labels, competition, name)
    also = [one for one in competition.also if competition.submission != "label" or one not in OF_PROBABILITIES]
    scores = {one: float(metric(one).function(truth, probabilities, None)) for one in (competition.metric, *also)}
    return {**scores, "n": len(frame)}


def graded_interval(
    frame: pd.DataFrame, ids: pd.Series, labels: pd.Series, competition: Competition, name: str
) -> tuple[float, float]:
    """Return the bootstrap interval (95 %) of a submission's score in the competition's metric, labels resampled within class."""
    if competition.submission == "text":
        truth, _ = _answers_to(frame, ids, labels, competition, name)
        texts = frame[competition.target_column].tolist()
        low, high = np.quantile(resampled_text_scores(text_metric(competition.metric), truth, texts), [0.025, 0.975])
        return float(low), float(high)
    return interval(metric(competition.metric), *matched(frame, ids, labels, competition, name))


def matched(
    frame: pd.DataFrame, ids: pd.Series, labels: pd.Series, competition: Competition, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) class index and (N, C) probabilities of a submission's rows, after all checks; 0 or 1 where it tells labels.

    Raises:
        Refused: If it is malformed, or its ids are not those of the answers.
    """
    truth, classes = _answers_to(frame, ids, labels, competition, name)
    return np.array([classes.index(label) for label in truth]), _probabilities(frame, competition, classes)


def _answers_to(
    frame: pd.DataFrame, ids: pd.Series, labels: pd.Series, competition: Competition, name: str
) -> tuple[list[str], list[str]]:
    """Return the true answer of each row of a submission, after all checks, and the classes that count."""
    id_column = competition.id_column
    if id_column not in frame.columns:
        raise Refused(f"{name}: it has no column {id_column!r}, only {', '.join(map(str, frame.columns))}")
    wanted = dict(zip(ids, labels, strict=True))
    foreign = [row_id for row_id in frame[id_column] if row_id not in wanted]
    if foreign or len(frame) != len(wanted):
        first = f", the first foreign one is {foreign[0]!r}" if foreign else ""
        raise Refused(f"{name}: it has {len(frame)} ids, the answers have {len(wanted)}{first}")
    known = sorted(set(labels))
    classes = _classes(frame, competition, known)
    check_frame(frame, competition, list(frame[id_column]), classes, name)
    if frame[id_column].duplicated().any():
        raise Refused(f"{name}: id {frame[id_column][frame[id_column].duplicated()].iloc[0]!r} is there twice")
    return [wanted[row_id] for row_id in frame[id_column]], classes


def _text_scores(frame: pd.DataFrame, competition: Competition, truth: list[str]) -> dict[str, float]:
    texts = frame[competition.target_column].tolist()
    names = (competition.metric, *competition.also)
    return {**{name: text_metric(name).function(truth, texts) for name in names}, "n": len(frame)}


def _classes(frame: pd.DataFrame, competition: Competition, known: list[str]) -> list[str]:
    """Return the classes that count: those of the answers, and those that the submission tells besides.

    A class that only the submission has is no error where the test set happens to hold none of it.
    """
    id_column, target_column = competition.submission_columns
    if competition.submission == "label" and target_column in frame.columns:
        return sorted({*known, *frame[target_column]})
    if competition.submission == "probabilities":
        told = [column for column in frame.columns if column != id_column]
        return told if set(known) <= set(told) else known
    return known


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
