"""The epochs of one fit: a network trained in place from its last checkpoint, so that a kill costs one epoch at most."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from comp.backend import fed, jit_compile
from comp.engine import Report
from comp.spec import Recipe
from comp.store import replacing
from folds.batches import TrainBatches
from folds.model import depths, make_loss
from folds.optimizer import make_optimizer
from folds.strips import StripBatches

CHECKPOINT = "resume.npz"


Batches = TrainBatches | StripBatches
Fit = Callable[[keras.Model, Any, int, "_Loop"], None]


class NotFinite(Exception):
    """The loss is infinite or not a number."""


def train_network(
    network: keras.Model,
    recipe: Recipe,
    batches: Batches,
    folder: Path,
    report: Report,
    inner_loss: Callable[[], float] | None = None,
    loss: keras.losses.Loss | None = None,
    fit: Fit | None = None,
) -> dict[str, list[float]]:
    """Train the network in place, from the checkpoint in `folder` where there is one; return its learning curve.

    Args:
        inner_loss: Loss on inner rows, which chooses the epoch; None takes the last.
        loss: Of the network's outputs; None takes that of classes.
        fit: What takes the trainer through epochs, from the first to be done, with what happens around each; None: Keras' own.

    Raises:
        NotFinite: If the loss of an epoch is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trainer = keras.Model(network.inputs, network.outputs)  # the network itself stays free of optimizer state
    trainer.compile(
        optimizer=make_optimizer(recipe, recipe.epochs * len(batches), depths(network)),
        loss=loss or make_loss(recipe),
        weighted_metrics=[],
        jit_compile=jit_compile(),
    )
    trainer.optimizer.build(trainer.trainable_variables)
    loop = _Loop(recipe, batches, folder / CHECKPOINT, report, inner_loss)
    first_epoch = loop.resume(trainer)
    if first_epoch < recipe.epochs:
        (fit or _fit)(trainer, batches, first_epoch, loop)
    else:  # killed between the last epoch and what follows it
        trainer.optimizer.finalize_variable_values(trainer.trainable_variables)
    loop.use_best(trainer)
    return loop.history


def _fit(trainer: keras.Model, batches: Batches, first_epoch: int, loop: _Loop) -> None:
    epochs = loop.recipe.epochs
    trainer.fit(fed(batches), epochs=epochs, initial_epoch=first_epoch, verbose=0, shuffle=False, callbacks=[loop])


class _Loop(keras.callbacks.Callback):  # type: ignore[misc]
    """What happens around the epochs of a fit: order of rows, checkpoint, learning curve, progress, checks."""

    def __init__(
        self,
        recipe: Recipe,
        batches: Batches,
        path: Path,
        report: Report,
        inner_loss: Callable[[], float] | None,
    ) -> None:
        super().__init__()
        self.recipe, self.batches, self.path, self.report, self.inner_loss = recipe, batches, path, report, inner_loss
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
            self.report("progress", done / self.recipe.epochs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        loss = float((logs or {})["loss"])
        if not np.isfinite(loss):
            raise NotFinite
        self.history["loss"].append(loss)
        if self.inner_loss is not None:
            self._judge(self.inner_loss)
        self.history["seconds"].append(round(time.monotonic() - self._began, 3))
        self.report("progress", (epoch + 1) / self.recipe.epochs)
        self._save()

    def _judge(self, inner_loss: Callable[[], float]) -> None:
        """Keep the weights that would predict now, the moving average where there is one, if they are the best so far."""
        raw = _values(self.model.variables)
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        loss = inner_loss()
        if loss < min(self.history["inner_loss"], default=np.inf):
            self.best = _values(self.model.variables)
        for variable, value in zip(self.model.variables, raw, strict=True):
            variable.assign(value)
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


def _values(variables: list[Any]) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _state(trainer: keras.Model) -> list[Any]:
    """Return every variable that training changes, dropout's random state among them, in a fixed order."""
    return [*trainer.variables, *trainer.optimizer.variables]
