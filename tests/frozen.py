"""Networks with weights of their own, and fits that use them on the coloured squares."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from comp.engine import Engine, ignore_events
from comp.engines.inline import InlineEngine
from comp.images import CACHE
from comp.registry import load_backbone, names
from comp.spec import Candidate, Fit, Recipe
from comp.store import sha256_of_file
from folds.banks import wanted_banks
from folds.cv import write_run
from folds.dataset import Dataset
from folds.features import fill_banks
from folds.model import make_network
from folds.runs import RunPlan, fold_dir, run_dir
from folds.train import fit_fold
from tests.made import run_plan

PIXELS = 32
NO_HUB = pytest.mark.skipif(not importlib.util.find_spec("keras_hub"), reason="the optional extra hub is not installed")
RECIPE = Recipe(pixels=PIXELS, epochs=3, batch_size=8, dropout=0.3, views=3, tta_views=2, strength=0.5)
ALL_ON: dict[str, Any] = {"ema": 0.9, "mixup": 0.2, "cutmix": 0.5, "unfreeze": 0.4, "depth_decay": 0.9}


def each_backbone(slow: Collection[str] = ()) -> list[Any]:
    """Return the name of every backbone as a test's parameter: those in `slow` for the slow tests, hub where it is installed."""
    return [
        pytest.param(name, marks=[*([pytest.mark.slow] if name in slow else []), *([NO_HUB] if name == "hub" else [])])
        for name in names("comp.backbones")
    ]


def save_tiny(path: Path, backbone: str = "vgg16", seed: int = 3) -> Path:
    """Write a file of weights of a `tiny`; statistics of BatchNormalization in it are far from where they start."""
    keras.utils.set_random_seed(seed)
    whole = load_backbone(backbone).build(PIXELS, "tiny")
    random = np.random.default_rng(seed)
    for norm in norms_of(whole):
        norm.moving_mean.assign(random.normal(0, 0.1, norm.moving_mean.shape))
        norm.moving_variance.assign(random.uniform(0.5, 2.0, norm.moving_variance.shape))
    path.parent.mkdir(parents=True, exist_ok=True)
    whole.save_weights(path)
    return path


def norms_of(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return every BatchNormalization, those of models inside it too."""
    layers = model._flatten_layers(include_self=False)
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def frozen_plan(
    dataset: Dataset, weights: Path, fit: Fit, backbone: str = "vgg16", seed: int = 0, **recipe: Any
) -> RunPlan:
    """Return the plan of a small fit of a `tiny` with weights."""
    return replace(
        run_plan(dataset, replace(RECIPE, **recipe), seed),
        candidate=Candidate(backbone, "tiny", fit, PIXELS),
        weights_sha=sha256_of_file(weights),
        weights_path=str(weights.resolve()),
    )


def fill(dataset: Dataset, plan: RunPlan, engine: Engine | None = None) -> None:
    """Compute the features that a plan needs."""
    wanted = wanted_banks(plan, dataset.in_folds["sha"].tolist(), dataset.readable_test["sha"].tolist())
    fill_banks(wanted, engine or InlineEngine(), ignore_events, CACHE)


def fit(dataset: Dataset, plan: RunPlan, fold: int = 0) -> Path:
    """Train a fold here, its features first; return its folder."""
    if plan.candidate.fit in ("probe", "tail"):
        fill(dataset, plan)
    write_run(dataset.folder, plan)
    run = run_dir(dataset.folder, plan)
    fit_fold(lambda kind, value: None, str(run), fold, str(CACHE), plan.weights_path)
    return fold_dir(run, fold)


def model_weights(folder: Path, plan: RunPlan, weights: Path) -> list[np.ndarray]:
    """Return the weights that a fit ended with."""
    network = untrained(plan, weights)
    network.load_weights(folder / "model.weights.h5")
    return [np.asarray(weight) for weight in network.weights]


def untrained(plan: RunPlan, weights: Path) -> keras.Model:
    """Return the network that a plan trains, as it is before."""
    width = load_backbone("vgg16").build(PIXELS, "tiny").output.shape[-1]
    return make_network(plan.candidate, plan.recipe, 3, 3, str(weights), (width,))
