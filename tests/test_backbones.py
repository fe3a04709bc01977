"""One contract for every backbone's `tiny`: shapes, precision, weights, cuts, freezing; and the optimizer and the class weights."""

from __future__ import annotations

import functools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

import folds.model
from comp.backend import jit_compile
from comp.errors import BadInput
from comp.registry import load_backbone, names
from comp.spec import Candidate, Recipe
from folds.model import class_weights, make_loss, make_network, refuse_narrow_strides
from folds.optimizer import make_optimizer
from tests.frozen import each_backbone, norms_of

PIXELS = 32
RECIPE = Recipe(pixels=PIXELS, epochs=1, width=8, dropout=0.2)
ALL = names("comp.backbones")
BACKBONES = each_backbone()
# made of what keras.applications has
APPLICATIONS = ["convnext", "efficientnet_v2", "mobilenet", "resnet", "vgg16"]
# their steps take seconds to trace
TRAINED = each_backbone(slow=set(APPLICATIONS) - {"vgg16"})


def network(name: str, channels: int = 3, seed: int = 1) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return make_network(Candidate(name, "tiny", "scratch", PIXELS), RECIPE, 5, channels)


@functools.cache
def built(name: str) -> keras.Model:
    """Return a network that tests share: they may look at it and call it, and change nothing."""
    return network(name)


def noise(n: int = 2, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, PIXELS, PIXELS, channels), dtype=np.uint8)


def numbers(weights: list[keras.Variable]) -> list[np.ndarray]:
    return [np.array(weight) for weight in weights]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", ALL)
def test_facts_fit_the_file(name: str) -> None:
    backbone = load_backbone(name)
    known = set(backbone.variants)
    assert backbone.name == name and len(known) == len(backbone.variants)
    assert {"tiny", backbone.default_variant} <= known and "tiny" not in backbone.weights
    assert set(backbone.options) <= set(RECIPE.as_dict())
    assert {*backbone.weights, *backbone.parameters, *backbone.cuts, *backbone.seconds_per_photo} <= known


def test_facts_are_read_without_keras() -> None:
    code = (
        "import sys\nfrom comp.registry import load_backbone, names\n"
        "facts = [load_backbone(name) for name in names('comp.backbones')]\n"
        "print(len(facts), {'keras', 'tensorflow', 'jax', 'numpy', 'h5py', 'keras_hub'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(ALL)), "set()"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", BACKBONES)
def test_pixels_in_finite_logits_out(name: str, channels: int) -> None:
    model = built(name) if channels == 3 else network(name, channels)
    logits = np.asarray(model(noise(channels=channels)))
    assert logits.shape == (2, 5) and logits.dtype == np.float32 and np.isfinite(logits).all()


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("name", BACKBONES)
def test_half_the_bits_give_whole_logits(name: str) -> None:
    model = network(name)
    assert model.get_layer("head_dropout").compute_dtype == "bfloat16"
    logits = np.asarray(model(noise()))
    assert logits.dtype == np.float32 and np.isfinite(logits).all() and logits.std() > 0


@pytest.mark.parametrize("name", BACKBONES)
def test_tiny_is_small(name: str) -> None:
    assert built(name).count_params() < 500_000


@pytest.mark.parametrize("name", BACKBONES)
def test_weights_come_back_to_the_last_bit(name: str, tmp_path: Path) -> None:
    first, second = built(name), network(name, seed=2)
    first.save_weights(tmp_path / "a.weights.h5")
    second.load_weights(tmp_path / "a.weights.h5")
    assert (np.asarray(first(noise())) == np.asarray(second(noise()))).all()


@pytest.mark.parametrize("name", TRAINED)
def test_one_batch_can_be_overfitted(name: str) -> None:
    photos, labels = noise(10), np.arange(10) % 5
    model = network(name)
    optimizer = keras.optimizers.RMSprop(2e-3)
    optimizer.build(model.trainable_variables)  # else the step is traced twice
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=jit_compile())
    for _ in range(80):
        model.train_on_batch(photos, labels)
    assert (np.asarray(model(photos, training=False)).argmax(axis=1) == labels).mean() >= 0.9


def cuts(variants: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    return [(name, variant, cut) for name, variant in variants for cut in load_backbone(name).cuts.get(variant, ())]


def assert_halves_make_the_whole(name: str, variant: str, cut: str, pixels: int) -> None:
    whole = built(name) if variant == "tiny" else build(name, variant, pixels)
    middle = whole.get_layer(cut).output
    below, above = keras.Model(whole.input, middle), keras.Model(middle, whole.output)
    photos = np.random.default_rng(0).integers(0, 256, (2, pixels, pixels, 3), dtype=np.uint8)
    expected = np.asarray(whole(photos))
    assert expected.std() > 0 and (np.asarray(above(below(photos))) == expected).all()
    assert below.count_params() > 0 and above.count_params() > 0


@functools.lru_cache(maxsize=1)
def build(name: str, variant: str, pixels: int) -> keras.Model:
    keras.utils.set_random_seed(1)
    model: keras.Model = load_backbone(name).build(pixels, variant)
    return model


@pytest.mark.parametrize(("name", "variant", "cut"), cuts([(name, "tiny") for name in ALL]))
def test_a_cut_changes_nothing(name: str, variant: str, cut: str) -> None:
    assert_halves_make_the_whole(name, variant, cut, PIXELS)


@pytest.mark.parametrize(("name", "variant", "cut"), cuts([("mobilenet", "V2"), ("vgg16", "16")]))
def test_a_cut_changes_nothing_in_a_published_size(name: str, variant: str, cut: str) -> None:
    assert_halves_make_the_whole(name, variant, cut, PIXELS)


PUBLISHED = [(name, variant) for name in ALL for variant in load_backbone(name).variants if variant != "tiny"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "variant", "cut"), cuts(PUBLISHED))
def test_a_cut_changes_nothing_in_any_size(name: str, variant: str, cut: str) -> None:
    assert_halves_make_the_whole(name, variant, cut, 64)


