"""Answers of finished runs for photos that were in no table: every fold's model asked, the answers averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from comp.engine import Engine, Job, Listener, Report
from comp.errors import BadInput, Refused
from comp.images import CACHE
from comp.store import read_marker, write_array
from folds.batches import predict
from folds.condition import one_hot, parts_of, values_of
from folds.dataset import Dataset
from folds.features import fill_banks, wanted_banks
from folds.fit import MODEL, Fold, fresh_network, predict_size
from folds.found import with_weights
from folds.runs import RunPlan, fold_dir, plan_of


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
) -> np.ndarray:
    """Return (N, C) float32 probabilities of photos in the image cache, the mean of a run's models.

    Args:
        plan: The run's, with the place of its weights.
        conditions: What is known of each photo besides its content; the empty string where nothing is.
        out: Folder for the answers of each fold.
    """
    if plan.candidate.fit in ("probe", "tail"):
        views = replace(plan, recipe=replace(plan.recipe, views=max(1, plan.recipe.tta_views), head_epochs=0))
        fill_banks(wanted_banks(views, shas, ()), engine, listener, cache_dir)
    jobs = [
        Job(
            function="folds.predict:predict_fold",
            arguments={
                "run": str(run),
                "fold": fold,
                "shas": list(shas),
                "conditions": list(conditions),
                "cache_dir": str(cache_dir),
                "weights": plan.weights_path,
                "out": str(out / f"{run.name}-{fold}.npy"),
            },
            label=f"{plan.candidate} model {fold}",
            needs_keras=True,
            log_path=str(out / "log.txt"),
        )
        for fold in range(dataset.n_folds)
    ]
    answers = [np.load(path) for path in engine.run(jobs, listener)]
    return np.asarray(np.mean(answers, axis=0, dtype=np.float64), dtype=np.float32)


def predict_fold(
    report: Report,
    run: str,
    fold: int,
    shas: list[str],
    conditions: list[str],
    cache_dir: str,
    weights: str,
    out: str,
) -> str:
    """Ask the model of one fold, or the models of its parts, about photos; return the file of their probabilities.

    Raises:
        Refused: If the fold is not finished.
        BadInput: If a photo's condition has no model of its own in a run that was split by it.
    """
    from folds.train import gather

    if read_marker(fold_dir(Path(run), fold)) is None:
        raise Refused(f"{fold_dir(Path(run), fold)} is not a finished fold; run the command that makes it again")
    found = gather(Path(run), fold, Path(cache_dir), weights)
    answer = _split if found.recipe.condition == "split" else _whole
    write_array(Path(out), answer(found, shas, conditions))
    return out


def _whole(fold: Fold, shas: list[str], conditions: list[str]) -> np.ndarray:
    network = fresh_network(fold)
    network.load_weights(fold.folder / MODEL)
    known = one_hot(conditions, values_of(fold.dataset)) if fold.recipe.condition == "input" else None
    return predict(network, fold.inputs, shas, fold.recipe.tta_views, predict_size(fold), known)


def _split(fold: Fold, shas: list[str], conditions: list[str]) -> np.ndarray:
    table = np.zeros((len(shas), len(fold.dataset.classes)), np.float32)
    for part in parts_of(fold.dataset, fold.train_rows, {"new": conditions}):
        rows = part.asked["new"]
        sub: Any = replace(fold, folder=fold.folder / part.name, classes=part.classes)
        if not len(rows):
            continue
        if len(part.classes) == 1:
            table[rows, part.classes[0]] = 1
        elif not (sub.folder / MODEL).is_file():
            raise BadInput(
                f"run {fold.plan.name} has one model for each of {', '.join(values_of(fold.dataset))}; "
                f"{len(rows)} photos have none of these; give it, or predict with a run that is not split"
            )
        else:
            table[np.ix_(rows, part.classes)] = _whole(sub, [shas[row] for row in rows.tolist()], [])
    return table


def plans_of(runs: Sequence[Path], weights: str | None) -> list[RunPlan]:
    """Return the plans of finished runs, each with the place of its weights."""
    return [with_weights(plan_of(run), weights) for run in runs]
