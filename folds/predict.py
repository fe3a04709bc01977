"""Answers of finished runs for photos that were in no table: every fold's model asked, the answers averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from comp.engine import Engine, Job, Listener
from comp.images import CACHE
from folds.banks import Wanted, wanted_banks
from folds.dataset import Dataset
from folds.features import fill_banks
from folds.found import with_weights
from folds.oof import mean_of_tables
from folds.runs import RunPlan, plan_of


def predict_run(
    run: Path,
    plan: RunPlan,
    dataset: Dataset,
    shas: Sequence[str],
    conditions: Sequence[str],
    engine: Engine,
    listener: Listener,
    out: Path,
    cache_dir: Path = CACHE,
    n_views: int = 0,
) -> np.ndarray:
    """Return (N, C) float32 probabilities of photos in the image cache, the mean of a run's models.

    Args:
        plan: The run's, with the place of its weights.
        conditions: What is known of each photo besides its content; the empty string where nothing is.
        out: Folder for the answers of each fold.
        n_views: How many views are averaged; 0: as many as the recipe says.
    """
    asked = n_views or max(1, plan.recipe.tta_views)
    fill_banks(_banks(plan, shas, asked), engine, listener, cache_dir)
    jobs = [
        Job(
            function="folds.answers:predict_fold",
            arguments={
                "run": str(run),
                "fold": fold,
                "shas": list(shas),
                "conditions": list(conditions),
                "cache_dir": str(cache_dir),
                "weights": plan.weights_path,
                "out": str(out / f"{run.name}-{fold}.npy"),
                "n_views": asked,
            },
            label=f"{plan.candidate} model {fold}",
            needs_keras=True,
            log_path=str(out / "log.txt"),
        )
        for fold in range(dataset.n_folds)
    ]
    return mean_of_tables([np.load(path) for path in engine.run(jobs, listener)])


def _banks(plan: RunPlan, shas: Sequence[str], n_views: int) -> list[Wanted]:
    """Return the features that a run's models answer photos from: only the views that are averaged."""
    if plan.candidate.fit not in ("probe", "tail"):
        return []
    return wanted_banks(replace(plan, recipe=replace(plan.recipe, views=n_views, head_epochs=0)), shas, ())


def n_steps(plan: RunPlan, n_models: int, shas: Sequence[str], n_views: int = 0, cache_dir: Path = CACHE) -> int:
    """Return how many steps `predict_run` takes, as its listener hears of them: a photo's features, a model's answer."""
    banks = _banks(plan, shas, n_views or max(1, plan.recipe.tta_views))
    return n_models + sum(len(bank.missing(cache_dir)) for bank in banks)


def plans_of(runs: Sequence[Path], weights: str | None) -> list[RunPlan]:
    """Return the plans of finished runs, each with the place of its weights."""
    return [with_weights(plan_of(run), weights) for run in runs]
