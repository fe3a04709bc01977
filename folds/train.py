"""Training of one fold: a job that is idempotent, resumes at its last epoch, and is tried once more when it goes wrong."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from comp.augment import policy
from comp.engine import Report
from comp.errors import TrainingFailed
from comp.images import ImageStore, PixelSpec
from comp.spec import Recipe
from comp.store import locked, read_json, read_marker, sweep, write_array, write_json, write_marker
from comp.strips import StripStore
from folds.assign import HOLDOUT
from folds.banks import bank_inputs, banks_of, for_head, starts_from_head
from folds.dataset import load_dataset
from folds.fit import HEAD, Fold, answer
from folds.inputs import Inputs, PixelInputs
from folds.loop import CHECKPOINT, NotFinite
from folds.runs import RunPlan, fold_dir, plan_of
from folds.strips import StripInputs
from folds.views import n_views_of, predict_views, store_views

ATTEMPTS = "attempts.json"
OUTPUTS = ["valid.npy", "test.npy", "ids.json", "history.json"]
OUT_OF_MEMORY = {"MemoryError", "ResourceExhaustedError", "XlaRuntimeError", "JaxRuntimeError"}


def fit_fold(
    report: Report, run: str, fold: int, cache_dir: str, weights: str = "", by_view: bool = False
) -> dict[str, Any]:
    """Train one fold of a run and predict its valid and test rows; a fold that is finished is not touched.

    Args:
        report: Takes `progress` (a share) and `note` (a line).
        run: The run's folder, which holds `run.json`.
        fold: The fold that is scored; it is trained on all others.
        weights: File of pre-trained weights; its content is checked against the run's key where it is chosen.
        by_view: Whether its rows are asked view by view as well.

    Returns:
        The fold's marker.

    Raises:
        TrainingFailed: If the loss is not finite, or memory runs out, a second time.
    """
    folder = fold_dir(Path(run), fold)
    marker = read_marker(folder)
    if marker is not None:
        return marker
    with locked(folder / ".lock", lambda line: report("note", line)):
        sweep(folder)
        n_views = n_views_of(plan_of(Path(run))) if by_view else 0
        marker = read_marker(folder) or _fit(gather(Path(run), fold, Path(cache_dir), weights, n_views=n_views), report)
    if n_views > 1:
        predict_views(lambda kind, value: None, run, fold, cache_dir, weights)
    return marker


def gather(run: Path, number: int, cache_dir: Path, weights: str, is_to_fit: bool = True, n_views: int = 0) -> Fold:
    """Return what the fit of one fold needs; its banks are there already.

    Args:
        is_to_fit: Whether it is trained; a model that only answers needs no features for a head to start from.
        n_views: Under how many views the valid rows are to be asked apart too.
    """
    plan, dataset = replace(plan_of(run), weights_path=weights), load_dataset(run.parent)
    folds = dataset.train["fold"].to_numpy()
    return Fold(
        dataset=dataset,
        plan=plan,
        recipe=plan.recipe,
        number=number,
        folder=fold_dir(run, number),
        inputs=_open_inputs(plan, cache_dir),
        head_inputs=_open_inputs(for_head(plan), cache_dir) if is_to_fit and starts_from_head(plan) else None,
        train_rows=np.flatnonzero((folds != number) & (folds != HOLDOUT)),
        valid_rows=np.flatnonzero(folds == number),
        classes=np.arange(len(dataset.classes)),
        asked={
            "valid": np.arange(int((folds == number).sum())),
            "test": np.arange(len(dataset.readable_test)),
        },
        n_views=n_views,
    )


def _open_inputs(plan: RunPlan, cache_dir: Path) -> Inputs | StripInputs:
    if plan.candidate.fit in ("probe", "tail"):
        return bank_inputs(banks_of(plan), cache_dir)
    facts = plan.facts
    if facts["resize"] == "height":
        strips = StripStore(PixelSpec(plan.recipe.pixels, facts["channels"], "height"), cache_dir)
        return StripInputs(strips, policy(plan.recipe.strength, frozenset(facts["symmetries"])))
    store = ImageStore(PixelSpec(plan.recipe.pixels, facts["channels"], facts["resize"]), cache_dir)
    return PixelInputs(store, policy(plan.recipe.strength, frozenset(facts["symmetries"])))


def _fit(fold: Fold, report: Report) -> dict[str, Any]:
    """Try with the recipe, then once more with half the rate or half the batch; both are recorded."""
    attempts: list[dict[str, Any]] = []
    if (fold.folder / ATTEMPTS).is_file():
        attempts = read_json(fold.folder / ATTEMPTS)
    while True:
        recipe = replace(fold.recipe, **(attempts[-1]["then"] if attempts else {}))
        try:
            return _fit_once(replace(fold, recipe=recipe), attempts, report)
        except Exception as error:
            failure = _what_went_wrong(error)
            if failure is None:
                raise
            if attempts:
                raise TrainingFailed(_last_words(fold, failure)) from error
            attempts.append({"failed": failure, "then": _second_try(recipe, failure)})
        _forget(fold.folder)  # first: a kill in between repeats the first try, no mixture
        write_json(fold.folder / ATTEMPTS, attempts)
        report("note", f"{fold.candidate} fold {fold.number}: {failure}; tried once more with {attempts[-1]['then']}")


def _forget(folder: Path) -> None:
    """Remove what a try left behind: its checkpoint, that of a tail's head, and parts that it finished."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
    shutil.rmtree(folder / HEAD, ignore_errors=True)
    for part in folder.glob("part-*"):
        shutil.rmtree(part)


