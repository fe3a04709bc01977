"""The transfer-learning loop that people write first, over the folds of a run of ours.

That of the Keras guide "Transfer learning & fine-tuning" (keras.io/guides/transfer_learning): photos decoded and augmented in
every epoch of every fold, MobileNetV2 frozen for 8 epochs, then 3 epochs of fine-tuning with BatchNormalization frozen.

Run: python -m benchmarks.guide_loop FOLDS DATA WEIGHTS ANSWER.json
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from comp.errors import BadInput
from comp.registry import load_competition
from comp.spec import Candidate
from comp.store import write_json
from comp.tables import read_tables
from comp.weights import facts_of, find_weights
from folds.dataset import Dataset, load_dataset

SIDE, BATCH = 160, 32
FROZEN_EPOCHS, TUNED_EPOCHS = 8, 3


def run_loop(dataset: Dataset, data: Path, weights: str) -> tuple[float, float]:
    """Return the seconds of the guide's loop over all folds, and the macro-F1 of its out-of-fold answers."""
    from sklearn.metrics import f1_score

    facts = facts_of(Candidate("mobilenet", "V2"))
    found = find_weights(facts, weights) if facts else None
    if found is None:
        raise BadInput(f"benchmark guide: no weights of mobilenet in WEIGHTS={weights}")
    rows, paths = dataset.in_folds, _paths_of(dataset, data)
    answers = np.full(len(rows), -1)
    began = time.monotonic()
    for fold in range(dataset.n_folds):
        valid = (rows["fold"] == fold).to_numpy()
        answers[valid] = _guide_fold(dataset, paths, str(found.path), fold)
    return time.monotonic() - began, float(f1_score(dataset.truth, answers, average="macro"))


def _paths_of(dataset: Dataset, data: Path) -> list[str]:
    """Return the file of each row in the folds."""
    train = read_tables(load_competition("rare_species"), data).train
    path_of = dict(zip(train["id"], train["path"], strict=True))
    return [str(data / path_of[row]) for row in dataset.in_folds["id"]]


def _guide_fold(dataset: Dataset, paths: list[str], weights: str, fold: int) -> np.ndarray:
    """Return the class answered for each valid row of a fold, as the guide trains it."""
    import keras
    import tensorflow as tf

    valid = (dataset.in_folds["fold"] == fold).to_numpy()

    def photos(chosen: np.ndarray, is_training: bool) -> Any:
        files = [path for path, is_chosen in zip(paths, chosen, strict=True) if is_chosen]
        found = tf.data.Dataset.from_tensor_slices((files, dataset.truth[chosen]))
        found = found.shuffle(len(files), seed=fold) if is_training else found
        return found.map(_read, tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)

    keras.utils.clear_session()
    keras.utils.set_random_seed(fold)
    base = keras.applications.MobileNetV2(weights=weights, include_top=False, input_shape=(SIDE, SIDE, 3))
    base.trainable = False
    taken = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.RandomRotation(0.1)(keras.layers.RandomFlip("horizontal")(taken))
    x = base(keras.layers.Rescaling(1 / 127.5, offset=-1)(x), training=False)
    x = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(taken, keras.layers.Dense(len(dataset.classes))(x))
    _fit(model, photos(~valid, True), 1e-3, FROZEN_EPOCHS)
    base.trainable = True
    for layer in base.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    _fit(model, photos(~valid, True), 1e-5, TUNED_EPOCHS)
    return np.asarray(model.predict(photos(valid, False), verbose=0).argmax(axis=1))


def _read(path: Any, label: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    photo = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
    return tf.image.resize(photo, (SIDE, SIDE)), label


def _fit(model: Any, photos: Any, rate: float, n_epochs: int) -> None:
    import keras

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    model.fit(photos, epochs=n_epochs, verbose=0, shuffle=False)


if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    folds, data, weights, answer = sys.argv[1:]
    seconds, score = run_loop(load_dataset(Path(folds)), Path(data), weights)
    write_json(Path(answer), {"seconds": seconds, "score": score})
