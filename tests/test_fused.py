"""Normalisation inside a convolution: the same answers, the same gradients, the same weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from comp.registry import load_backbone
from comp.spec import Candidate, Fit
from folds.fused import ConvolutionAndNorm, fuse_normalisation
from folds.model import freeze_normalisation, make_network
from tests.frozen import PIXELS, RECIPE, norms_of, save_tiny

SIDE, CHANNELS = 6, 8
FUSED: dict[str, Callable[[], Any]] = {
    "1 x 1": lambda: layers.Conv2D(5, 1, use_bias=False),
    "1 x 1 with a bias": lambda: layers.Conv2D(5, 1, bias_initializer="random_normal"),
    "1 x 1 and strided": lambda: layers.Conv2D(5, 1, strides=2, use_bias=False),
    "3 x 3": lambda: layers.Conv2D(5, 3, padding="same", use_bias=False),
    "3 x 3, strided, with a bias": lambda: layers.Conv2D(5, 3, strides=2, bias_initializer="random_normal"),
    "dilated": lambda: layers.Conv2D(5, 3, dilation_rate=2, use_bias=False),
    "depthwise": lambda: layers.DepthwiseConv2D(3, padding="same", use_bias=False),
    "depthwise, strided, with a bias": lambda: layers.DepthwiseConv2D(3, strides=2, bias_initializer="random_normal"),
}
LEFT: dict[str, Callable[[], Any]] = {
    "with an activation": lambda: layers.Conv2D(5, 1, activation="relu"),
    "two channels from each": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
    "in groups": lambda: layers.Conv2D(4, 1, groups=2),
    "no convolution": lambda: layers.Dense(5),
}


def with_norm(convolution: Any, *, frozen: bool = True, **options: Any) -> keras.Model:
    """Return a photo through the convolution, a norm far from where norms start, and a ReLU."""
    keras.utils.set_random_seed(1)
    photo = keras.Input((SIDE, SIDE, CHANNELS))
    norm = layers.BatchNormalization(**options)
    model = keras.Model(photo, layers.ReLU()(norm(convolution(photo))))
    random = np.random.default_rng(2)
    for weight in norm.weights:
        weight.assign(random.uniform(0.5, 2.0, weight.shape))
    if frozen:
        freeze_normalisation(model)
    return model


def photos(n: int = 3) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(n, SIDE, SIDE, CHANNELS)).astype(np.float32)


def fused_layers(model: keras.Model) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, ConvolutionAndNorm)]


def slopes(model: keras.Model, x: np.ndarray) -> list[np.ndarray]:
    """Return the gradient of a sum of what comes out, one array for each trainable variable."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        total = keras.ops.sum(keras.ops.square(model(x, training=True)))
    return [np.asarray(slope) for slope in tape.gradient(total, model.trainable_variables)]


