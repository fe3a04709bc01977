"""What is known of a row besides its photo (the phylum), as training uses it: an input of the head, or one model for each value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from folds.dataset import Dataset

OTHERS = "part-others"  # answers for rows whose value no train row has
FORGET = 0.1  # share of training rows whose condition is hidden, so that a row without one is answered too


def values_of(dataset: Dataset) -> list[str]:
    """Return the values of the condition that train rows in folds have, sorted; the empty string is none."""
    return sorted(set(map(str, dataset.in_folds["condition"])) - {"", "nan"})


def one_hot(conditions: Sequence[str], values: Sequence[str]) -> np.ndarray:
    """Return (N, K) float32: a one for each row's value, a row of zeros where it has none or one that is not known."""
    is_equal = np.array(conditions, dtype=object)[:, None] == np.array(values, dtype=object)[None, :]
    return np.asarray(is_equal, dtype=np.float32)


def forgotten(conditions: np.ndarray, seeds: tuple[int, ...]) -> np.ndarray:
    """Return (B, K) conditions of a training batch with a tenth of its rows hidden, by seed.

    Args:
        seeds: What the choice depends on: run seed, epoch, batch.
    """
    is_kept = np.random.default_rng([*seeds, 2]).random(len(conditions)) >= FORGET
    return np.asarray(conditions * is_kept[:, None], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Part:
    """The rows and classes that one of several models answers for.

    Attributes:
        name: Of its folder below the fold's.
        classes: (c,) indices of the classes that it tells apart; with one there is nothing to train.
        train_rows: Positions in `dataset.train` that it is fitted on.
        asked: Which rows it answers, for each table of predictions: positions in that table.
    """

    name: str
    classes: np.ndarray
    train_rows: np.ndarray
    asked: dict[str, np.ndarray]


def parts_of(dataset: Dataset, train_rows: np.ndarray, asked: dict[str, Sequence[str]]) -> list[Part]:
    """Return a part for each value of the condition, and one of all classes for rows whose value no train row has.

    No part is fitted on a row outside `train_rows`; each asked row is answered by exactly one part.

    Args:
        train_rows: Positions in `dataset.train` that may be fitted on.
        asked: For each table of predictions, the condition of its rows.
    """
    conditions = dataset.train["condition"].to_numpy(dtype=object)[train_rows]
    labels = dataset.index_of(dataset.train["label"].iloc[train_rows])
    values = sorted(set(conditions.tolist()) - {""})
    parts = []
    for number, value in enumerate(values):
        is_mine = conditions == value
        rows = {name: np.flatnonzero(np.array(given, dtype=object) == value) for name, given in asked.items()}
        parts.append(Part(f"part-{number}", np.unique(labels[is_mine]), train_rows[is_mine], rows))
    others = {
        name: np.flatnonzero(~np.isin(np.array(given, dtype=object).astype(str), values))
        for name, given in asked.items()
    }
    if any(len(rows) for rows in others.values()):
        parts.append(Part(OTHERS, np.unique(labels), train_rows, others))
    return parts
