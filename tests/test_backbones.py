"""One contract for every backbone's `tiny`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from comp.registry import load_backbone, names
from comp.spec import Candidate, Recipe
from folds.model import class_weights, make_network, make_optimizer

BACKBONES = names("comp.backbones")
RECIPE = Recipe(pixels=32, epochs=1, width=8, dropout=0.2)


def network(name: str, channels: int = 3) -> keras.Model:
    keras.utils.set_random_seed(1)
    return make_network(Candidate(name, "tiny", "scratch", 32), RECIPE, 5, channels)


@pytest.mark.parametrize("name", BACKBONES)
def test_facts_fit_the_file(name: str) -> None:
    backbone = load_backbone(name)
    assert backbone.name == name
    assert "tiny" in backbone.variants and backbone.default_variant in backbone.variants
    assert set(backbone.options) <= set(RECIPE.as_dict())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", BACKBONES)
def test_pixels_in_finite_logits_out(name: str, channels: int) -> None:
    photos = np.random.default_rng(0).integers(0, 256, (2, 32, 32, channels), dtype=np.uint8)
    logits = np.asarray(network(name, channels)(photos))
    assert logits.shape == (2, 5) and logits.dtype == np.float32 and np.isfinite(logits).all()


@pytest.mark.parametrize("name", BACKBONES)
def test_weights_come_back_to_the_last_bit(name: str, tmp_path: Path) -> None:
    photos = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    first, second = network(name), make_network(Candidate(name, "tiny", "scratch", 32), RECIPE, 5, 3)
    first.save_weights(tmp_path / "a.weights.h5")
    second.load_weights(tmp_path / "a.weights.h5")
    assert (np.asarray(first(photos)) == np.asarray(second(photos))).all()


@pytest.mark.parametrize("name", BACKBONES)
def test_one_batch_can_be_overfitted(name: str) -> None:
    random = np.random.default_rng(0)
    photos, labels = random.integers(0, 256, (10, 32, 32, 3), dtype=np.uint8), np.arange(10) % 5
    model = network(name)
    model.compile(keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(photos, labels, epochs=80, batch_size=10, verbose=0)
    assert (np.asarray(model(photos, training=False)).argmax(axis=1) == labels).mean() >= 0.9


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_scratch_cnn_takes_width_and_activation_from_the_recipe(activation: str) -> None:
    recipe = replace(RECIPE, width=12, activation=activation)
    model = make_network(Candidate("scratch_cnn", "tiny", "scratch", 32), recipe, 5, 3)
    kinds = {type(layer).__name__ for layer in model.layers}
    assert ("LeakyReLU" in kinds) is (activation == "leaky_relu")
    assert model.get_layer("pool").output.shape[-1] % 12 == 0


def test_rate_warms_up_to_its_peak_and_falls_to_zero() -> None:
    optimizer = make_optimizer(replace(RECIPE, learning_rate=0.1, warmup=0.1), 100)
    rates = [float(optimizer._learning_rate(step)) for step in (0, 5, 10, 55, 100)]
    assert rates[0] == 0 and rates[2] == pytest.approx(0.1) and rates[4] == pytest.approx(0, abs=1e-6)
    assert rates[1] == pytest.approx(0.05) and rates[3] == pytest.approx(0.05)


def test_class_weights_favour_the_rare_and_average_one() -> None:
    labels = np.array([0] * 16 + [1] * 4)
    weights = class_weights(labels, 2)
    assert weights[1] / weights[0] == pytest.approx(2) and weights[labels].mean() == pytest.approx(1)
