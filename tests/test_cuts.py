"""Where a tail is cut: by hand, else the deepest-training cut that fits; and what is below a cut is frozen for real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import folds.features
import folds.loop
from comp.engine import Job
from comp.engines.inline import InlineEngine
from comp.errors import BadInput
from comp.registry import load_backbone, names
from comp.spec import Candidate, Fit, Recipe
from folds.banks import BankSpec, View
from folds.batches import softmax
from folds.cuts import bytes_of, choose_cut, feature_shapes, n_views
from folds.dataset import Dataset
from folds.features import features_at, features_of
from folds.model import depths, make_loss, make_network
from folds.optimizer import make_optimizer
from tests.frozen import PIXELS, RECIPE, fit, frozen_plan, norms_of, save_tiny

pytestmark = pytest.mark.usefixtures("float32")

WITH_CUTS = [name for name in names("comp.backbones") if load_backbone(name).cuts]
CUTS = [(name, cut) for name in WITH_CUTS for cut in load_backbone(name).cuts.get("tiny", ())]
TAIL = Candidate("mobilenet", "V2", "tail", 224)
SPEC = BankSpec(
    backbone="vgg16",
    variant="tiny",
    weights_path="",
    weights_sha="",
    pixels=PIXELS,
    channels=3,
    resize="squash",
    symmetries=(),
    precision="float32",
    cut="",
    view=View(0),
)
SHAPES = {"block_13_project_BN": [7, 7, 160], "block_15_add": [7, 7, 160], "": [1280]}


# which cut


def needs(shape: list[int], views: int = 6, tta_views: int = 2, n_train: int = 3570, n_test: int = 629) -> float:
    """Return gigabytes of a bank, from the issue's words: 16 bits, a few views, test photos only as they are predicted."""
    return 2 * float(np.prod(shape)) * (n_train * views + n_test * tta_views) / 1e9


def chosen(limit_gb: float, asked: str | None = None, candidate: Candidate = TAIL) -> str:
    return choose_cut(candidate, Recipe(views=6, tta_views=2), SHAPES, (3570, 629), limit_gb, asked)


def test_bytes_are_those_of_the_shapes() -> None:
    assert bytes_of([7, 7, 160]) == 7 * 7 * 160 * 2
    assert n_views(Recipe(views=6, tta_views=2), (3570, 629)) == 3570 * 6 + 629 * 2


def test_the_deepest_training_cut_that_fits_is_taken() -> None:
    cuts = list(load_backbone("mobilenet").cuts["V2"])
    assert cuts == ["block_13_project_BN", "block_15_add"]  # the first trains most
    assert chosen(8) == "block_13_project_BN"
    assert chosen(needs(SHAPES["block_13_project_BN"]) * 1.0001) == "block_13_project_BN"


def test_a_cut_whose_bank_is_too_large_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = {"block_13_project_BN": [14, 14, 96], "block_15_add": [7, 7, 160]}
    limit = needs(shapes["block_15_add"]) * 1.0001
    assert choose_cut(TAIL, Recipe(views=6, tta_views=2), shapes, (3570, 629), limit) == "block_15_add"


def test_where_none_fits_the_line_tells_each_size_and_what_to_do() -> None:
    with pytest.raises(BadInput) as error:
        chosen(0.3)
    line = str(error.value)
    small, large = needs(SHAPES["block_13_project_BN"]), needs(SHAPES["block_15_add"])
    for part in (
        str(TAIL),
        "BANK_GB=0.3",
        f"block_13_project_BN {small:.1f} GB",
        f"block_15_add {large:.1f} GB",
        "raise it",
    ):
        assert part in line
    assert "\n" not in line


def test_the_cut_named_by_hand_is_taken_whatever_its_size() -> None:
    assert chosen(8, "block_15_add") == "block_15_add" == chosen(0.001, "block_15_add")


def test_a_cut_that_does_not_exist_is_one_line_with_those_that_do() -> None:
    with pytest.raises(
        BadInput, match=r"^CUT=block_1: candidate mobilenet:V2:tail:224px has no such cut, .*block_13_project_BN"
    ):
        chosen(8, "block_1")


