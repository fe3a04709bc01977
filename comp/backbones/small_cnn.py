"""Small CNN: plain pairs of 3x3 convolutions, made for digits and other pictures of 28 to 32 px, trained from nothing.

After the VGG principle (Simonyan and Zisserman 2014, arXiv 1409.1556, section 2.3: two 3x3 convolutions see what one 5x5 sees) with
BatchNormalization (Ioffe and Szegedy 2015, arXiv 1502.03167). The first convolution keeps the side: 28 px have no pixel to spare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comp.backbones._sizes import size_of
from comp.spec import Backbone

if TYPE_CHECKING:
    import keras

# Channels of each stage of two convolutions; the side is halved after each but the last.
SIZES = {"tiny": (8, 16, 32), "small": (16, 32, 64), "base": (32, 64, 128)}


def build(pixels: int, variant: str = "base", weights: str | None = None, *, channels: int = 3) -> keras.Model:
    """Return the feature extractor: (B, pixels, pixels, channels) in 0..255 to a (B, pixels / 4, pixels / 4, D) map.

    Args:
        pixels: Side of the square input.
        variant: `tiny` (D = 32), `small` (D = 64) or `base` (D = 128).
        weights: Always None; there are no pre-trained weights of it.
        channels: 1 or 3.

    Raises:
        BadInput: If there is no such variant.
    """
    import keras
    from keras import layers

    photo = keras.Input((pixels, pixels, channels), name="photo")
    x: Any = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(photo)
    for stage, filters in enumerate(size_of("small_cnn", SIZES, variant)):
        if stage:
            x = layers.MaxPooling2D(name=f"stage{stage}.pool")(x)
        for half in "ab":
            name = f"stage{stage}.{half}"
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}.conv")(x)
            x = layers.BatchNormalization(momentum=0.9, name=f"{name}.norm")(x)
            x = layers.ReLU(name=f"{name}.relu")(x)
    return keras.Model(photo, x, name=f"small_cnn_{variant}")


BACKBONE = Backbone(
    name="small_cnn",
    build=build,
    variants=tuple(SIZES),
    default_variant="base",
    scratch_variant="small",
    recipe={"scratch": {"learning_rate": 0.008, "batch_size": 64, "dropout": 0.3}},
    # base at 28 px, one core: step 2.08 -> 1.53 ms a photo; small 0.68 -> 0.56
    bf16_pays=frozenset({"train"}),
    seconds_per_photo={"tiny": 0.0018, "small": 0.0030, "base": 0.0080},
    measured_pixels=64,
)
