"""Training steps of scratch_cnn from the image cache against bare `train_on_batch` on arrays in memory."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from comp.backend import fed, prepare_environment

prepare_environment()

import keras
import numpy as np

from benchmarks.figure import Figure
from benchmarks.photos import write_photos
from comp.augment import policy
from comp.backend import jit_compile
from comp.engine import ignore_events
from comp.engines.inline import InlineEngine
from comp.images import ImageStore, PixelSpec, cache_images
from comp.spec import PHOTO_SYMMETRIES, Candidate, Recipe
from folds.batches import TrainBatches
from folds.inputs import PixelInputs
from folds.model import make_network
from folds.optimizer import make_optimizer

SIDE, BATCH, N_BATCHES, N_CLASSES, ROUNDS = 128, 32, 16, 82, 5


def make_trainer() -> keras.Model:
    """Return a compiled scratch_cnn, as a fold trains it."""
    recipe = Recipe(pixels=SIDE, epochs=100)
    network = make_network(Candidate("scratch_cnn", "base", "scratch", SIDE), recipe, N_CLASSES, 3)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    network.compile(make_optimizer(recipe, 10_000), loss, jit_compile=jit_compile(), weighted_metrics=[])
    return network


def time_bare(trainer: keras.Model, arrays: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> float:
    """Return the seconds of one pass of `train_on_batch` over batches in memory."""
    began = time.monotonic()
    for photos, targets, weights in arrays:
        trainer.train_on_batch(photos, targets, weights)
    return time.monotonic() - began


def time_ours(trainer: keras.Model, batches: TrainBatches, n_epochs: int = 1) -> float:
    """Return the seconds of an epoch of `fit` from the cache."""
    ends: list[float] = []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.monotonic()))
    trainer.fit(fed(batches), epochs=n_epochs + 1, verbose=0, shuffle=False, callbacks=[note])
    return (ends[-1] - ends[0]) / n_epochs


def measure() -> list[Figure]:
    """Return the figures: medians of rounds that take turns, in one process with one thread."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "photos").mkdir()
        names = write_photos(root / "photos", BATCH * N_BATCHES)
        facts = cache_images(root / "photos", names, [PixelSpec(SIDE)], InlineEngine(), ignore_events, root / "cache")
        store = ImageStore(PixelSpec(SIDE), root / "cache")
        shas = [photo.sha for photo in facts]
        targets = np.eye(N_CLASSES, dtype=np.float32)[np.arange(len(shas)) % N_CLASSES]
        batches = {
            strength: TrainBatches(
                PixelInputs(store, policy(strength, PHOTO_SYMMETRIES)), shas, targets, np.ones(len(shas), np.float32),
                batch_size=BATCH, seed=0,
            )
            for strength in (0.0, 0.5)
        }  # fmt: skip
        arrays = [batches[0.0][i] for i in range(N_BATCHES)]
        trainer = make_trainer()
        time_bare(trainer, arrays[:2])
        ratios: dict[float, list[float]] = {0.0: [], 0.5: []}
        for _ in range(ROUNDS):
            bare = time_bare(trainer, arrays)
            for strength, found in ratios.items():
                found.append(bare / time_ours(trainer, batches[strength]))
    how = f"scratch_cnn {SIDE} px, batch {BATCH}, one thread, median of {ROUNDS}; train_on_batch in memory / fit from cache"
    return [
        Figure("training steps, strength 0", statistics.median(ratios[0.0]), "of bare Keras", how, at_least=0.9),
        Figure("training steps, strength 0.5", statistics.median(ratios[0.5]), "of bare Keras", how),
    ]
