"""What a trial is worth: the out-of-fold score of its recipe over the competition's own folds, told fold by fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from comp.engine import Engine, Event, Job
from comp.images import CACHE
from comp.metrics import metric
from folds.banks import wanted_banks
from folds.cv import fold_jobs, write_run
from folds.dataset import Dataset
from folds.features import extraction_jobs
from folds.oof import assemble, check_fold, read_fold, score
from folds.runs import RunPlan, run_dir
from tuning.space import Space
from tuning.storage import quiet_optuna

if TYPE_CHECKING:
    import optuna

IS_DEFAULT = "is_default"


class Stopped(Exception):
    """A trial is to end here; it is taken up again from its finished folds and epochs."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The function that a study optimises.

    Attributes:
        base: The run of the default recipe; a trial changes its recipe and nothing else.
        engine: Fits folds and computes features.
        turn: Where among the missing features to begin (0..1): workers that want the same ones start at different places.
        check: Called between folds; raises Stopped to end the trial there.
        listener: Takes what jobs say; may raise Stopped to end the trial at once.
    """

    base: RunPlan
    dataset: Dataset
    space: Space
    metric: str
    engine: Engine
    turn: float
    check: Callable[[], None]
    listener: Callable[[Event], None]

    def __call__(self, trial: optuna.Trial) -> float:
        """Return the score of the whole out-of-fold table; folds that are on disk are not trained again.

        Raises:
            TrialPruned: If the running mean is not worth another fold.
            Stopped: If the command is to end.
        """
        plan = self.plan_of(trial)
        write_run(self.dataset.folder, plan, is_trial=True)
        self._fill(plan)
        scores: list[float] = []
        for fold in range(self.dataset.n_folds):
            self.check()
            self._fit(plan, fold)
            scores.append(fold_score(self.dataset, plan, fold, self.metric))
            trial.report(float(np.mean(scores)), fold)
            self._prune(trial, fold)
        oof = assemble(run_dir(self.dataset.folder, plan), self.dataset).oof
        return score(self.dataset, oof, self.metric).value

    def plan_of(self, trial: optuna.Trial) -> RunPlan:
        """Return the run that a trial stands for, and note in the trial what it changes and where its folds lie."""
        default = self.base.recipe
        values = self.space.suggest(trial)
        if trial.user_attrs.get(IS_DEFAULT):  # to the last digit
            values = self.space.nearest(default)
        plan = replace(self.base, recipe=replace(default, **values))
        changed = {name: value for name, value in plan.recipe.as_dict().items() if value != getattr(default, name)}
        trial.set_user_attr("changes", changed)
        trial.set_user_attr("run", plan.name)
        return plan

    def train_ahead(self, trial: optuna.trial.FrozenTrial, turn: int, listener: Callable[[Event], None]) -> bool:
        """Train a fold that another worker's trial will come to later, and return whether there was one to train.

        The fold is kept on disk, where the trial finds it. Nothing is done before the trial has reported a fold: only then are
        its features there. The fold that it is at is left to it.

        Args:
            turn: Which of the later folds, the last one first: workers that help one trial take different ones.
        """
        if not trial.intermediate_values:
            return False
        plan = replace(self.base, recipe=replace(self.base.recipe, **trial.user_attrs["changes"]))
        later = fold_jobs([plan], self.dataset, CACHE)[:0:-1]
        if later:
            self.engine.run([later[turn % len(later)]], listener)
        return bool(later)

    def _fill(self, plan: RunPlan) -> None:
        if plan.candidate.fit in ("probe", "tail"):
            jobs = bank_jobs(plan, self.dataset)
            start = int(self.turn * len(jobs))
            self.engine.run([*jobs[start:], *jobs[:start]], self.listener)

    def _fit(self, plan: RunPlan, fold: int) -> None:
        jobs: Sequence[Job] = [job for job in fold_jobs([plan], self.dataset, CACHE) if job.arguments["fold"] == fold]
        self.engine.run(jobs, self.listener)

    def _prune(self, trial: optuna.Trial, fold: int) -> None:
        if fold == self.dataset.n_folds - 1:
            return
        is_poor = trial.should_prune()  # the default is asked about too: ASHA holds the others against whoever was
        if trial.user_attrs.get(IS_DEFAULT) or not is_poor:
            return
        with quiet_optuna() as optuna:
            raise optuna.TrialPruned


def bank_jobs(plan: RunPlan, dataset: Dataset, cache_dir: Path = CACHE) -> list[Job]:
    """Return the jobs that compute the features which a run still lacks."""
    train, test = dataset.in_folds["sha"].tolist(), dataset.readable_test["sha"].tolist()
    return extraction_jobs(wanted_banks(plan, train, test), cache_dir)


def fold_score(dataset: Dataset, plan: RunPlan, fold: int, metric_name: str) -> float:
    """Return the metric over the rows of one finished fold, without the classes that no score counts.

    Raises:
        Refused: If the fold's model saw what it scores, or the fold was changed since.
    """
    run = run_dir(dataset.folder, plan)
    marker, ids, valid, _ = read_fold(run, fold)
    check_fold(f"{plan.name} fold {fold}", marker, ids, dataset, fold)
    label_of = dict(zip(dataset.in_folds["id"], dataset.in_folds["label"], strict=True))
    labels = [label_of[row_id] for row_id in ids["valid"]]
    left_out = set(dataset.facts["classes_left_out"])
    counted = np.array([label not in left_out for label in labels])
    chosen = metric(metric_name, dataset.classes)
    return float(chosen.function(dataset.index_of(labels)[counted], valid[counted], None))


def is_better(metric_name: str, one: float, other: float) -> bool:
    """Return whether a score beats another one."""
    return one > other if metric(metric_name).direction == "higher" else one < other


def facts_of_study(base: RunPlan, space: Space, metric_name: str, n_folds: int) -> dict[str, Any]:
    """Return all that the trials of one study have in common: with anything else, their scores cannot be compared."""
    parts = base.key_parts()
    recipe = {f"default {name}": value for name, value in parts.pop("recipe").items()}
    knobs = {f"space of {name}": value for name, value in space.as_dict().items()}
    competition = {f"competition's {name}": value for name, value in parts.pop("competition").items()}
    versions = {f"version of {name}": value for name, value in parts.pop("versions").items()}
    return {**parts, "metric": metric_name, "folds": n_folds, **knobs, **recipe, **competition, **versions}