def test_a_backbone_without_cuts_has_no_tail_and_the_line_says_so() -> None:
    with pytest.raises(BadInput, match=r"^candidate scratch_cnn:base:tail: .*names no cut.*probe or full$"):
        chosen(8, candidate=Candidate("scratch_cnn", "base", "tail"))


@pytest.mark.parametrize(("name", "cut"), [(name, load_backbone(name).cuts["tiny"][0]) for name in ("vgg16", "fnet")])
def test_shapes_are_those_of_a_built_backbone_and_found_out_once(in_folder: Path, name: str, cut: str) -> None:
    candidate, jobs = Candidate(name, "tiny", "tail", PIXELS), []

    class Counting(InlineEngine):
        def run(self, some: Any, listener: Any) -> Any:
            jobs.extend(some)
            return super().run(some, listener)

    shapes = [feature_shapes(candidate, PIXELS, 3, Counting()) for _ in range(2)]
    whole = load_backbone(name).build(PIXELS, "tiny")
    assert shapes[0] == shapes[1] and len(jobs) == 1 and isinstance(jobs[0], Job)
    assert shapes[0][cut] == list(whole.get_layer(cut).output.shape[1:])
    assert shapes[0][""] == [whole.output.shape[-1]]
    feature_shapes(candidate, 64, 3, Counting())
    feature_shapes(candidate, PIXELS, 1, Counting())
    assert len(jobs) == 3


# the part above


@pytest.mark.parametrize(("name", "cut"), CUTS)
def test_a_tail_on_its_bank_predicts_what_the_uncut_network_does(name: str, cut: str) -> None:
    """To the last bit on activations, within 16 bits on the bank."""
    recipe = replace(RECIPE, cut=cut)
    networks = []
    for fitted in ("tail", "full"):
        keras.utils.set_random_seed(1)
        networks.append(make_network(Candidate(name, "tiny", fitted, PIXELS), recipe, 5, 3))  # type: ignore[arg-type]
    tail, full = networks
    tail.get_layer("logits").set_weights(full.get_layer("logits").get_weights())
    photos = np.random.default_rng(0).integers(0, 256, (4, PIXELS, PIXELS, 3), dtype=np.uint8)
    expected = np.asarray(full(photos, training=False))
    activations = keras.Model(full.input, full.get_layer(cut).output)(photos)
    assert expected.std() > 0 and (np.asarray(tail(activations, training=False)) == expected).all()
    assert sum(v.shape.num_elements() for v in tail.weights) < sum(v.shape.num_elements() for v in full.weights)
    if cut != load_backbone(name).cuts["tiny"][0]:
        return  # the way over the bank is the same for all cuts
    keras.utils.set_random_seed(1)
    stored = np.asarray(tail(features_of(replace(SPEC, backbone=name, cut=cut), photos), training=False))
    assert np.abs(softmax(stored) - softmax(expected)).max() < 0.01


FIRST = [("mobilenet", "float32"), ("mlp", "float32"), ("vgg16", "mixed_bfloat16"), ("mlp_mixer", "float32")]
OTHERS = [(name, kind) for name in WITH_CUTS for kind in ("float32", "mixed_bfloat16") if (name, kind) not in FIRST]


@pytest.mark.parametrize(
    ("name", "precision"), [*FIRST, *(pytest.param(*other, marks=pytest.mark.slow) for other in OTHERS)]
)
def test_one_pass_over_all_cuts_gives_each_its_own_numbers(name: str, precision: str) -> None:
    """To the last bit: a bank's key does not say what was computed with it."""
    photos = np.random.default_rng(0).integers(0, 256, (3, PIXELS, PIXELS, 3), dtype=np.uint8)
    cuts = ["", *load_backbone(name).cuts["tiny"]]
    spec = replace(SPEC, backbone=name, precision=precision)

    def computed(asked: list[str]) -> list[np.ndarray]:
        folds.features._extractor.cache_clear()
        keras.utils.set_random_seed(1)  # its weights are random, but always the same
        return features_at(spec, asked, photos)

    for cut, found in zip(cuts, computed(cuts), strict=True):
        assert found.astype(np.float32).std() > 0 and (computed([cut])[0] == found).all()


# frozen for real


