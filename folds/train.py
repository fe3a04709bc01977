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
from folds.batches import TrainBatches, predict_logits, softmax
from folds.dataset import Dataset, load_dataset
from folds.model import class_weights, make_network, make_optimizer
from folds.runs import fold_dir, read_run

CHECKPOINT = "resume.npz"
ATTEMPTS = "attempts.json"
OUTPUTS = ["valid.npy", "test.npy", "ids.json", "history.json", "model.weights.h5"]
OUT_OF_MEMORY = {"MemoryError", "ResourceExhaustedError", "XlaRuntimeError", "JaxRuntimeError"}


class NotFinite(Exception):
    """The loss is infinite or not a number."""


@dataclass(frozen=True)
class Fold:
    """What the fit of one fold needs, gathered from disk.

    Attributes:
        train_rows, valid_rows: Positions in `dataset.train`; disjoint, and no row of the hold-out is in either.
    """

    dataset: Dataset
    candidate: Candidate
    recipe: Recipe
    seed: int
    number: int
    folder: Path
    store: ImageStore
    symmetries: frozenset[Any]
    train_rows: np.ndarray
    valid_rows: np.ndarray


def fit_fold(report: Report, run: str, fold: int, cache_dir: str) -> dict[str, Any]:
    """Train one fold of a run and predict its valid and test rows; a fold that is finished is not touched.

    Args:
        report: Takes `progress` (a share) and `note` (a line).
        run: The run's folder, which holds `run.json`.
        fold: The fold that is scored; it is trained on all others.

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
        return read_marker(folder) or _fit(_gather(Path(run), fold, Path(cache_dir)), report)


def _gather(run: Path, number: int, cache_dir: Path) -> Fold:
    parts = read_run(run)["key_parts"]
    dataset = load_dataset(run.parent)
    recipe = Recipe(**parts["recipe"])
    facts = parts["competition"]
    folds = dataset.train["fold"].to_numpy()
    return Fold(
        dataset=dataset,
        candidate=Candidate(**read_run(run)["candidate"]),
        recipe=recipe,
        seed=int(parts["seed"]),
        number=number,
        folder=fold_dir(run, number),
        store=ImageStore(PixelSpec(recipe.pixels, facts["channels"], facts["resize"]), cache_dir),
        symmetries=frozenset(facts["symmetries"]),
        train_rows=np.flatnonzero((folds != number) & (folds != HOLDOUT)),
        valid_rows=np.flatnonzero(folds == number),
    )


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
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(_model_seed(fold))
    dataset, recipe = fold.dataset, fold.recipe
    network = make_network(fold.candidate, recipe, len(dataset.classes), fold.store.spec.channels)
    history = _train(network, fold, report)
    network.trainable = False
    logits = {name: predict_logits(network, fold.store, shas) for name, shas in _to_predict(fold).items()}
    for name, values in logits.items():
        write_array(fold.folder / f"{name}.npy", softmax(values))
    test, valid_ids = dataset.test, dataset.train["id"].iloc[fold.valid_rows]
    readable = test["sha"] != ""
    ids = {"valid": valid_ids.tolist(), "test": test["id"][readable].tolist(), "classes": dataset.classes}
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


def _model_seed(fold: Fold) -> int:
    """Return a seed of its own for each (run seed, fold), so that folds start from different weights."""
    return int(np.random.SeedSequence([fold.seed, fold.number]).generate_state(1)[0])


def _to_predict(fold: Fold) -> dict[str, list[str]]:
    test = fold.dataset.test
    return {
        "valid": fold.dataset.train["sha"].iloc[fold.valid_rows].tolist(),
        "test": test["sha"][test["sha"] != ""].tolist(),
    }


def _train(network: keras.Model, fold: Fold, report: Report) -> dict[str, Any]:
    """Train the network in place, from its last checkpoint where there is one; return its learning curve."""
    recipe = fold.recipe
    fit_rows, inner_rows = _inner_split(fold)
    n_epochs = recipe.epochs
    batches = _batches(fold, fit_rows)
    trainer = keras.Model(network.inputs, network.outputs)  # the network itself stays free of optimizer state
    trainer.compile(
        optimizer=make_optimizer(recipe, n_epochs * len(batches)),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
        weighted_metrics=[],
        jit_compile=False,  # XLA on the CPU takes three times as long on depthwise convolutions (tensorflow 2.21)
    )
    trainer.optimizer.build(trainer.trainable_variables)
    loop = _Loop(fold, batches, report, _inner_loss(network, fold, inner_rows))
    first_epoch = loop.resume(trainer)
    if first_epoch < n_epochs:
        trainer.fit(batches, epochs=n_epochs, initial_epoch=first_epoch, verbose=0, shuffle=False, callbacks=[loop])
    loop.use_best(trainer)
    return loop.history


def _batches(fold: Fold, rows: np.ndarray) -> TrainBatches:
    dataset, recipe = fold.dataset, fold.recipe
    train = dataset.train.iloc[rows]
    labels = dataset.index_of(train["label"])
    n_classes = len(dataset.classes)
    weights = class_weights(labels, n_classes) if recipe.class_weights else np.ones(n_classes, np.float32)
    return TrainBatches(
        fold.store,
        train["sha"].tolist(),
        np.eye(n_classes, dtype=np.float32)[labels],
        weights[labels],
        batch_size=recipe.batch_size,
        seed=_model_seed(fold),
        policy=policy(recipe.strength, fold.symmetries),
    )


def _inner_split(fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to fit on and the inner rows that choose the epoch; the fold's valid rows are in neither."""
    share = fold.recipe.inner_valid
    if share <= 0:
        return fold.train_rows, fold.train_rows[:0]
    train = fold.dataset.train.iloc[fold.train_rows]
    parts = deal(
        train["id"].tolist(), train["label"].tolist(), np.arange(len(train)), max(2, round(1 / share)), fold.seed
    )
    return fold.train_rows[parts != 0], fold.train_rows[parts == 0]


