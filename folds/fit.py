"""One network fitted for one fold, and what it answers: the middle of a fold's job, or of each part where there are several."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from comp.engine import Report
from comp.spec import Candidate, Recipe
from comp.store import read_json, read_marker, replacing, sweep, write_array, write_json, write_marker
from folds.assign import deal
from folds.batches import TrainBatches, predict, predict_by_view
from folds.condition import one_hot, parts_of, values_of
from folds.dataset import Dataset
from folds.loop import CHECKPOINT, train_network
from folds.mixing import Mixing
from folds.model import class_weights, make_network
from folds.oof import mean_of_tables
from folds.runs import MODEL, RunPlan

HEAD = "head"  # folder of the checkpoint of a head that is trained first
HEAD_BATCH = 256


@dataclass(frozen=True)
class Fold:
    """What the fit of one fold needs, gathered from disk.

    Attributes:
        recipe: The plan's, or what a second try made of it.
        inputs: `Inputs`, or `StripInputs` where transcripts are read.
        head_inputs: `Inputs`, pooled features that a tail's head is trained on first, or None.
        train_rows, valid_rows: Positions in `dataset.train`; disjoint, and no row of the hold-out is in either.
        classes: (c,) indices of the classes that are told apart; all, but for a part.
        asked: Which of the rows to predict are asked about, by table (`valid`, `test`): positions; all, but for a part.
        n_views: Under how many views the valid rows are asked apart too; fewer than two: not.
    """

    dataset: Dataset
    plan: RunPlan
    recipe: Recipe
    number: int
    folder: Path
    inputs: Any
    head_inputs: Any
    train_rows: np.ndarray
    valid_rows: np.ndarray
    classes: np.ndarray
    asked: dict[str, np.ndarray]
    n_views: int = 0

    @property
    def candidate(self) -> Candidate:
        """Return what is trained."""
        return self.plan.candidate

    def to_predict(self, name: str, column: str) -> np.ndarray:
        """Return a column of the rows asked about in a table."""
        rows = self.dataset.train.iloc[self.valid_rows] if name == "valid" else self.dataset.readable_test
        return np.asarray(rows[column].to_numpy(dtype=object)[self.asked[name]])


@dataclass(frozen=True)
class Answer:
    """What a fold's network, or its parts' networks together, say.

    Attributes:
        tables: By name, (n, C) float32 probabilities of the rows asked about.
        history: The learning curve: `loss`, `inner_loss` and `seconds` by epoch.
        models: Files of trained weights, below the fold's folder.
        lengths: By name, (n,) frames of each row, where tables are frames (sum T, A) of transcripts.
        facts: What else the fold's marker says.
        by_view: (V, n, C) what the valid rows are answered under each view, where they were asked apart.
    """

    tables: dict[str, np.ndarray]
    history: dict[str, list[float]]
    n_parameters: int
    models: list[str]
    lengths: dict[str, np.ndarray] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    by_view: np.ndarray | None = None


def answer(fold: Fold, report: Report) -> Answer:
    """Fit the fold's network, or one a part, and return what comes out; the weights lie in the fold's folder then."""
    if fold.dataset.is_text:
        from folds.transcribe import answer_text

        return answer_text(fold, report)
    return _answer_in_parts(fold, report) if fold.recipe.condition == "split" else _answer_whole(fold, report)


def _answer_whole(fold: Fold, report: Report) -> Answer:
    network = fresh_network(fold)
    fit_rows, inner_rows = _inner_split(fold)
    if fold.head_inputs is not None and not (fold.folder / CHECKPOINT).is_file():
        _start_from_head(network, fold, fit_rows, report)
    inner_loss = _inner_loss(network, fold, inner_rows)
    history = train_network(network, fold.recipe, _batches(fold, fit_rows), fold.folder, report, inner_loss)
    network.trainable = False
    own = max(1, fold.recipe.tta_views)
    n_views = {"valid": max(own, fold.n_views), "test": own}
    views = {name: _by_view(network, fold, name, n_views[name]) for name in fold.asked}
    tables = {name: mean_of_tables(found[:own]) for name, found in views.items()}
    save_model(network, fold.folder)
    by_view = views["valid"] if fold.n_views > 1 else None
    return Answer(tables, history, network.count_params(), [MODEL], by_view=by_view)


def save_model(network: keras.Model, folder: Path) -> None:
    """Write a network's weights into a fold's folder."""
    with replacing(folder / MODEL) as temporary:
        named = temporary.with_name(f".beside.{MODEL}")  # Keras insists on the ending; the lock keeps others away
        network.save_weights(named)
        named.replace(temporary)


def _answer_in_parts(fold: Fold, report: Report) -> Answer:
    """Fit a model for each value of the condition on its rows and classes; a part that is finished is taken."""
    asked = {name: fold.to_predict(name, "condition").tolist() for name in fold.asked}
    parts = parts_of(fold.dataset, fold.train_rows, asked)
    n_classes = len(fold.dataset.classes)
    tables = {name: np.zeros((len(rows), n_classes), np.float32) for name, rows in fold.asked.items()}
    histories, models, n_parameters = [], [], 0
    for done, part in enumerate(parts):
        sub = replace(
            fold,
            folder=fold.folder / part.name,
            train_rows=part.train_rows,
            classes=part.classes,
            asked=part.asked,
            n_views=0,
        )
        found = _answer_part(sub, _share_of(report, done, len(parts)))
        for name, rows in part.asked.items():
            tables[name][np.ix_(rows, part.classes)] = found.tables[name]
        histories.append((len(part.train_rows), found.history))
        models += [f"{part.name}/{model}" for model in found.models]
        n_parameters += found.n_parameters
    return Answer(tables, _together(histories), n_parameters, models)


def _answer_part(fold: Fold, report: Report) -> Answer:
    if len(fold.classes) == 1:  # a phylum with one family needs no model
        tables = {name: np.ones((len(rows), 1), np.float32) for name, rows in fold.asked.items()}
        return Answer(tables, {"loss": [], "inner_loss": [], "seconds": []}, 0, [])
    marker = read_marker(fold.folder)
    if marker is not None:
        tables = {name: np.load(fold.folder / f"{name}.npy") for name in fold.asked}
        return Answer(tables, read_json(fold.folder / "history.json"), marker["parameters"], [MODEL])
    fold.folder.mkdir(parents=True, exist_ok=True)
    sweep(fold.folder)
    found = _answer_whole(fold, report)
    for name, table in found.tables.items():
        write_array(fold.folder / f"{name}.npy", table)
    write_json(fold.folder / "history.json", found.history)
    outputs = [*(f"{name}.npy" for name in fold.asked), "history.json", MODEL]
    write_marker(fold.folder, outputs, {"parameters": found.n_parameters})
    (fold.folder / CHECKPOINT).unlink(missing_ok=True)
    return found


def _share_of(report: Report, done: int, n_parts: int) -> Report:
    """Return a report whose progress counts as one part of several."""

    def tell(kind: str, value: Any) -> None:
        report(kind, (done + value) / n_parts if kind == "progress" else value)

    return tell


def _together(histories: list[tuple[int, dict[str, list[float]]]]) -> dict[str, list[float]]:
    """Return one learning curve of several: losses averaged by rows, seconds summed; parts without a model have none."""
    trained = [(n_rows, history) for n_rows, history in histories if history["loss"]]
    if not trained:
        return {"loss": [], "inner_loss": [], "seconds": []}
    shares = [n_rows for n_rows, _ in trained]
    curves = {name: np.array([history[name] for _, history in trained]) for name in ("loss", "inner_loss", "seconds")}
    return {
        "loss": np.average(curves["loss"], axis=0, weights=shares).tolist(),
        "inner_loss": np.average(curves["inner_loss"], axis=0, weights=shares).tolist(),
        "seconds": curves["seconds"].sum(axis=0).tolist(),
    }


def fresh_network(fold: Fold) -> keras.Model:
    """Return the network as it is before training; what this process did before does not matter."""
    keras.utils.clear_session(free_memory=False)
    keras.config.set_dtype_policy(fold.plan.fit_precision)
    keras.utils.set_random_seed(model_seed(fold))
    return make_network(
        fold.candidate,
        fold.recipe,
        len(fold.classes),
        fold.plan.facts["channels"],
        fold.plan.weights_path or None,
        fold.inputs.shape,
        len(values_of(fold.dataset)) if fold.recipe.condition == "input" else 0,
    )


def _start_from_head(network: keras.Model, fold: Fold, rows: np.ndarray, report: Report) -> None:
    """Give the network the head that a probe on the same rows ends with; a second try with smaller batches has such heads too."""
    n_steps = fold.recipe.accumulation_steps // fold.plan.recipe.accumulation_steps
    recipe = replace(
        fold.recipe,
        epochs=fold.recipe.head_epochs,
        learning_rate=fold.recipe.head_learning_rate,
        batch_size=HEAD_BATCH // n_steps,
        accumulation_steps=n_steps,
        depth_decay=1.0,
        unfreeze=0.0,
        ema=0.0,
    )
    probe = replace(fold.candidate, fit="probe")
    assert fold.head_inputs is not None
    n_conditions = len(values_of(fold.dataset)) if recipe.condition == "input" else 0
    head = make_network(probe, recipe, len(fold.classes), 0, None, fold.head_inputs.shape, n_conditions)
    batches = _batches(replace(fold, inputs=fold.head_inputs, recipe=recipe), rows)
    train_network(head, recipe, batches, fold.folder / HEAD, lambda kind, value: report("progress", 0.0))
    shutil.rmtree(fold.folder / HEAD)
    network.get_layer("logits").set_weights(head.get_layer("logits").get_weights())


def model_seed(fold: Fold) -> int:
    """Return a seed of its own for each (run seed, fold), so that folds start from different weights."""
    return int(np.random.SeedSequence([fold.plan.seed, fold.number]).generate_state(1)[0])


def predict_size(fold: Fold) -> int:
    """Return how many photos are predicted at once; fixed, because a result may depend on it."""
    return HEAD_BATCH if fold.candidate.fit == "probe" else 32


def _conditions(fold: Fold, conditions: np.ndarray) -> np.ndarray | None:
    if fold.recipe.condition != "input":
        return None
    return one_hot(conditions.tolist(), values_of(fold.dataset))


def _by_view(network: keras.Model, fold: Fold, name: str, n_views: int) -> np.ndarray:
    shas = fold.to_predict(name, "sha").tolist()
    conditions = _conditions(fold, fold.to_predict(name, "condition"))
    return predict_by_view(network, fold.inputs, shas, n_views, predict_size(fold), conditions)


def _labels(fold: Fold, rows: np.ndarray) -> np.ndarray:
    """Return the position of each train row's class among the classes that are told apart."""
    labels = fold.dataset.index_of(fold.dataset.train["label"].iloc[rows])
    return np.searchsorted(fold.classes, labels)


def _batches(fold: Fold, rows: np.ndarray) -> TrainBatches:
    recipe, labels, n_classes = fold.recipe, _labels(fold, rows), len(fold.classes)
    weights = class_weights(labels, n_classes) if recipe.class_weights else np.ones(n_classes, np.float32)
    return TrainBatches(
        fold.inputs,
        fold.dataset.train["sha"].iloc[rows].tolist(),
        np.eye(n_classes, dtype=np.float32)[labels],
        weights[labels],
        batch_size=recipe.batch_size,
        seed=model_seed(fold),
        mixing=Mixing(recipe.mixup, recipe.cutmix),
        conditions=_conditions(fold, fold.dataset.train["condition"].to_numpy(dtype=object)[rows]),
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
    shas, labels = fold.dataset.train["sha"].iloc[rows].tolist(), _labels(fold, rows)
    conditions = _conditions(fold, fold.dataset.train["condition"].to_numpy(dtype=object)[rows])

    def loss() -> float:
        probabilities = predict(network, fold.inputs, shas, 1, predict_size(fold), conditions)
        return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-7)).mean())

    return loss
