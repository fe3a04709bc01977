"""Heads on features: what they are trained on and predict from, and what a recipe's average, pooling and margin do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import folds.features
import folds.loop
from comp.chunks import ChunkStore
from comp.images import CACHE
from comp.layers import CosineLogits, GeneralisedMeanPooling
from comp.spec import Recipe
from folds.banks import banks_of
from folds.batches import TrainBatches, softmax
from folds.dataset import Dataset
from folds.model import MarginCrossentropy, make_loss, pooled
from tests.frozen import ALL_ON, fit, frozen_plan, model_weights, untrained

pytestmark = pytest.mark.usefixtures("float32")

CUT = "block3_pool"


def test_no_row_of_the_fold_is_ever_in_a_batch(
    dataset: Dataset, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()
    plan = frozen_plan(dataset, weights, "probe", epochs=1, inner_valid=0.25)
    real = TrainBatches.__getitem__

    def note(self: Any, batch: int) -> Any:
        asked = self.inputs.drawn
        self.inputs.drawn = lambda shas, seeds: (seen.update(shas), asked(shas, seeds))[1]
        try:
            return real(self, batch)
        finally:
            self.inputs.drawn = asked

    monkeypatch.setattr(TrainBatches, "__getitem__", note)
    fit(dataset, plan, fold=1)
    folds_of = dict(zip(dataset.train["sha"], dataset.train["fold"], strict=True))
    assert seen and {folds_of[sha] for sha in seen} == {0, 2}


def test_a_probe_learns_from_features_and_leaves_photos_and_weights_alone(dataset: Dataset, weights: Path) -> None:
    plan = frozen_plan(dataset, weights, "probe", epochs=12, learning_rate=0.02, dropout=0.0)
    folder = fit(dataset, plan, fold=1)
    rows = dataset.train["fold"] == 1
    truth = dataset.index_of(dataset.train["label"][rows])
    assert (np.load(folder / "valid.npy").argmax(axis=1) == truth).mean() >= 0.9
    weights.unlink()  # what is in the bank needs no weights any more
    (folder / "done.json").unlink()
    fit(dataset, plan, fold=1)


def test_views_that_predict_are_averaged(dataset: Dataset, weights: Path) -> None:
    plan = frozen_plan(dataset, weights, "probe", tta_views=2, views=3)
    folder = fit(dataset, plan)
    network = untrained(plan, weights)
    network.load_weights(folder / "model.weights.h5")
    for name, shas in (
        ("valid", dataset.train["sha"][dataset.train["fold"] == 0].tolist()),
        ("test", dataset.readable_test["sha"].tolist()),
    ):
        stores = [ChunkStore(spec.folder(CACHE)) for spec in banks_of(plan)[:2]]
        views = [softmax(np.asarray(network(store.gather(shas).astype(np.float32)))) for store in stores]
        found = np.load(folder / f"{name}.npy")
        assert np.allclose(found, np.mean(views, axis=0), atol=1e-6) and np.allclose(found.sum(axis=1), 1, atol=1e-5)


# the average of the weights


def averaged(steps: list[list[np.ndarray]], momentum: float) -> list[np.ndarray]:
    average = steps[0]
    for step in steps[1:]:
        average = [momentum * a + (1 - momentum) * b for a, b in zip(average, step, strict=True)]
    return average


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_average_of_the_weights_predicts(
    dataset: Dataset, weights: Path, monkeypatch: pytest.MonkeyPatch, momentum: float
) -> None:
    steps: list[list[np.ndarray]] = []
    real = folds.loop._Loop.on_train_batch_end

    def note(self: Any, batch: int, logs: Any = None) -> None:
        real(self, batch, logs)
        steps.append([np.asarray(variable) for variable in self.model.trainable_variables])

    monkeypatch.setattr(folds.loop._Loop, "on_train_batch_end", note)
    plan = frozen_plan(dataset, weights, "probe", ema=momentum, learning_rate=0.1)
    end = model_weights(fit(dataset, plan), plan, weights)
    assert len(steps) == 9
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(end, averaged(steps, momentum), strict=True))
    assert all((a != b).any() for a, b in zip(end, steps[-1], strict=True)) is (momentum > 0)


def test_where_inner_rows_choose_the_epoch_the_average_predicts_too(dataset: Dataset, weights: Path) -> None:
    """With one epoch there is nothing to choose: what is left is whether the average is taken."""
    plans = [
        frozen_plan(dataset, weights, "probe", epochs=1, inner_valid=0.25, ema=ema, learning_rate=0.1)
        for ema in (0.0, 0.9)
    ]
    plain, average = (np.load(fit(dataset, plan) / "valid.npy") for plan in plans)
    assert (plain != average).any()


# pooling and head


def test_the_generalised_mean_lies_between_mean_and_maximum() -> None:
    layer = GeneralisedMeanPooling()
    x = np.random.default_rng(0).uniform(0, 4, (3, 5, 6, 7)).astype(np.float32)
    found = np.asarray(layer(x))
    assert np.allclose(found, (x.astype(float) ** 3).mean(axis=(1, 2)) ** (1 / 3), rtol=1e-4)
    layer.exponent.assign(1.0)
    assert np.allclose(np.asarray(layer(x)), x.mean(axis=(1, 2)), rtol=1e-4)
    layer.exponent.assign(40.0)
    assert np.abs(np.asarray(layer(x)) - x.max(axis=(1, 2))).max() < 0.4
    assert np.asarray(GeneralisedMeanPooling()(x.reshape(3, 30, 7))).shape == (3, 7)


@pytest.mark.parametrize("x", [np.zeros((2, 3, 3, 4)), -np.ones((2, 3, 3, 4)), np.full((2, 3, 3, 4), 300.0)])
def test_pooling_of_nothing_or_much_keeps_gradients_finite(x: np.ndarray) -> None:
    taken = keras.Input((3, 3, 4))
    model = keras.Model(taken, keras.layers.Dense(2)(GeneralisedMeanPooling()(taken)))
    model.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=False)
    model.train_on_batch(x.astype(np.float32), np.ones((2, 2)))
    assert all(np.isfinite(np.asarray(weight)).all() for weight in model.weights)


def test_cosine_logits_are_scaled_angles() -> None:
    layer = CosineLogits(4)
    x = np.random.default_rng(0).normal(0, 1, (6, 5)).astype(np.float32)
    found, kernel = np.asarray(layer(x)), np.asarray(layer.kernel)
    angles = (x / np.linalg.norm(x, axis=1, keepdims=True)) @ (kernel / np.linalg.norm(kernel, axis=0))
    assert np.allclose(found, CosineLogits.SCALE * angles, atol=1e-4)
    assert np.allclose(np.asarray(layer(7 * x)), found, atol=1e-4)
    assert np.isfinite(np.asarray(layer(0 * x))).all()


def test_a_margin_makes_the_true_class_harder_and_0_is_plain_cross_entropy() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (5, 4)).astype(np.float32)
    targets = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0]]
    plain = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    assert np.allclose(MarginCrossentropy(0.0, 0.1)(targets, logits), plain(targets, logits), atol=1e-6)
    expected = plain(targets, logits - 1.6 * targets)
    assert np.allclose(
        make_loss(Recipe(head="cosine", margin=0.1, label_smoothing=0.1))(targets, logits), expected, atol=1e-5
    )
    assert float(expected) > float(plain(targets, logits))


@pytest.mark.parametrize("layer", [GeneralisedMeanPooling(name="a"), CosineLogits(5, name="a")])
def test_layers_come_back_from_their_facts(layer: keras.layers.Layer) -> None:
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer) and again.get_config() == layer.get_config()


@pytest.mark.parametrize("shape", [(4, 4, 6), (9, 6)])
def test_pooling_is_in_whole_numbers(shape: tuple[int, ...]) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    for pool in ("mean", "gem"):
        assert pooled(keras.Input(shape, dtype="bfloat16"), pool).dtype == "float32"


def test_a_recipe_s_options_are_in_the_key(dataset: Dataset, weights: Path) -> None:
    plan = frozen_plan(dataset, weights, "tail", cut=CUT)
    others = {
        **ALL_ON,
        "pool": "gem",
        "head": "cosine",
        "margin": 0.2,
        "views": 4,
        "tta_views": 1,
        "cut": "block2_pool",
    }
    keys = {replace(plan, recipe=replace(plan.recipe, **{name: value})).key for name, value in others.items()}
    assert len(keys | {plan.key}) == len(others) + 1
    assert replace(plan, weights_path="/elsewhere").key == plan.key != replace(plan, weights_sha="c" * 64).key
