"""SqueezeNet 1.1: fire modules, a squeeze to few channels and an expansion by 1x1 and 3x3 convolutions; the smallest weights there are.

Iandola et al. 2016 (arXiv 1602.07360), table 1, in the authors' later version 1.1 (a smaller first convolution, pooling earlier: 2.4
times less work). Weights and scaling (BGR minus the mean colour) are those converted from the authors' Caffe file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from comp.backbones._applications import finished, photo_and_rgb
from comp.spec import Backbone, Weights

if TYPE_CHECKING:
    import keras

# Filters of the first convolution; then by stage, behind a pooling each, the (squeezed, expanded) channels of its fire modules.
SIZES = {
    "tiny": (16, (((4, 16),), ((8, 32),))),
    "1.1": (64, (((16, 64), (16, 64)), ((32, 128), (32, 128)), ((48, 192), (48, 192), (64, 256), (64, 256)))),
}


def build(pixels: int, variant: str = "1.1", weights: Path | str | None = None, *, channels: int = 3) -> keras.Model:
    """Return the feature extractor: (B, pixels, pixels, channels) in 0..255 to a (B, pixels / 17, pixels / 17, 512) map, about.

    Args:
        pixels: Side of the square input, 32 or more.
        variant: `1.1`, or `tiny`: two narrow modules.
        weights: The published file, or None for random ones.
        channels: 1 or 3; grey is repeated.

    Raises:
        BadInput: If the variant is unknown, the photo too small, or the file does not fit.
    """
    from keras import layers
    from keras.applications import vgg16

    photo, rgb = photo_and_rgb(BACKBONE, variant, pixels, channels)
    first, stages = SIZES[variant]
    x = vgg16.preprocess_input(rgb)
    x = layers.Conv2D(first, 3, strides=2, activation="relu", name="conv1")(x)
    number = 2  # as the paper counts
    for fires in stages:
        x = layers.MaxPooling2D(3, strides=2, name=f"pool{number - 1}")(x)
        for squeezed, expanded in fires:
            x = _fire(x, f"fire{number}", squeezed, expanded)
            number += 1
    return finished(photo, x, f"squeezenet_{variant.replace('.', '_')}", weights)


def _fire(x: Any, name: str, squeezed: int, expanded: int) -> Any:
    """Return (B, h, w, 2 * expanded) of (B, h, w, D)."""
    from keras import layers

    x = layers.Conv2D(squeezed, 1, activation="relu", name=f"{name}.squeeze1x1")(x)
    one = layers.Conv2D(expanded, 1, activation="relu", name=f"{name}.expand1x1")(x)
    three = layers.Conv2D(expanded, 3, padding="same", activation="relu", name=f"{name}.expand3x3")(x)
    return layers.Concatenate(name=f"{name}.out")([one, three])


BACKBONE = Backbone(
    name="squeezenet",
    build=build,
    variants=("tiny", "1.1"),
    default_variant="1.1",
    scratch_variant="tiny",
    recipe={"scratch": {"learning_rate": 0.003}},
    weights={
        "1.1": Weights(
            file="squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5",
            url="https://github.com/rcmalli/keras-squeezenet/releases/download/v1.0/"
            "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5",
            megabytes=3.0,
            aliases=("squeezenet_1.1_notop.h5",),
        )
    },
    parameters={"1.1": 722_496},
    cuts={"tiny": ("fire2.out",), "1.1": ("fire6.out", "fire8.out")},
    # 1.1 at 224 px, one core: forward 7.0 -> 4.5 ms, step 23.7 -> 12.3 ms a photo
    bf16_pays=frozenset({"extract", "train"}),
    seconds_per_photo={"tiny": 0.0003, "1.1": 0.0014},
    measured_pixels=64,
)
