"""MLP: hidden layers of ReLU over the pixels themselves; the softmax head is attached elsewhere, as everywhere.

After the networks of section 1.6 of Simard, Steinkraus, Platt 2003 (ICDAR), who reach 1.1 to 1.6 % error on MNIST with 800 hidden
units; what a CNN gains over it is what looking at neighbours is worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comp.backbones._sizes import size_of
from comp.spec import Backbone

if TYPE_CHECKING:
    import keras

# Units of each hidden layer.
SIZES = {"tiny": (64, 32), "256x2": (256, 256), "512x2": (512, 512), "1024x2": (1024, 1024)}


def build(pixels: int, variant: str = "512x2", weights: str | None = None, *, channels: int = 3) -> keras.Model:
    """Return the feature extractor: (B, pixels, pixels, channels) in 0..255 to (B, D), the last hidden layer.

    Args:
        pixels: Side of the square input; made for 28 and 32.
        variant: `tiny`, `256x2`, `512x2` or `1024x2`: units and number of the hidden layers.
        weights: Always None; there are no pre-trained weights of it.
        channels: 1 or 3.

    Raises:
        BadInput: If there is no such variant.
    """
    import keras
    from keras import layers

    photo = keras.Input((pixels, pixels, channels), name="photo")
    x: Any = layers.Rescaling(1 / 255.0, name="scale")(photo)
    x = layers.Flatten(name="pixels")(x)
    for number, units in enumerate(size_of("mlp", SIZES, variant)):
        x = layers.Dense(units, activation="relu", name=f"hidden_{number}")(x)
    return keras.Model(photo, x, name=f"mlp_{variant}")


BACKBONE = Backbone(
    name="mlp",
    build=build,
    variants=tuple(SIZES),
    default_variant="512x2",
    recipe={"scratch": {"learning_rate": 0.002, "batch_size": 64}},
    cuts=dict.fromkeys(SIZES, ("hidden_0",)),
    seconds_per_photo={"tiny": 0.0001, "256x2": 0.0002, "512x2": 0.0004, "1024x2": 0.0008},
    measured_pixels=64,
)
