"""The choice that no search has flattered: the best recipes and the default once more, over other folds with another seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from comp.engine import Engine, Event, Listener
from comp.images import CACHE
from comp.metrics import Metric, metric
from comp.store import write_json
from comp.twins import twins_of_table
from folds.assign import HOLDOUT
from folds.cv import fold_jobs, train_runs
from folds.dataset import Dataset, make_dataset
from folds.oof import Score, score
from folds.prepare import bar_if
from folds.runs import RunPlan, repeat_mark
from tuning.objective import bank_jobs
from tuning.setup import BANKED, Ground
from tuning.study import complete_trials

if TYPE_CHECKING:
    import optuna

N_FINALISTS = 3
LEVEL = 0.95
Guard = Callable[[Listener], Listener]
OTHER = 1  # added to the fold seed and to the seed of training


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A recipe in the last comparison.

    Attributes:
        changes: What it changes of the default recipe; empty for the default itself.
        trial: Number of the trial that found it, None for the default.
        searched: Its score in the search, flattered by having been chosen for it; None where the default was no whole trial.
        difference: How much better than the default it is (positive is better whatever the metric), with the interval of the
            paired difference, which holds for all finalists at once.
    """

    changes: dict[str, Any]
    trial: int | None
    searched: float | None
    score: Score
    difference: tuple[float, float, float] | None = None

    @property
    def beats_default(self) -> bool:
        """Return whether it is better than the default beyond the noise."""
        return self.difference is not None and self.difference[1] > 0


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome of a comparison: the default, then the finalists, the best first by their second score."""

    default: Finalist
    others: list[Finalist]
    dataset: Dataset
    seed: int
    level: float

    @property
    def chosen(self) -> Finalist:
        """Return the best of those that beat the default beyond the noise, else the default."""
        return next((finalist for finalist in self.others if finalist.beats_default), self.default)


def second_dataset(ground: Ground, other: int = OTHER) -> Dataset:
    """Return the same rows under another fold assignment, marked as a repetition; the rows of the hold-out stay held out.

    A hold-out belongs to the fold seed, so over the second assignment its rows stand as test rows: no training touches them.

    Args:
        other: What is added to the fold seed.
    """
    tables = replace(
        ground.tables, competition=replace(ground.competition, fold_seed=ground.competition.fold_seed + other)
    )
    train = ground.dataset.train
    held = set(train["id"][train["fold"] == HOLDOUT])
    if held:
        rows = tables.train
        is_held = rows["id"].isin(held)
        test = rows[is_held].drop(columns=["label"]).reset_index(drop=True)
        tables = replace(tables, train=rows[~is_held].reset_index(drop=True), test=pd.DataFrame(test))
    twins = twins_of_table(tables, ground.photos)
    again = make_dataset(tables, ground.photos, twins, ground.dataset.n_folds, ground.dataset.folder.parent.parent)
    write_json(repeat_mark(again.folder), {"repeats": ground.dataset.data8})
    return again


def _as_it_is(listener: Listener) -> Listener:
    return listener


def finalists_of(study: optuna.Study) -> list[tuple[int, float, dict[str, Any]]]:
    """Return number, score and changes of the best three different recipes that are not the default."""
    found: list[tuple[int, float, dict[str, Any]]] = []
    for trial in complete_trials(study):
        changes = trial.user_attrs["changes"]
        if changes and changes not in [known for _, _, known in found]:
            found.append((trial.number, float(trial.value or 0.0), changes))
    return found[:N_FINALISTS]


def compare(
    base: RunPlan, ground: Ground, study: optuna.Study, metric_name: str, engine: Engine, guard: Guard = _as_it_is
) -> Verdict:
    """Train the default and the finalists over the second assignment and compare them, pair by pair with the default.

    Args:
        base: The run of the default recipe over the first assignment.
        guard: Wraps what listens to jobs, so that it may raise to stop; what was finished is taken the next time.
    """
    dataset, found = second_dataset(ground), finalists_of(study)
    first = replace(base, data8=dataset.data8, seed=base.seed + OTHER)
    plans = [first, *(replace(first, recipe=replace(first.recipe, **changes)) for _, _, changes in found)]
    tables = _train(plans, dataset, engine, guard)
    level = 1 - (1 - LEVEL) / max(1, len(found))  # Bonferroni: the best of three is a choice too
    counted = ~dataset.in_folds["label"].isin(set(dataset.facts["classes_left_out"])).to_numpy()
    truth, chosen = dataset.truth[counted], metric(metric_name, dataset.classes)
    others = [
        Finalist(
            changes=changes,
            trial=number,
            searched=searched,
            score=score(dataset, oof, metric_name),
            difference=paired_difference(chosen, truth, oof[counted], tables[0][counted], level),
        )
        for (number, searched, changes), oof in zip(found, tables[1:], strict=True)
    ]
    default = Finalist(
        changes={}, trial=None, searched=_searched_default(study), score=score(dataset, tables[0], metric_name)
    )
    others.sort(key=lambda finalist: -(finalist.difference or (0.0,))[0])
    return Verdict(default=default, others=others, dataset=dataset, seed=first.seed, level=level)


def _train(plans: Sequence[RunPlan], dataset: Dataset, engine: Engine, guard: Guard) -> list[np.ndarray]:
    """Return the out-of-fold table of each run; what is stored is not computed again."""
    if plans[0].candidate.fit in BANKED:
        jobs = {job.label + str(job.arguments): job for plan in plans for job in bank_jobs(plan, dataset)}
        with bar_if("features", sum(job.size for job in jobs.values()), "views") as listener:
            engine.run(list(jobs.values()), guard(listener))
    to_do = fold_jobs(plans, dataset, CACHE)
    with bar_if(f"comparing, {len(to_do)} folds", sum(job.size for job in to_do)) as listener:
        return [predictions.oof for predictions in train_runs(plans, dataset, engine, guard(_by_run(listener)), CACHE)]


def _by_run(listener: Listener) -> Listener:
    """Return a listener that tells the runs of one candidate apart: a bar adds up what each label has done."""

    def listen(event: Event) -> None:
        job = replace(event.job, label=f"{event.job.label} of {event.job.arguments['run']}")
        listener(replace(event, job=job))

    return listen


def _searched_default(study: optuna.Study) -> float | None:
    return next((float(t.value or 0.0) for t in complete_trials(study) if not t.user_attrs["changes"]), None)


def paired_difference(
    chosen: Metric,
    truth: np.ndarray,
    one: np.ndarray,
    other: np.ndarray,
    level: float = LEVEL,
    n_resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Return how much better `one` is than `other`, and the low and high end of the interval of that.

    Both are scored on the same resamples of the rows, drawn within class, so what is hard about a row cancels out. Positive is
    better whatever the metric's direction.

    Args:
        truth: (N,) true class indices.
        one, other: (N, C) probabilities of the same rows.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    sign = 1.0 if chosen.direction == "higher" else -1.0
    scores = [chosen.prepare(truth, table) for table in (one, other)]
    random = np.random.default_rng(seed)
    rows_of = [np.flatnonzero(truth == label) for label in np.unique(truth)]
    found = []
    for _ in range(n_resamples):
        weights = _resample(rows_of, len(truth), random)
        found.append(sign * (scores[0](weights) - scores[1](weights)))
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    whole = np.ones(len(truth))
    return sign * (scores[0](whole) - scores[1](whole)), float(low), float(high)


def _resample(rows_of: Sequence[np.ndarray], n_rows: int, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return (N,) how often each row came when every class was drawn as often as it has rows."""
    drawn = np.concatenate([rows[random.integers(0, len(rows), len(rows))] for rows in rows_of])
    return np.bincount(drawn, minlength=n_rows).astype(np.float64)


def as_facts(finalist: Finalist) -> Mapping[str, Any]:
    """Return a finalist as it stands in the result file."""
    facts: dict[str, Any] = {
        "trial": finalist.trial,
        "score": round(finalist.score.value, 6),
        "low": round(finalist.score.low, 6),
        "high": round(finalist.score.high, 6),
        "score_in_search": None if finalist.searched is None else round(finalist.searched, 6),
        "changes": finalist.changes,
    }
    if finalist.difference:
        names = ("better_than_default_by", "difference_low", "difference_high")
        facts |= {name: round(value, 6) for name, value in zip(names, finalist.difference, strict=True)}
    return facts
