"""Batches for Keras from what a network is fed: rows by content hash, drawn and mixed from (seed, epoch, row) alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from comp.augment import image_seeds
from folds.condition import forgotten
from folds.inputs import Inputs
from folds.mixing import Mixing
from folds.oof import mean_of_tables


class TrainBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """One epoch after the other of shuffled rows, each drawn anew, with one-hot targets and row weights.

    Every batch has the same number of rows (another shape would be compiled again), so an epoch leaves out the few rows that do
    not fill one; they differ from epoch to epoch. What a batch holds depends on (seed, epoch, batch) only.

    Args:
        shas: (N,) content hash of each train row.
        targets: (N, C) float32, one-hot.
        row_weights: (N,) float32.
        conditions: (N, K) float32, a second input of the network, or None.
    """

    def __init__(
        self,
        inputs: Inputs,
        shas: Sequence[str],
        targets: np.ndarray,
        row_weights: np.ndarray,
        *,
        batch_size: int,
        seed: int,
        mixing: Mixing | None = None,
        conditions: np.ndarray | None = None,
        first_epoch: int = 0,
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self.inputs, self.shas, self.targets, self.row_weights = inputs, list(shas), targets, row_weights
        self.batch_size = min(batch_size, len(self.shas))
        self.seed, self.mixing, self.conditions = seed, mixing or Mixing(), conditions
        self.start_epoch(first_epoch)

    def __len__(self) -> int:
        return len(self.shas) // self.batch_size

    def start_epoch(self, epoch: int) -> None:
        """Shuffle for an epoch; what came before does not matter, so a resumed fit sees the same rows.

        A callback calls it: Keras 3.15 calls `on_epoch_end` of a PyDataset once before the first epoch too.
        """
        self.epoch = epoch
        self.order = np.random.default_rng([self.seed, epoch]).permutation(len(self.shas))

    def __getitem__(self, batch: int) -> tuple[Any, Any, Any]:
        rows = self.order[batch * self.batch_size : (batch + 1) * self.batch_size]
        drawn = self.inputs.drawn([self.shas[row] for row in rows], image_seeds(self.seed, self.epoch, rows))
        seeds = (self.seed, self.epoch, batch)
        if self.conditions is None:
            mixed, targets = self.mixing.apply(drawn, self.targets[rows], seeds)
            return mixed, targets, self.row_weights[rows]
        known = forgotten(self.conditions[rows], seeds)
        both = np.concatenate([self.targets[rows], known], axis=1)  # blended by the same share
        mixed, both = self.mixing.apply(drawn, both, seeds)
        n_classes = self.targets.shape[1]
        return (mixed, both[:, n_classes:]), both[:, :n_classes], self.row_weights[rows]


def predict(
    model: keras.Model,
    inputs: Inputs,
    shas: Sequence[str],
    n_views: int = 1,
    batch_size: int = 32,
    conditions: np.ndarray | None = None,
) -> np.ndarray:
    """Return (N, C) float32 probabilities of photos in the order asked, averaged over the first views, as far as there are.

    Args:
        conditions: (N, K) float32, where the network takes them.
    """
    return mean_of_tables(predict_by_view(model, inputs, shas, n_views, batch_size, conditions))


def predict_by_view(
    model: keras.Model,
    inputs: Inputs,
    shas: Sequence[str],
    n_views: int,
    batch_size: int = 32,
    conditions: np.ndarray | None = None,
) -> np.ndarray:
    """Return (V, N, C) float32 probabilities of photos under each of the first views, as far as there are."""
    n = min(n_views, inputs.n_views)
    return np.stack([softmax(predict_logits(model, inputs, shas, view, batch_size, conditions)) for view in range(n)])


def predict_logits(
    model: keras.Model,
    inputs: Inputs,
    shas: Sequence[str],
    view: int = 0,
    batch_size: int = 32,
    conditions: np.ndarray | None = None,
) -> np.ndarray:
    """Return (N, C) float32 logits of one view; every batch has the same shape, the last one filled up."""
    shas = list(shas)
    if not shas:
        return np.empty((0, model.output_shape[-1]), np.float32)
    parts = []
    for start in range(0, len(shas), batch_size):
        batch = shas[start : start + batch_size]
        rows = np.minimum(np.arange(start, start + batch_size), len(shas) - 1)  # the last one fills up
        seen = inputs.seen([shas[row] for row in rows.tolist()], view)
        taken = seen if conditions is None else (seen, conditions[rows])
        parts.append(np.asarray(model.predict_on_batch(taken))[: len(batch)])
    return np.concatenate(parts).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return (N, C) float32 probabilities of (N, C) logits, computed in double precision."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), dtype=np.float32)
