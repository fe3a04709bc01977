"""Training of one fold: a job that is idempotent, resumes at its last epoch, and is tried once more when it goes wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from comp.augment import policy
from comp.engine import Report
from comp.errors import TrainingFailed
from comp.images import ImageStore, PixelSpec
from comp.spec import Candidate, Recipe
from comp.store import locked, read_json, read_marker, replacing, sweep, write_array, write_json, write_marker
from folds.assign import HOLDOUT, deal
from folds.batches import TrainBatches, predict
from folds.dataset import Dataset, load_dataset
from folds.features import bank_inputs, banks_of
from folds.inputs import Inputs, PixelInputs
from folds.loop import CHECKPOINT, NotFinite, train_network
from folds.mixing import Mixing
from folds.model import class_weights, make_network
from folds.runs import RunPlan, fold_dir, plan_of

ATTEMPTS = "attempts.json"
OUTPUTS = ["valid.npy", "test.npy", "ids.json", "history.json", "model.weights.h5"]
OUT_OF_MEMORY = {"MemoryError", "ResourceExhaustedError", "XlaRuntimeError", "JaxRuntimeError"}


@dataclass(frozen=True)
class Fold:
    """What the fit of one fold needs, gathered from disk.

    Attributes:
        recipe: The plan's, or what a second try made of it.
        train_rows, valid_rows: Positions in `dataset.train`; disjoint, and no row of the hold-out is in either.
    """

    dataset: Dataset
    plan: RunPlan
    recipe: Recipe
    number: int
    folder: Path
    inputs: Inputs
    train_rows: np.ndarray
    valid_rows: np.ndarray

    @property
    def candidate(self) -> Candidate:
        """Return what is trained."""
        return self.plan.candidate


def fit_fold(report: Report, run: str, fold: int, cache_dir: str, weights: str = "") -> dict[str, Any]:
    """Train one fold of a run and predict its valid and test rows; a fold that is finished is not touched.

    Args:
        report: Takes `progress` (a share) and `note` (a line).
        run: The run's folder, which holds `run.json`.
        fold: The fold that is scored; it is trained on all others.
        weights: File of pre-trained weights; its content is checked against the run's key where it is chosen.

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
        return read_marker(folder) or _fit(_gather(Path(run), fold, Path(cache_dir), weights), report)


def _gather(run: Path, number: int, cache_dir: Path, weights: str) -> Fold:
    plan, dataset = replace(plan_of(run), weights_path=weights), load_dataset(run.parent)
    folds = dataset.train["fold"].to_numpy()
    return Fold(
        dataset=dataset,
        plan=plan,
        recipe=plan.recipe,
        number=number,
        folder=fold_dir(run, number),
        inputs=_open_inputs(plan, cache_dir),
        train_rows=np.flatnonzero((folds != number) & (folds != HOLDOUT)),
        valid_rows=np.flatnonzero(folds == number),
    )


def _open_inputs(plan: RunPlan, cache_dir: Path) -> Inputs:
    if plan.candidate.fit in ("probe", "tail"):
        return bank_inputs(banks_of(plan), cache_dir)
    facts = plan.facts
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
        (fold.folder / CHECKPOINT).unlink(missing_ok=True)  # first: a kill in between repeats the first try, no mixture
        write_json(fold.folder / ATTEMPTS, attempts)
        report("note", f"{fold.candidate} fold {fold.number}: {failure}; tried once more with {attempts[-1]['then']}")


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
    return {"learning_rate": recipe.learning_rate / 2}


def _last_words(fold: Fold, failure: str) -> str:
    advice = "a smaller size (:64px) or JOBS=1" if failure == "memory ran out" else "a lower learning rate"
    how = "half the batch" if failure == "memory ran out" else "half the rate"
    return (
        f"{fold.candidate} fold {fold.number}: {failure}, with {how} too; try {advice} (log: {fold.folder / 'log.txt'})"
    )