def paths(variables: list[Any]) -> list[str]:
    return [variable.path for variable in variables]


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}], ids=["whole", "no scale", "no centre"])
@pytest.mark.parametrize("kind", FUSED)
def test_answers_and_gradients_are_those_of_the_two_layers(kind: str, options: dict[str, Any]) -> None:
    apart = with_norm(FUSED[kind](), **options)
    together = fuse_normalisation(apart)
    assert len(fused_layers(together)) == 1
    assert paths(together.weights) == paths(apart.weights)
    assert paths(together.trainable_variables) == paths(apart.trainable_variables)
    np.testing.assert_allclose(together(photos()), apart(photos()), rtol=1e-4, atol=1e-5)
    for one, other in zip(slopes(together, photos()), slopes(apart, photos()), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", LEFT)
def test_what_is_no_plain_convolution_is_left_as_it_is(kind: str) -> None:
    apart = with_norm(LEFT[kind]())
    together = fuse_normalisation(apart)
    assert not fused_layers(together)
    assert (np.asarray(together(photos())) == np.asarray(apart(photos()))).all()


def test_a_norm_that_is_trained_is_left_as_it_is() -> None:
    assert not fused_layers(fuse_normalisation(with_norm(FUSED["3 x 3"](), frozen=False)))


def test_a_norm_before_any_convolution_and_one_behind_a_sum_are_left_as_they_are() -> None:
    photo = keras.Input((SIDE, SIDE, CHANNELS))
    x = layers.BatchNormalization()(photo)
    model = keras.Model(photo, layers.BatchNormalization()(layers.Add()([x, layers.Conv2D(CHANNELS, 1)(x)])))
    freeze_normalisation(model)
    assert not fused_layers(fuse_normalisation(model))


def test_a_convolution_that_goes_two_ways_is_right_on_both() -> None:
    photo = keras.Input((SIDE, SIDE, CHANNELS))
    x = layers.Conv2D(CHANNELS, 3, padding="same")(photo)
    norm = layers.BatchNormalization(gamma_initializer=keras.initializers.Constant(3.0))
    model = keras.Model(photo, layers.Add()([x, norm(x)]))
    freeze_normalisation(model)
    together = fuse_normalisation(model)
    assert len(fused_layers(together)) == 1
    np.testing.assert_allclose(together(photos()), model(photos()), rtol=1e-4, atol=1e-5)


def test_layers_that_are_called_twice_are_fused_once() -> None:
    photo = keras.Input((SIDE, SIDE, CHANNELS))
    convolution, norm = layers.Conv2D(CHANNELS, 3, padding="same"), layers.BatchNormalization()
    model = keras.Model(photo, norm(convolution(norm(convolution(photo)))))
    freeze_normalisation(model)
    together = fuse_normalisation(model)
    assert len(fused_layers(together)) == 1
    np.testing.assert_allclose(together(photos()), model(photos()), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("bfloat16")
def test_in_bfloat16_the_kernel_is_scaled_before_it_is_rounded() -> None:
    apart = with_norm(FUSED["1 x 1"]())
    together = fuse_normalisation(apart)
    found, expected = together(photos()), np.asarray(apart(photos())).astype(np.float32)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    assert fused_layers(together)[0].convolution.kernel.dtype == "float32"
    np.testing.assert_allclose(np.asarray(found).astype(np.float32), expected, rtol=0.03, atol=0.1)


@pytest.mark.parametrize("fitted", ["tail", "full"])
def test_a_network_with_weights_of_its_own_holds_its_norms_inside_its_convolutions(
    fitted: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = save_tiny(tmp_path / "a.weights.h5", "mobilenet")
    recipe = replace(RECIPE, cut=load_backbone("mobilenet").cuts["tiny"][0] if fitted == "tail" else "")

    def made() -> keras.Model:
        keras.utils.set_random_seed(4)
        return make_network(Candidate("mobilenet", "tiny", fitted, PIXELS), recipe, 3, 3, str(weights))

    together = made()
    monkeypatch.setattr("folds.model.fuse_normalisation", lambda model: model)
    apart = made()
    inside = [layer for layer in together._flatten_layers() if isinstance(layer, ConvolutionAndNorm)]
    assert len(inside) == len(norms_of(apart)) == len(norms_of(together)) > 5
    assert paths(together.trainable_variables) == paths(apart.trainable_variables)
    rows = np.random.default_rng(0).uniform(0, 255, (2, *together.input_shape[1:])).astype(np.float32)
    np.testing.assert_allclose(together(rows), apart(rows), rtol=1e-3, atol=1e-4)


def test_weights_come_back_from_a_file(tmp_path: Path) -> None:
    made = [fuse_normalisation(with_norm(FUSED["1 x 1"]())) for _ in range(2)]
    made[0].layers[1].convolution.kernel.assign(made[0].layers[1].convolution.kernel * 2)
    made[0].save_weights(tmp_path / "a.weights.h5")
    made[1].load_weights(tmp_path / "a.weights.h5")
    assert (np.asarray(made[0](photos())) == np.asarray(made[1](photos()))).all()
