"""Grad-CAM: the evidence lies where the class is, by the model as it was trained; what has no map of places says so."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from comp.backend import gradient
from comp.images import CACHE, ImageStore, PixelSpec
from comp.registry import load_backbone
from comp.spec import Fit
from folds.cv import write_run
from folds.dataset import Dataset
from folds.runs import RunPlan, run_dir
from submissions.report.gradcam import where
from submissions.report.heat import grad_cam, heat_maps
from tests.frozen import PIXELS, fit, frozen_plan, save_tiny, untrained
from tests.made import run_plan, squares_dataset


@pytest.fixture
def dataset(in_folder: Path) -> Dataset:
    return squares_dataset(in_folder / "data", [PixelSpec(16), PixelSpec(PIXELS)])[0]


def maps_of(dataset: Dataset, plan: RunPlan, weights: str = "", n: int = 2) -> str:
    shas = dataset.in_folds["sha"].tolist()[:n]
    classes, out = list(range(n)), str(CACHE / "heat.npy")
    run = run_dir(dataset.folder, plan)
    return heat_maps(lambda kind, value: None, str(run), 0, shas, classes, [""] * n, str(CACHE), weights, out)


def test_gradient_of_a_square_is_twice_the_number() -> None:
    at = np.array([[1.0, -2.0, 3.0]], np.float32)
    assert np.allclose(gradient(lambda x: keras.ops.sum(x * x), at), 2 * at)


def test_heat_lies_where_the_class_speaks_and_nowhere_else() -> None:
    maps = np.zeros((1, 4, 4, 2), np.float32)
    maps[0, 0, 3, 0], maps[0, 3, 0, 1] = 2.0, 5.0  # channel 0 speaks for the class, channel 1 against it
    slopes = np.broadcast_to(np.array([1.0, -1.0], np.float32), maps.shape)
    heat = grad_cam(maps, slopes)[0]
    assert heat[0, 3] == 1 and heat.sum() == 1
    assert where(heat) == "at the top right" and where(np.zeros((2, 2))) == "nowhere"


def test_maps_of_a_head_on_frozen_features_are_class_activation_maps(dataset: Dataset) -> None:
    """A mean and a dense layer behind the map: then Grad-CAM is the map weighed by the row of the class (Zhou et al. 2016)."""
    weights = save_tiny(Path("tiny.weights.h5"))
    plan = frozen_plan(dataset, weights, "probe", epochs=1, views=1, tta_views=1, head="dense")
    folder = fit(dataset, plan)
    heat = np.load(maps_of(dataset, plan, str(weights)))
    body = load_backbone("vgg16").build(PIXELS, "tiny", weights)
    photos = ImageStore(PixelSpec(PIXELS), CACHE).gather(dataset.in_folds["sha"].tolist()[:2])
    head = untrained(plan, weights)
    head.load_weights(folder / "model.weights.h5")
    kernel = np.asarray(head.get_layer("logits").get_weights()[0])
    for row, features in enumerate(np.asarray(body.predict_on_batch(photos))):
        expected = np.maximum(features @ kernel[:, row], 0)
        assert np.allclose(heat[row], expected / max(expected.max(), 1e-12), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("fit_name", ["tail", "full"])
def test_maps_of_networks_that_are_trained_further(dataset: Dataset, fit_name: Fit) -> None:
    weights = save_tiny(Path("tiny.weights.h5"), "mobilenet")
    cut = {"cut": "block_5_add"} if fit_name == "tail" else {}
    plan = frozen_plan(dataset, weights, fit_name, "mobilenet", epochs=1, views=1, tta_views=1, **cut)
    fit(dataset, plan)
    heat = np.load(maps_of(dataset, plan, str(weights)))
    assert heat.shape[0] == 2 and heat.ndim == 3 and 0 <= heat.min() <= heat.max() <= 1


def test_a_backbone_of_tokens_has_no_map(dataset: Dataset) -> None:
    plan = run_plan(dataset, backbone="mlp_mixer")
    write_run(dataset.folder, plan)
    from folds.model import make_network

    folder = run_dir(dataset.folder, plan) / "fold-0"
    folder.mkdir()
    make_network(plan.candidate, plan.recipe, 3, 3).save_weights(folder / "model.weights.h5")
    assert maps_of(dataset, plan) == ""
