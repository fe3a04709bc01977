"""REPEATS=2: the same job over another fold assignment, how far scores move with it, and what averaging models is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from comp.console import say, show_table
from comp.images import PhotoFacts
from folds.dataset import Dataset
from folds.oof import Predictions, align, mean_of_tables, score
from submissions.plan import Plan
from tuning.honest import second_dataset
from tuning.setup import Ground

ENSEMBLE = "ensemble"


@dataclass(frozen=True, eq=False)
class Assignment:
    """The out-of-fold tables of one fold assignment: each run's and the ensemble's, by the name that the result table gives it."""

    dataset: Dataset
    oof: dict[str, np.ndarray]


@dataclass(frozen=True)
class Spread:
    """One candidate, or the ensemble, over several fold assignments.

    Attributes:
        scores: Of each assignment: each row answered by one model of each run.
        averaged: Of the mean of the tables: each row answered by as many models as there are assignments.
    """

    name: str
    scores: list[float]
    averaged: float

    @property
    def mean(self) -> float:
        """Return the mean over assignments."""
        return float(np.mean(self.scores))

    @property
    def deviation(self) -> float:
        """Return the standard deviation over assignments (n - 1)."""
        return float(np.std(self.scores, ddof=1))


def assignment(
    plan: Plan, dataset: Dataset, predictions: Mapping[str, Predictions], ensemble: Predictions
) -> Assignment:
    """Return the tables of a plan's runs over a fold table, and that of their ensemble."""
    named = {plan.label(run): predictions[run.name].oof for run in plan.runs(dataset.data8)}
    return Assignment(dataset, {**named, ENSEMBLE: ensemble.oof})


def other_assignment(plan: Plan, photos: dict[str, PhotoFacts], dataset: Dataset, other: int) -> Dataset:
    """Return the plan's rows under another fold assignment, which is never what a later command means.

    No training over it touches a row that is held out in the first.

    Args:
        other: 1 for the second assignment, 2 for the third: what is added to the fold seed.
    """
    ground = Ground(competition=plan.competition, tables=plan.tables, photos=photos, dataset=dataset)
    return second_dataset(ground, other)


def without_outside(plan: Plan) -> Plan:
    """Return the plan without predictions of other tools: over another fold assignment there are none."""
    return replace(plan, settings=replace(plan.settings, with_runs=None))


def spreads(done: Sequence[Assignment], metric_name: str) -> list[Spread]:
    """Return for each candidate and the ensemble its score over each assignment and that of the mean of the tables.

    Rows are matched by id; what only some assignments have (predictions of other tools) is in the ensemble's line alone.
    """
    first = done[0].dataset
    ids = first.in_folds["id"].tolist()
    found = []
    for name in done[0].oof:
        scores = [score(one.dataset, one.oof[name], metric_name).value for one in done]
        tables = [align(one.dataset.in_folds["id"].tolist(), ids, one.oof[name], name) for one in done]
        found.append(Spread(name, scores, score(first, mean_of_tables(tables), metric_name).value))
    return found


def show_spreads(done: Sequence[Assignment], plan: Plan) -> list[Spread]:
    """Print the table of all assignments with one-model and averaged-model scores, and which of them the test set meets."""
    main, n_folds = plan.competition.metric, done[0].dataset.n_folds
    found = spreads(done, main)
    rows = [
        [
            one.name,
            *(f"{value:.4f}" for value in one.scores),
            f"{one.mean:.4f} ± {one.deviation:.4f}",
            f"{one.averaged:.4f}",
        ]
        for one in found
    ]
    seeds = [f"folds {one.dataset.facts['fold_seed']}" for one in done]
    say()
    show_table(
        f"{plan.competition.name}, {main} over {len(done)} fold assignments",
        ["candidate", *seeds, "one model: mean ± deviation", f"mean of {len(done)} models"],
        rows,
    )
    say(
        f"one model a row, in each assignment; in the last column each row gets the mean of {len(done)} models that did not see it; "
        f"a test row gets the mean of {n_folds}, so it meets the last column rather than the first ones"
    )
    say("the CSV is that of the first assignment")
    return found


def repeat_facts(done: Sequence[Assignment], found: Sequence[Spread]) -> dict[str, Any]:
    """Return what the manifest records of the repetitions."""
    return {
        "repeats": {
            "data8": [one.dataset.data8 for one in done],
            "fold_seeds": [one.dataset.facts["fold_seed"] for one in done],
            "scores": {one.name: [round(value, 6) for value in one.scores] for one in found},
            "averaged": {one.name: round(one.averaged, 6) for one in found},
        }
    }
