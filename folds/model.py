"""A backbone with pooling and head, and what it is trained with: pixels in, logits out."""

from __future__ import annotations

import math

import keras
import numpy as np

from comp.registry import load_backbone
from comp.spec import Candidate, Recipe


def make_network(candidate: Candidate, recipe: Recipe, n_classes: int, channels: int) -> keras.Model:
    """Return the network: (B, pixels, pixels, channels) in 0..255 to (B, n_classes) float32 logits.

    A feature map (B, h, w, D) or tokens (B, T, D) are averaged to (B, D); dropout and one dense layer follow.
    """
    backbone = load_backbone(candidate.backbone)
    options = {name: getattr(recipe, name) for name in backbone.options}
    variant = candidate.variant or backbone.default_variant
    features = backbone.build(recipe.pixels, variant, None, channels=channels, **options)
    x = features.output
    pool = keras.layers.GlobalAveragePooling2D if len(x.shape) == 4 else keras.layers.GlobalAveragePooling1D
    x = pool(name="pool")(x)
    x = keras.layers.Dropout(recipe.dropout, name="head_dropout")(x)
    logits = keras.layers.Dense(n_classes, dtype="float32", name="logits")(x)
    return keras.Model(features.input, logits, name=candidate.backbone)


def make_optimizer(recipe: Recipe, n_batches: int) -> keras.optimizers.Optimizer:
    """Return AdamW whose rate warms up linearly, then falls along a cosine to zero over the whole fit.

    Args:
        n_batches: Batches of the whole fit; several make one step where gradients are accumulated.
    """
    n_steps = max(1, math.ceil(n_batches / recipe.accumulation_steps))
    n_warmup = round(recipe.warmup * n_steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if n_warmup else recipe.learning_rate,
        decay_steps=max(1, n_steps - n_warmup),
        warmup_target=recipe.learning_rate if n_warmup else None,
        warmup_steps=n_warmup,
    )
    accumulate = recipe.accumulation_steps if recipe.accumulation_steps > 1 else None
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=recipe.weight_decay, gradient_accumulation_steps=accumulate, clipnorm=1.0
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def class_weights(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return (n_classes,) float32: the inverse square root of each class' share, averaging 1 over the rows."""
    counts = np.bincount(labels, minlength=n_classes)
    weights = 1 / np.sqrt(np.maximum(counts, 1))
    return np.asarray(weights / weights[labels].mean(), dtype=np.float32)