def _inner_loss(network: keras.Model, fold: Fold, rows: np.ndarray) -> Callable[[], float] | None:
    if not len(rows):
        return None
    shas = fold.dataset.train["sha"].iloc[rows].tolist()
    labels = fold.dataset.index_of(fold.dataset.train["label"].iloc[rows])

    def loss() -> float:
        probabilities = softmax(predict_logits(network, fold.store, shas))
        return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-7)).mean())

    return loss


class _Loop(keras.callbacks.Callback):  # type: ignore[misc]
    """What happens around the epochs of a fit: order of rows, checkpoint, learning curve, progress, checks."""

    def __init__(
        self, fold: Fold, batches: TrainBatches, report: Report, inner_loss: Callable[[], float] | None
    ) -> None:
        super().__init__()
        self.fold, self.batches, self.report, self.inner_loss = fold, batches, report, inner_loss
        self.path = fold.folder / CHECKPOINT
        self.history: dict[str, list[float]] = {"loss": [], "inner_loss": [], "seconds": []}
        self.best: list[np.ndarray] = []
        self._began = self._reported = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._began = time.monotonic()
        self.batches.start_epoch(epoch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        now = time.monotonic()
        if now - self._reported > 1:
            self._reported = now
            done = len(self.history["loss"]) + (batch + 1) / len(self.batches)
            self.report("progress", done / self.fold.recipe.epochs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        loss = float((logs or {})["loss"])
        if not np.isfinite(loss):
            raise NotFinite
        self.history["loss"].append(loss)
        if self.inner_loss is not None:
            self._keep_if_best(self.inner_loss())
        self.history["seconds"].append(round(time.monotonic() - self._began, 3))
        self.report("progress", (epoch + 1) / self.fold.recipe.epochs)
        self._save()

    def _keep_if_best(self, loss: float) -> None:
        if loss < min(self.history["inner_loss"], default=np.inf):
            self.best = [keras.ops.convert_to_numpy(variable) for variable in self.model.variables]
        self.history["inner_loss"].append(loss)

    def _save(self) -> None:
        """Write all that the next epoch depends on: weights, optimizer and the random state of every layer."""
        state = [keras.ops.convert_to_numpy(variable) for variable in _state(self.model)]
        arrays = {f"state_{i:05d}": array for i, array in enumerate(state)}
        arrays |= {f"best_{i:05d}": array for i, array in enumerate(self.best)}
        arrays |= {f"history_{name}": np.array(values) for name, values in self.history.items()}
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    def resume(self, trainer: keras.Model) -> int:
        """Put the last checkpoint's state back; return the epoch to go on with, 0 where there is none."""
        if not self.path.is_file():
            return 0
        with np.load(self.path, allow_pickle=False) as arrays:
            for i, variable in enumerate(_state(trainer)):
                variable.assign(arrays[f"state_{i:05d}"])
            self.best = [arrays[name] for name in sorted(arrays.files) if name.startswith("best_")]
            self.history = {name: arrays[f"history_{name}"].tolist() for name in self.history}
        return len(self.history["loss"])

    def use_best(self, trainer: keras.Model) -> None:
        """Put the weights of the best inner epoch back, where there is an inner part."""
        for variable, value in zip(trainer.variables, self.best, strict=False):
            variable.assign(value)


def _state(trainer: keras.Model) -> list[Any]:
    """Return every variable that training changes, dropout's random state among them, in a fixed order."""
    return [*trainer.variables, *trainer.optimizer.variables]
