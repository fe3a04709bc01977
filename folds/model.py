"""A backbone, or what of it is trained, with pooling and head: pixels or features in, logits out."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from comp.errors import BadInput
from comp.layers import CosineLogits, GeneralisedMeanPooling
from comp.registry import load_backbone
from comp.spec import Candidate, Recipe
from folds.fused import fuse_normalisation

# A strided 1 x 1 convolution of fewer channels than a vector register holds writes past its workspace when oneDNN computes the gradient
# of its kernel, with AVX2: crashes, hangs or wrong numbers (oneDNN 3.x, github.com/uxlfoundation/oneDNN/issues/6035).
NARROWEST = 8


def make_network(
    candidate: Candidate,
    recipe: Recipe,
    n_classes: int,
    channels: int,
    weights: str | None = None,
    feature_shape: tuple[int, ...] = (),
    n_conditions: int = 0,
) -> keras.Model:
    """Return the network that a fit trains, to (B, n_classes) float32 logits.

    It takes photos (B, pixels, pixels, channels) in 0..255 (`scratch`, `full`), pooled features (B, D) (`probe`), or activations
    at the recipe's cut (`tail`). BatchNormalization that comes with pre-trained weights stays as it was trained: its layers are
    frozen themselves, because an outer model's training mode would override a call with `training=False` (keras 3.15).

    Args:
        weights: File of pre-trained weights, for `tail` and `full`.
        feature_shape: (D,), for `probe`.
        n_conditions: Width of the condition, a second input (B, K) of the head; 0: none.

    Raises:
        BadInput: The backbone has a strided 1 x 1 convolution of fewer than NARROWEST channels.
    """
    taken, x = _body(candidate, recipe, channels, weights, feature_shape)
    x = pooled(x, recipe.pool)
    x = keras.layers.Dropout(recipe.dropout, name="head_dropout")(x)
    if n_conditions:
        known = keras.Input((n_conditions,), name="condition")
        taken, x = [taken, known], keras.layers.Concatenate(dtype="float32", name="with_condition")([x, known])
    network = keras.Model(taken, _head(recipe, n_classes)(x), name=candidate.backbone)
    refuse_narrow_strides(network)
    return network


def _body(
    candidate: Candidate, recipe: Recipe, channels: int, weights: str | None, feature_shape: tuple[int, ...]
) -> tuple[Any, Any]:
    """Return what goes in and what comes out below pooling and head."""
    if candidate.fit == "probe":
        taken = keras.Input(feature_shape, name="features")
        return taken, taken
    backbone = load_backbone(candidate.backbone)
    options = {name: getattr(recipe, name) for name in backbone.options}
    variant = candidate.variant or backbone.default_variant
    whole = backbone.build(recipe.pixels, variant, weights, channels=channels, **options)
    if weights:
        freeze_normalisation(whole)
    if candidate.fit == "tail":
        cut = whole.get_layer(recipe.cut).output
        above = keras.Model(cut, whole.output)
        taken = keras.Input(cut.shape[1:], name="activations")
        return taken, fuse_normalisation(above)(taken)
    whole = fuse_normalisation(whole) if weights else whole
    return whole.input, whole.output


def refuse_narrow_strides(model: keras.Model) -> None:
    """Refuse a network with a kernel that has wrong gradients and writes over other memory: see NARROWEST."""
    for layer in model._flatten_layers(include_self=False):
        kernel, strides = getattr(layer, "kernel", None), getattr(layer, "strides", 1)
        if kernel is None or tuple(kernel.shape[:-2]) != (1, 1) or np.max(strides) == 1:
            continue
        if kernel.shape[-2] < NARROWEST:
            raise BadInput(
                f"{layer.name}: a strided 1 x 1 convolution of {kernel.shape[-2]} channels computes wrong gradients on some"
                f" processors; take {NARROWEST} channels, or MaxPooling2D(1, {np.max(strides)}) and no stride"
            )


def freeze_normalisation(model: keras.Model) -> None:
    """Keep every BatchNormalization as it is, statistics and scale, whatever mode the model is called in."""
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def pooled(features: Any, pool: str = "mean") -> Any:
    """Return the mean, or the generalised mean, over places of a map (B, h, w, D) or tokens (B, T, D): (B, D) float32.

    Features (B, D), of a backbone that ends without places, are returned as they are.
    """
    if len(features.shape) == 2:
        return features
    if pool == "gem":
        return GeneralisedMeanPooling(dtype="float32", name="pool")(features)
    mean = keras.layers.GlobalAveragePooling2D if len(features.shape) == 4 else keras.layers.GlobalAveragePooling1D
    return mean(dtype="float32", name="pool")(features)


def _head(recipe: Recipe, n_classes: int) -> Any:
    if recipe.head == "cosine":
        return CosineLogits(n_classes, dtype="float32", name="logits")
    return keras.layers.Dense(n_classes, dtype="float32", name="logits")


def depths(network: keras.Model) -> list[float]:
    """Return for each trainable variable how far below the head it lies: 0 the head, up to 1 the lowest layer."""
    paths = [variable.path for variable in network.trainable_variables]
    body = [path for path in paths if "logits" not in path]
    return [0.0 if "logits" in path else 1 - body.index(path) / len(body) for path in paths]


class MarginCrossentropy(keras.losses.Loss):  # type: ignore[misc]
    """Cross-entropy of logits whose true class is first made harder by a margin: CosFace (Wang et al. 2018, 1801.09414).

    Args:
        margin: What is taken from the true class's logit.
    """

    def __init__(self, margin: float, label_smoothing: float) -> None:
        super().__init__(name="margin_crossentropy")
        self.margin, self.label_smoothing = margin, label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return (B,) losses."""
        harder = y_pred - self.margin * keras.ops.cast(y_true, y_pred.dtype)
        return keras.losses.categorical_crossentropy(
            y_true, harder, from_logits=True, label_smoothing=self.label_smoothing
        )


def make_loss(recipe: Recipe) -> keras.losses.Loss:
    """Return the loss of one-hot targets and logits."""
    if recipe.head == "cosine":
        return MarginCrossentropy(recipe.margin * CosineLogits.SCALE, recipe.label_smoothing)
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)


def class_weights(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return (n_classes,) float32: the inverse square root of each class' share, averaging 1 over the rows."""
    counts = np.bincount(labels, minlength=n_classes)
    weights = 1 / np.sqrt(np.maximum(counts, 1))
    return np.asarray(weights / weights[labels].mean(), dtype=np.float32)
