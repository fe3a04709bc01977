"""A CSV is checked before anyone sees it: columns, ids, order, label names, ranges and row sums; the first bad row is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from comp.errors import Refused
from comp.spec import Competition
from comp.tables import odd_character, read_csv

ROW_SUM_TOLERANCE = 1e-3


def check_file(path: Path, competition: Competition, ids: Sequence[str], classes: Sequence[str]) -> None:
    """Read a CSV as Kaggle would and check every row.

    Args:
        ids: The test ids, in the order of the sample submission where there is one.
        classes: The class names.

    Raises:
        Refused: With one line that names the file and the first bad row.
    """
    check_frame(read_csv(path), competition, ids, classes, str(path))


def check_frame(
    frame: pd.DataFrame, competition: Competition, ids: Sequence[str], classes: Sequence[str], name: str
) -> None:
    """Check a submission that is read as text; see `check_file`."""
    id_column, target_column = competition.submission_columns
    answers = list(classes) if competition.submission == "probabilities" else [target_column]
    if list(frame.columns) != [id_column, *answers]:
        raise Refused(f"{name}: its columns are {list(frame.columns)[:6]}, expected {[id_column, *answers][:6]}")
    _check_ids(frame[id_column].tolist(), list(ids), name)
    if competition.submission == "label":
        _check_labels(frame, id_column, target_column, set(classes), name)
    elif competition.submission == "text":
        _check_texts(frame, id_column, target_column, name)
    else:
        _check_numbers(frame, id_column, answers, name)


def _check_ids(got: list[str], expected: list[str], name: str) -> None:
    if got == expected:
        return
    for row, (one, other) in enumerate(zip(got, expected, strict=False), start=2):
        if one != other:
            raise Refused(
                f"{name}, line {row}: its id is {one!r}, expected {other!r}; ids stand in the order of the template"
            )
    raise Refused(f"{name}: it has {len(got)} rows, expected {len(expected)}")


def _check_labels(frame: pd.DataFrame, id_column: str, target_column: str, classes: set[str], name: str) -> None:
    foreign = ~frame[target_column].isin(classes).to_numpy()
    if foreign.any():
        row = int(np.argmax(foreign))
        label, row_id = frame[target_column].iloc[row], frame[id_column].iloc[row]
        raise Refused(f"{name}, line {row + 2} (id {row_id}): {label!r} is none of the {len(classes)} classes")


def _check_texts(frame: pd.DataFrame, id_column: str, target_column: str, name: str) -> None:
    texts = frame[target_column].tolist()
    for row, text in enumerate(texts):
        if odd_character(text):
            raise Refused(
                f"{name}, line {row + 2} (id {frame[id_column].iloc[row]}): {text!r}, expected text of one line without "
                "control characters"
            )
    if texts and not any(text.strip() for text in texts):
        raise Refused(f"{name}: all {len(texts)} texts are empty; expected transcripts in column {target_column!r}")


def _check_numbers(frame: pd.DataFrame, id_column: str, columns: list[str], name: str) -> None:
    numbers = frame[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    bad = ~(np.isfinite(numbers) & (numbers >= 0) & (numbers <= 1)).all(axis=1)
    if len(columns) > 1:
        bad |= ~(np.abs(numbers.sum(axis=1) - 1) <= ROW_SUM_TOLERANCE)
    if bad.any():
        row = int(np.argmax(bad))
        what = "numbers between 0 and 1" if len(columns) == 1 else "numbers between 0 and 1 whose sum is 1"
        got = frame[columns].iloc[row].tolist()[:4]
        raise Refused(f"{name}, line {row + 2} (id {frame[id_column].iloc[row]}): {got}, expected {what}")