def _fit_once(fold: Fold, attempts: list[dict[str, Any]], report: Report) -> dict[str, Any]:
    began = time.monotonic()
    network = _fresh_network(fold)
    history = _train(network, fold, report)
    network.trainable = False
    dataset, recipe = fold.dataset, fold.recipe
    for name, shas in _to_predict(fold).items():
        probabilities = predict(network, fold.inputs, shas, recipe.tta_views, _predict_size(fold))
        write_array(fold.folder / f"{name}.npy", probabilities)
    valid_ids, test_ids = dataset.train["id"].iloc[fold.valid_rows], dataset.readable_test["id"]
    ids = {"valid": valid_ids.tolist(), "test": test_ids.tolist(), "classes": dataset.classes}
    write_json(fold.folder / "ids.json", ids)
    with replacing(fold.folder / "model.weights.h5") as temporary:
        named = temporary.with_name(".beside.weights.h5")  # Keras insists on the ending; the lock keeps others away
        network.save_weights(named)
        named.replace(temporary)
    write_json(fold.folder / "history.json", history)
    seconds = max(sum(history["seconds"]), time.monotonic() - began)  # a resumed fit counts its earlier epochs too
    facts = {
        "fold": fold.number,
        "trained_on_folds": sorted(set(dataset.train["fold"].iloc[fold.train_rows].tolist())),
        "folds_sha256": dataset.facts["fingerprints"]["folds.csv"],
        "recipe": asdict(recipe),
        "attempts": attempts,
        "parameters": network.count_params(),
        "seconds": round(seconds, 2),
    }
    marker = write_marker(fold.folder, OUTPUTS, facts)
    (fold.folder / CHECKPOINT).unlink(missing_ok=True)
    return marker


def _fresh_network(fold: Fold) -> keras.Model:
    """Return the network as it is before training; what this process did before does not matter."""
    keras.utils.clear_session(free_memory=False)
    keras.config.set_dtype_policy(fold.plan.fit_precision)
    keras.utils.set_random_seed(_model_seed(fold))
    return make_network(
        fold.candidate,
        fold.recipe,
        len(fold.dataset.classes),
        fold.plan.facts["channels"],
        fold.plan.weights_path or None,
        fold.inputs.shape,
    )


def _predict_size(fold: Fold) -> int:
    return 256 if fold.candidate.fit == "probe" else 32  # photos at once; fixed, a result may depend on it


def _model_seed(fold: Fold) -> int:
    """Return a seed of its own for each (run seed, fold), so that folds start from different weights."""
    return int(np.random.SeedSequence([fold.plan.seed, fold.number]).generate_state(1)[0])


def _to_predict(fold: Fold) -> dict[str, list[str]]:
    return {
        "valid": fold.dataset.train["sha"].iloc[fold.valid_rows].tolist(),
        "test": fold.dataset.readable_test["sha"].tolist(),
    }


def _train(network: keras.Model, fold: Fold, report: Report) -> dict[str, Any]:
    """Train the network in place; return its learning curve."""
    fit_rows, inner_rows = _inner_split(fold)
    inner_loss = _inner_loss(network, fold, inner_rows)
    return train_network(network, fold.recipe, _batches(fold, fit_rows), fold.folder, report, inner_loss)


def _batches(fold: Fold, rows: np.ndarray) -> TrainBatches:
    dataset, recipe = fold.dataset, fold.recipe
    train = dataset.train.iloc[rows]
    labels = dataset.index_of(train["label"])
    n_classes = len(dataset.classes)
    weights = class_weights(labels, n_classes) if recipe.class_weights else np.ones(n_classes, np.float32)
    return TrainBatches(
        fold.inputs,
        train["sha"].tolist(),
        np.eye(n_classes, dtype=np.float32)[labels],
        weights[labels],
        batch_size=recipe.batch_size,
        seed=_model_seed(fold),
        mixing=Mixing(recipe.mixup, recipe.cutmix),
    )


def _inner_split(fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to fit on and the inner rows that choose the epoch; the fold's valid rows are in neither."""
    share = fold.recipe.inner_valid
    if share <= 0:
        return fold.train_rows, fold.train_rows[:0]
    train = fold.dataset.train.iloc[fold.train_rows]
    parts = deal(
        train["id"].tolist(), train["label"].tolist(), np.arange(len(train)), max(2, round(1 / share)), fold.plan.seed
    )
    return fold.train_rows[parts != 0], fold.train_rows[parts == 0]


def _inner_loss(network: keras.Model, fold: Fold, rows: np.ndarray) -> Callable[[], float] | None:
    if not len(rows):
        return None
    shas = fold.dataset.train["sha"].iloc[rows].tolist()
    labels = fold.dataset.index_of(fold.dataset.train["label"].iloc[rows])

    def loss() -> float:
        probabilities = predict(network, fold.inputs, shas, batch_size=_predict_size(fold))
        return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-7)).mean())

    return loss
