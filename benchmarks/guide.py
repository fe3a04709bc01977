"""A sweep of probes against the transfer-learning loop that people write first, five folds each, on real photos in one run.

The loop is that of the Keras guide "Transfer learning & fine-tuning" (keras.io/guides/transfer_learning): photos decoded and
augmented in every epoch of every fold, MobileNetV2 frozen for 8 epochs, then 3 epochs of fine-tuning with BatchNormalization frozen.

Run: make perf ARGS=guide DATA=path/to/animal-families WEIGHTS=path/to/weights
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure import Figure
from comp.errors import BadInput
from comp.registry import load_competition
from comp.spec import Candidate
from comp.store import read_json
from comp.tables import read_tables
from comp.weights import facts_of, find_weights
from folds.dataset import Dataset, load_dataset

SIDE, BATCH = 160, 32
FROZEN_EPOCHS, TUNED_EPOCHS = 8, 3
OURS = {  # what is asked for, the ratio aimed at
    "160 px, 2 views": (["--preset", "quick", "--backbones", "mobilenet:probe:160px"], 15.0),
    "224 px, 6 views": (["--preset", "standard", "--backbones", "mobilenet:probe:224px"], 7.0),
}


def measure(data: str | None, weights: str | None) -> list[Figure]:
    """Return the ratio of times and both scores for each of our settings.

    Raises:
        BadInput: If DATA or WEIGHTS names no folder that can be used.
    """
    if not data or not weights:
        raise BadInput("benchmark guide: needs real photos and weights; name DATA=folder and WEIGHTS=folder")
    with tempfile.TemporaryDirectory() as temporary:
        ours = {name: _ours(Path(temporary, f"{i}"), data, weights, OURS[name][0]) for i, name in enumerate(OURS)}
        dataset = load_dataset(next(Path(temporary, "0", "runs", "rare_species").glob("*/folds.csv")).parent)
        guide_seconds, guide_score = _guide(dataset, data, weights)
    return [
        Figure(
            f"k-fold sweep, {name}",
            guide_seconds / seconds,
            "times as fast as the guide's loop",
            f"macro-F1 {score:.3f} in {seconds:.0f} s, the guide's loop {guide_score:.3f} in {guide_seconds:.0f} s; 5 folds each",
            at_least=OURS[name][1],
        )
        for name, (seconds, score) in ours.items()
    ]


def _ours(folder: Path, data: str, weights: str, options: list[str]) -> tuple[float, float]:
    """Return the seconds of the whole command from cold caches, in a folder of its own, and its out-of-fold score."""
    folder.mkdir()
    place = [
        "--competition",
        "rare_species",
        "--data",
        str(Path(data).resolve()),
        "--weights",
        str(Path(weights).resolve()),
    ]
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "submissions", "submit", *place, *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.monotonic() - began
    manifest = read_json(next(folder.glob("runs/rare_species/*/submissions/*.json")))
    return seconds, float(manifest["cv"]["score"])


def _guide(dataset: Dataset, data: str, weights: str) -> tuple[float, float]:
    """Return the seconds of the guide's loop over all folds, and the macro-F1 of its out-of-fold answers."""
    from sklearn.metrics import f1_score

    facts = facts_of(Candidate("mobilenet", "V2"))
    found = find_weights(facts, weights) if facts else None
    if found is None:
        raise BadInput(f"benchmark guide: no weights of mobilenet in WEIGHTS={weights}")
    rows, paths = dataset.in_folds, paths_of(dataset, Path(data))
    answers = np.full(len(rows), -1)
    began = time.monotonic()
    for fold in range(dataset.n_folds):
        valid = (rows["fold"] == fold).to_numpy()
        answers[valid] = _guide_fold(dataset, paths, str(found.path), fold)
    return time.monotonic() - began, float(f1_score(dataset.truth, answers, average="macro"))


def paths_of(dataset: Dataset, data: Path) -> list[str]:
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
    model.fit(photos, epochs=n_epochs, verbose=0)
