"""Grad-CAM in a worker: where in a photo the evidence for a class lies, by the model of the fold that did not see the photo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from comp.backend import gradient
from comp.engine import Report
from comp.images import ImageStore, PixelSpec
from comp.registry import load_backbone
from comp.store import write_array
from folds.condition import one_hot, values_of
from folds.dataset import load_dataset
from folds.model import make_network, pooled
from folds.runs import MODEL, RunPlan, fold_dir, plan_of

MAP_RANK = 4  # (B, h, w, D): what a convolutional backbone ends with; tokens have three


def heat_maps(
    report: Report,
    run: str,
    fold: int,
    shas: list[str],
    classes: list[int],
    conditions: list[str],
    cache_dir: str,
    weights: str,
    out: str,
) -> str:
    """Write (N, h, w) float32 maps in 0..1, the evidence for one class in each photo; return the file.

    Args:
        fold: Whose model is asked; it did not see the photos.
        classes: (N,) index of the class that is explained.

    Returns:
        The file, or the empty string where the backbone ends with tokens, not with a map of places.

    Source: Selvaraju et al., "Grad-CAM" (ICCV 2017), equations 1 and 2.
    """
    if Path(out).is_file():  # named by all that decides it, and renamed into place whole
        return out
    keras.config.set_dtype_policy("float32")
    plan = replace(plan_of(Path(run)), weights_path=weights)
    dataset = load_dataset(Path(run).parent)
    known = values_of(dataset) if plan.recipe.condition == "input" else []
    parts = _body_and_head(plan, len(dataset.classes), len(known), fold_dir(Path(run), fold) / MODEL)
    if parts is None:
        return ""
    body, head = parts
    spec = PixelSpec(plan.recipe.pixels, plan.facts["channels"], plan.facts["resize"])
    maps = np.asarray(body.predict_on_batch(ImageStore(spec, Path(cache_dir)).gather(shas)), np.float32)
    extra = [one_hot(conditions, known)] if known else []
    chosen = np.eye(len(dataset.classes), dtype=np.float32)[classes]
    slopes = gradient(lambda x: keras.ops.sum(head([x, *extra], training=False) * chosen), maps)
    write_array(Path(out), grad_cam(maps, slopes))
    return out


def grad_cam(maps: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return (N, h, w) float32 in 0..1: channels weighed by their mean slope, what speaks against the class cut off.

    Args:
        maps: (N, h, w, D) what the backbone ends with.
        slopes: (N, h, w, D) of the class's logit, with respect to the map.
    """
    weights = slopes.mean(axis=(1, 2), keepdims=True)
    heat = np.maximum((weights * maps).sum(axis=-1), 0)
    return np.asarray(heat / np.maximum(heat.max(axis=(1, 2), keepdims=True), 1e-12), np.float32)


def _body_and_head(
    plan: RunPlan, n_classes: int, n_conditions: int, trained: Path
) -> tuple[keras.Model, keras.Model] | None:
    """Return photos to map, and map (and condition) to logits, of a trained model; None where there is no map."""
    candidate, recipe, channels = plan.candidate, plan.recipe, plan.facts["channels"]
    whole = _backbone(plan) if candidate.fit in ("probe", "tail") else None
    shape = (int(whole.output.shape[-1]),) if whole is not None and candidate.fit == "probe" else ()
    network = make_network(candidate, recipe, n_classes, channels, plan.weights_path or None, shape, n_conditions)
    network.load_weights(trained)
    body, pool = _body(plan, network, whole)
    if len(body.output.shape) != MAP_RANK:
        return None
    taken = keras.Input(body.output.shape[1:])
    known = [keras.Input((n_conditions,))] if n_conditions else []
    x = keras.layers.Concatenate(dtype="float32")([pool(taken), *known]) if known else pool(taken)
    return body, keras.Model([taken, *known], network.get_layer("logits")(x))


def _backbone(plan: RunPlan) -> keras.Model:
    variant = plan.candidate.variant or ""
    backbone = load_backbone(plan.candidate.backbone)
    return backbone.build(plan.recipe.pixels, variant, plan.weights_path or None, channels=plan.facts["channels"])


def _body(plan: RunPlan, network: keras.Model, whole: keras.Model | None) -> tuple[keras.Model, Any]:
    """Return photos to the backbone's end, and the pooling after it."""
    if plan.candidate.fit == "probe":
        assert whole is not None
        return whole, pooled
    photo = network.inputs[0]
    pool = network.get_layer("pool")
    above = keras.Model(photo, pool.input)
    if whole is None:
        return above, pool
    below = keras.Model(whole.input, whole.get_layer(plan.recipe.cut).output)
    return keras.Model(below.input, above(below.output)), pool