def _what_went_wrong(error: Exception) -> str | None:
    if isinstance(error, NotFinite):
        return "the loss was not finite"
    name = type(error).__name__
    if name in OUT_OF_MEMORY and (name == "MemoryError" or "RESOURCE_EXHAUSTED" in str(error) or "OOM" in str(error)):
        return "memory ran out"
    return None


def _second_try(recipe: Recipe, failure: str) -> dict[str, Any]:
    if failure == "memory ran out":
        return {"batch_size": max(1, recipe.batch_size // 2), "accumulation_steps": recipe.accumulation_steps * 2}
    rates = ("learning_rate", "head_learning_rate") if recipe.head_epochs else ("learning_rate",)
    return {name: getattr(recipe, name) / 2 for name in rates}


def _last_words(fold: Fold, failure: str) -> str:
    advice = "a smaller size (:64px) or JOBS=1" if failure == "memory ran out" else "a lower learning rate"
    how = "half the batch" if failure == "memory ran out" else "half the rate"
    return (
        f"{fold.candidate} fold {fold.number}: {failure}, with {how} too; try {advice} (log: {fold.folder / 'log.txt'})"
    )


def _fit_once(fold: Fold, attempts: list[dict[str, Any]], report: Report) -> dict[str, Any]:
    began = time.monotonic()
    found = answer(fold, report)
    dataset = fold.dataset
    for name, table in found.tables.items():
        write_array(fold.folder / f"{name}.npy", table)
    valid_ids, test_ids = dataset.train["id"].iloc[fold.valid_rows], dataset.readable_test["id"]
    ids = {"valid": valid_ids.tolist(), "test": test_ids.tolist(), "classes": dataset.classes}
    ids |= {f"{name}_lengths": lengths.tolist() for name, lengths in found.lengths.items()}
    write_json(fold.folder / "ids.json", ids)
    write_json(fold.folder / "history.json", found.history)
    seconds = max(
        sum(found.history["seconds"]), time.monotonic() - began
    )  # a resumed fit counts its earlier epochs too
    facts = {
        "fold": fold.number,
        "trained_on_folds": sorted(set(dataset.train["fold"].iloc[fold.train_rows].tolist())),
        "folds_sha256": dataset.facts["fingerprints"]["folds.csv"],
        "recipe": asdict(fold.recipe),
        "attempts": attempts,
        "parameters": found.n_parameters,
        **found.facts,
        "seconds": round(seconds, 2),
    }
    marker = write_marker(fold.folder, [*OUTPUTS, *found.models], facts)
    if found.by_view is not None:
        store_views(fold.folder.parent, fold.number, dataset, found.by_view)
    (fold.folder / CHECKPOINT).unlink(missing_ok=True)
    return marker