def numbers(layers: list[Any]) -> list[np.ndarray]:
    return [np.asarray(weight) for layer in layers for weight in layer.weights]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return bool(one) and all((a == b).all() for a, b in zip(one, other, strict=True))


def test_normalisation_of_a_tail_stays_what_it_was_in_the_file_and_all_else_is_trained(tmp_path: Path) -> None:
    weights = save_tiny(tmp_path / "a.weights.h5", "mobilenet")
    recipe = replace(RECIPE, cut=load_backbone("mobilenet").cuts["tiny"][0], warmup=0.0, weight_decay=0.1, ema=0.5)
    network = make_network(Candidate("mobilenet", "tiny", "tail", PIXELS), recipe, 3, 3, str(weights))
    norms, rest = norms_of(network), list(network.trainable_variables)
    before, rest_before = numbers(norms), [np.asarray(variable) for variable in rest]
    # eager: compiling it takes ten times as long
    network.compile(make_optimizer(recipe, 4, depths(network)), make_loss(recipe), run_eagerly=True)
    rows = np.random.default_rng(0).uniform(0, 255, (6, *network.input_shape[1:])).astype(np.float32)
    for _ in range(2):
        network.train_on_batch(rows, np.eye(3, dtype=np.float32)[[0, 1, 2] * 2])
    network.optimizer.finalize_variable_values(network.trainable_variables)
    assert len(norms) > 5 and same(before, numbers(norms))
    assert all((np.asarray(variable) != value).any() for variable, value in zip(rest, rest_before, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("fitted", ["tail", "full"])
def test_normalisation_is_after_a_fit_what_it_was_in_the_file(dataset: Dataset, fitted: Fit) -> None:
    weights = save_tiny(Path("mine") / "a.weights.h5", "mobilenet")
    cut = load_backbone("mobilenet").cuts["tiny"][-1] if fitted == "tail" else ""
    plan = frozen_plan(dataset, weights, fitted, "mobilenet", cut=cut, epochs=1, views=1, tta_views=1)
    before = make_network(plan.candidate, plan.recipe, 3, 3, str(weights))
    after = make_network(plan.candidate, plan.recipe, 3, 3, str(weights))
    after.load_weights(fit(dataset, plan) / "model.weights.h5")
    assert same(numbers(norms_of(before)), numbers(norms_of(after)))


def test_the_file_of_weights_is_what_training_starts_from(tmp_path: Path) -> None:
    weights = save_tiny(tmp_path / "a.weights.h5")
    published = load_backbone("vgg16").build(PIXELS, "tiny", weights)
    full = make_network(Candidate("vgg16", "tiny", "full", PIXELS), RECIPE, 3, 3, str(weights))
    tail = make_network(
        Candidate("vgg16", "tiny", "tail", PIXELS), replace(RECIPE, cut="block3_pool"), 3, 3, str(weights)
    )
    assert same(numbers(published.layers), [np.asarray(weight) for weight in full.weights[:-2]])
    expected = numbers([published.get_layer(f"block4_conv{i}") for i in (1, 2)])
    assert same(expected, [np.asarray(weight) for weight in tail.weights[:-2]])


def test_layers_do_not_move_before_their_turn(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = save_tiny(Path("mine") / "vgg.weights.h5")
    plan = frozen_plan(dataset, weights, "full", unfreeze=0.8, epochs=4, warmup=0.0, ema=0.0)
    seen: list[list[np.ndarray]] = []
    real = folds.loop._Loop.on_train_batch_end

    def note(self: Any, batch: int, logs: Any = None) -> None:
        real(self, batch, logs)
        seen.append([np.asarray(variable) for variable in self.model.trainable_variables])

    monkeypatch.setattr(folds.loop._Loop, "on_train_batch_end", note)
    fit(dataset, plan)
    network = make_network(plan.candidate, plan.recipe, 3, 3, str(weights))
    first = [np.asarray(variable) for variable in network.trainable_variables[:-2]]
    depth, n_steps = depths(network), len(seen)
    assert n_steps == 12
    for index, value in enumerate(first):
        expected = round(0.8 * depth[index] * n_steps)
        moved = [bool((step[index] != value).any()) for step in seen]
        assert moved == [False] * expected + [True] * (n_steps - expected)
