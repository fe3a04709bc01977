"""VGG16: sixteen layers, plain 3x3 convolutions and pooling; large, slow and easy to understand.

Simonyan, Zisserman 2014 (arXiv 1409.1556), table 1, column D. Weights and scaling (BGR minus the mean colour) are those of
keras.applications, converted from the authors' Caffe files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from comp.backbones._applications import finished, photo_and_rgb
from comp.spec import Backbone, Weights

if TYPE_CHECKING:
    import keras

# Blocks of `tiny`: (convolutions, filters), between which the side is halved as in the paper's columns.
TINY = ((1, 16), (1, 32), (2, 64), (2, 128))


def build(pixels: int, variant: str = "16", weights: Path | str | None = None, *, channels: int = 3) -> keras.Model:
    """Return the feature extractor: (B, pixels, pixels, channels) in 0..255 to a (B, pixels / 32, pixels / 32, 512) map.

    Args:
        pixels: Side of the square input, 32 or more.
        variant: `16`, or `tiny`: four narrow blocks.
        weights: The published file, or None for random ones.
        channels: 1 or 3; grey is repeated.

    Raises:
        BadInput: If the variant is unknown, the photo too small, or the file does not fit.
    """
    from keras.applications import vgg16

    photo, rgb = photo_and_rgb(BACKBONE, variant, pixels, channels)
    x = vgg16.preprocess_input(rgb)
    if variant == "tiny":
        return finished(photo, _tiny(x), "vgg_tiny", weights)
    published = vgg16.VGG16(include_top=False, weights=None, input_tensor=x)
    return finished(photo, published.output, "vgg16", weights)


def _tiny(x: Any) -> Any:
    from keras import layers

    for block, (n_convolutions, filters) in enumerate(TINY, start=1):
        for i in range(1, n_convolutions + 1):
            name = f"block{block}_conv{i}"
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    return x


BACKBONE = Backbone(
    name="vgg16",
    build=build,
    variants=("tiny", "16"),
    default_variant="16",
    scratch_variant="tiny",
    recipe={"scratch": {"learning_rate": 0.003}},
    weights={
        "16": Weights(
            file="vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            url="https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
            "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            megabytes=58.9,
            md5="6d6bbae143d832006294945121d1f1fc",
        )
    },
    parameters={"16": 14_714_688},
    cuts={"tiny": ("block2_pool", "block3_pool"), "16": ("block3_pool", "block4_pool")},
    bf16_pays=frozenset({"extract", "train"}),
    seconds_per_photo={"tiny": 0.0018, "16": 0.072},
    measured_pixels=64,
)