@pytest.mark.parametrize("name", ALL)
def test_cuts_come_in_order_the_one_that_trains_most_first(name: str) -> None:
    model = built(name) if load_backbone(name).cuts else None
    sizes = [
        keras.Model(model.input, model.get_layer(cut).output).count_params()
        for cut in load_backbone(name).cuts.get("tiny", ())
    ]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("name", BACKBONES)
def test_frozen_means_frozen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a network with weights every BatchNormalization stays, its scale and its statistics, and all else is trained."""
    for loader in ("comp.npz.load_npz", "comp.backbones._applications._load"):
        monkeypatch.setattr(loader, lambda *rest: None)  # no `tiny` was published
    model = make_network(Candidate(name, "tiny", "full", PIXELS), RECIPE, 5, 3, "a.weights.h5")
    kept = [weight for norm in norms_of(model) for weight in norm.weights]
    rest = list(model.trainable_variables)
    before, rest_before = numbers(kept), numbers(rest)
    # eager: compiling it takes ten times as long
    model.compile(make_optimizer(RECIPE, 4), make_loss(RECIPE), run_eagerly=True)
    model.train_on_batch(noise(10), np.eye(5, dtype=np.float32)[np.arange(10) % 5])
    assert same(numbers(kept), before)
    assert all((a != b).any() for a, b in zip(numbers(rest), rest_before, strict=True))


@pytest.mark.parametrize("name", APPLICATIONS)
def test_grey_is_repeated(name: str) -> None:
    backbone = load_backbone(name)
    grey, colour = backbone.build(PIXELS, "tiny", channels=1), backbone.build(PIXELS, "tiny")
    grey.set_weights(colour.get_weights())
    photos = noise(channels=1)
    assert (np.asarray(grey(photos)) == np.asarray(colour(np.repeat(photos, 3, axis=-1)))).all()


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_photo_too_small_and_a_variant_unknown_are_one_line(name: str) -> None:
    build = load_backbone(name).build
    with pytest.raises(BadInput, match=rf"^{name}: expected photos of 32 px or more, got 28 px; .+$"):
        build(28, "tiny")
    with pytest.raises(BadInput, match=rf"^{name}: no variant 'huge', expected one of tiny, .+$"):
        build(PIXELS, "huge")


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_scratch_cnn_takes_width_and_activation_from_the_recipe(activation: str) -> None:
    recipe = replace(RECIPE, width=12, activation=activation)
    model = make_network(Candidate("scratch_cnn", "tiny", "scratch", PIXELS), recipe, 5, 3)
    kinds = {type(layer).__name__ for layer in model.layers}
    assert ("LeakyReLU" in kinds) is (activation == "leaky_relu")
    assert model.get_layer("pool").output.shape[-1] == 4 * 12


def test_a_narrow_strided_1_x_1_convolution_is_refused_and_a_wide_one_is_not() -> None:
    def strided(channels: int) -> keras.Model:
        photo = keras.Input((8, 8, channels))
        return keras.Model(photo, keras.layers.Conv2D(8, 1, strides=2, name="shortcut")(photo))

    with pytest.raises(BadInput, match=r"^shortcut: a strided 1 x 1 convolution of 7 channels .+ MaxPooling2D\(1, 2\)"):
        refuse_narrow_strides(strided(7))
    refuse_narrow_strides(strided(8))


def test_every_network_that_is_trained_is_asked_about_narrow_strides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folds.model, "NARROWEST", 1000)
    with pytest.raises(BadInput, match=r"^\S+: a strided 1 x 1 convolution of \d+ channels"):
        network("small_resnet")
    make_network(Candidate("small_resnet", "tiny", "probe", PIXELS), RECIPE, 5, 3, feature_shape=(64,))


def test_rate_warms_up_to_its_peak_and_falls_to_zero() -> None:
    optimizer = make_optimizer(replace(RECIPE, learning_rate=0.1, warmup=0.1), 100)
    rates = [float(optimizer._learning_rate(step)) for step in (0, 5, 10, 55, 100)]
    assert rates[0] == 0 and rates[2] == pytest.approx(0.1) and rates[4] == pytest.approx(0, abs=1e-6)
    assert rates[1] == pytest.approx(0.05) and rates[3] == pytest.approx(0.05)


def test_class_weights_favour_the_rare_and_average_one() -> None:
    labels = np.array([0] * 16 + [1] * 4)
    weights = class_weights(labels, 2)
    assert weights[1] / weights[0] == pytest.approx(2) and weights[labels].mean() == pytest.approx(1)
