"""Scratch CNN: a small network of separable convolutions with residuals, made to be trained from nothing.

After the entry and middle flow of Xception (Chollet 2017, arXiv 1610.02357, figure 5), narrowed: a strided stem, then stages
that halve the side and widen the channels. No pre-made application model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comp.spec import Backbone

if TYPE_CHECKING:
    import keras

# Channels of the stem and of each stage, as multiples of the recipe's width.
STAGES = {"tiny": (0.5, 0.5, 1, 2, 4), "small": (0.75, 1, 2, 4), "base": (1, 1, 2, 4, 8)}


def build(
    pixels: int,
    variant: str = "base",
    weights: str | None = None,
    *,
    channels: int = 3,
    width: int = 32,
    activation: str = "leaky_relu",
) -> keras.Model:
    """Return the feature extractor: (B, pixels, pixels, channels) in 0..255 to a (B, h, w, D) feature map.

    Args:
        pixels: Side of the square input.
        variant: `tiny`, `small` (three stages) or `base` (four).
        weights: Always None; there are no pre-trained weights of it.
        channels: 1 or 3.
        width: Channels of the first stage of `base`.
        activation: `leaky_relu` or `relu`.
    """
    import keras
    from keras import layers

    def act(x: Any) -> Any:
        return layers.LeakyReLU(0.1)(x) if activation == "leaky_relu" else layers.ReLU()(x)

    def normalise(x: Any) -> Any:
        return layers.BatchNormalization(momentum=0.9)(x)  # a small set has few steps to settle the averages in

    def separable(x: Any, filters: int) -> Any:
        return normalise(layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x))

    photo = keras.Input((pixels, pixels, channels), name="photo")
    x = layers.Rescaling(1 / 64.0, offset=-2.0, name="standardise")(photo)  # mean near 0, deviation near 1
    stem, *stages = (round(width * multiple) for multiple in STAGES[variant])
    x = layers.Conv2D(stem, 3, strides=2, padding="same", use_bias=False, name="stem")(x)
    x = act(normalise(x))
    for filters in stages:
        # a convolution of few channels must not be strided itself: folds.model.NARROWEST
        shortcut = layers.MaxPooling2D(1, strides=2)(x)
        shortcut = normalise(layers.Conv2D(filters, 1, use_bias=False)(shortcut))
        x = act(separable(x, filters))
        x = separable(x, filters)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        x = act(layers.Add()([x, shortcut]))
    return keras.Model(photo, x, name=f"scratch_cnn_{variant}")


BACKBONE = Backbone(
    name="scratch_cnn",
    build=build,
    variants=("tiny", "small", "base"),
    default_variant="base",
    recipe={"scratch": {"learning_rate": 0.012, "tta_views": 2}},
    options=("width", "activation"),
    seconds_per_photo={"tiny": 0.0016, "small": 0.0027, "base": 0.0029},
    measured_pixels=64,
)
