"""Runs brought together before they are ensembled: rows matched by id, columns by class name; what does not fit is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from comp.errors import Refused
from comp.metrics import Floats, check_probabilities
from folds.dataset import Dataset
from folds.oof import Predictions, align
from folds.views import Views


@dataclass(frozen=True, eq=False)
class Matched:
    """Runs over one fold table, their rows and columns in its order.

    Attributes:
        names: (R,) names of the runs.
        oof: One (N, C) float32 table a run: out-of-fold probabilities of the rows of `dataset.in_folds`.
        test: One (M, C) float32 table a run: probabilities of the rows of `dataset.readable_test`.
        truth: (N,) class index.
        fold: (N,) fold of each row.
        is_counted: (N,) whether a row is scored; rows of classes that group folds leave out are not.
        condition, test_condition: (N,) and (M,) what is known of each row besides its photo, or empty strings.
        views: By name, the runs that can be asked for the mean of another number of views.
    """

    names: list[str]
    classes: list[str]
    oof: list[Floats]
    test: list[Floats]
    truth: np.ndarray
    fold: np.ndarray
    is_counted: np.ndarray
    condition: np.ndarray
    test_condition: np.ndarray
    views: Mapping[str, Views] = field(default_factory=dict)

    @cached_property
    def n_classes(self) -> int:
        """Return the number of classes."""
        return len(self.classes)

    @cached_property
    def folds(self) -> list[int]:
        """Return the numbers of the folds that have rows."""
        return [int(k) for k in np.unique(self.fold)]

    def fitted(self, k: int | None) -> np.ndarray:
        """Return (N,) whether a row may be fitted on: counted, and outside fold k (None: in any fold)."""
        return self.is_counted if k is None else self.is_counted & (self.fold != k)

    @property
    def own_views(self) -> tuple[int, ...]:
        """Return how many views each run averages by itself; 0 for a run that knows one way only."""
        return tuple(self.views[name].own if name in self.views else 0 for name in self.names)

    def oof_under(self, views: Sequence[int]) -> list[Floats]:
        """Return the out-of-fold tables under the mean of so many views, one number a run; without numbers, as they are."""
        return [
            self.views[name].oof(n) if n != own else table
            for name, table, n, own in zip(self.names, self.oof, views or self.own_views, self.own_views, strict=True)
        ]

    def test_under(self, views: Sequence[int]) -> list[Floats]:
        """Return the same of the test rows."""
        return [
            self.views[name].test(n) if n != own else table
            for name, table, n, own in zip(self.names, self.test, views or self.own_views, self.own_views, strict=True)
        ]


def match(dataset: Dataset, runs: Mapping[str, Predictions], views: Mapping[str, Views] | None = None) -> Matched:
    """Return runs whose rows stand in the order of the fold table and whose columns in that of its classes.

    A run whose order is right already is not copied. Nothing is filled in, scaled or left out.

    Args:
        views: By name, the runs whose number of views is open.

    Raises:
        Refused: By name of the run, if it lacks rows, has some twice or foreign ones (it was trained over other folds), has
            other classes, or holds what is no probability.
    """
    rows, readable = dataset.in_folds, dataset.readable_test
    left_out = set(dataset.facts["classes_left_out"])
    tables = {name: _in_order(name, run, dataset) for name, run in runs.items()}
    return Matched(
        names=list(runs),
        classes=dataset.classes,
        oof=[oof for oof, _ in tables.values()],
        test=[test for _, test in tables.values()],
        truth=dataset.truth,
        fold=rows["fold"].to_numpy(dtype=np.int64),
        is_counted=~rows["label"].isin(left_out).to_numpy(),
        condition=rows["condition"].to_numpy(dtype=object),
        test_condition=readable["condition"].to_numpy(dtype=object),
        views=views or {},
    )


def _in_order(name: str, run: Predictions, dataset: Dataset) -> tuple[Floats, Floats]:
    columns = _columns(name, run.classes, dataset.classes)
    wanted = {
        "out-of-fold": (run.oof_ids, dataset.in_folds["id"].tolist(), run.oof),
        "test rows": (run.test_ids, dataset.readable_test["id"].tolist(), run.test),
    }
    oof, test = (
        _aligned(f"run {name}, {part}", table, have, want, columns) for part, (have, want, table) in wanted.items()
    )
    return oof, test


def _aligned(what: str, table: Floats, have: list[str], want: list[str], columns: list[int]) -> Floats:
    """Return a table with rows and columns where they are wanted, checked; as it is where they stand there already."""
    n_columns = len(columns)
    if table.shape != (len(have), n_columns):
        raise Refused(f"{what}: expected {len(have)} rows of {n_columns} classes, got {table.shape}; predict again")
    # most runs are in order already, and a copy of twenty large ones would double the memory
    ordered = table if list(have) == want else align(have, want, table, what)
    ordered = ordered if columns == list(range(n_columns)) else ordered[:, columns]
    if len(ordered):
        check_probabilities(ordered, what)
    return ordered


def _columns(name: str, have: list[str], want: list[str]) -> list[int]:
    """Return which column of a run holds each class wanted, matched by name."""
    if len(have) != len(want) or set(have) != set(want):
        foreign = sorted(set(have) ^ set(want)) or sorted(one for one in set(have) if have.count(one) > 1)
        raise Refused(
            f"run {name}: its classes are not the {len(want)} of the fold table, the first that differs is {foreign[0]!r}; "
            "leave it out or train it over this table"
        )
    position = {one: index for index, one in enumerate(have)}
    return [position[one] for one in want]
