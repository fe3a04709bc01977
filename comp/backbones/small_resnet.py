"""Small ResNet: basic blocks, normalised and activated before each convolution, for photos of 28 to 48 px, trained from nothing.

He, Zhang, Ren, Sun 2016 (arXiv 1603.05027), with the wide and shallow stages of Zagoruyko and Komodakis 2016 (arXiv 1605.07146),
whose finding is that width trains faster than depth. The stem keeps the side; a maximum halves it before the first block, so that
nine tenths of the work are done on maps of a sixteenth of the photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from comp.backbones._sizes import size_of
from comp.spec import Backbone

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Size:
    """Channels of the stem, and of each stage; each stage but the first halves the side."""

    stem: int
    stages: tuple[int, ...]
    blocks: int = 1


SIZES = {
    "tiny": Size(16, (16, 32, 64)),
    "8/32": Size(24, (32, 64, 128)),
    "8/48": Size(32, (48, 96, 192)),
    "8/64": Size(32, (64, 128, 256)),
    "14/32": Size(24, (32, 64, 128), 2),
}


def build(pixels: int, variant: str = "8/64", weights: str | None = None, *, channels: int = 3) -> keras.Model:
    """Return the feature extractor: (B, pixels, pixels, channels) in 0..255 to a (B, pixels / 8, pixels / 8, D) map.

    Args:
        pixels: Side of the square input.
        variant: Number of convolutions and width of the first stage, `8/64`; or `tiny`.
        weights: Always None; there are no pre-trained weights of it.
        channels: 1 or 3.

    Raises:
        BadInput: If there is no such variant.
    """
    import keras
    from keras import layers

    size = size_of("small_resnet", SIZES, variant)
    photo = keras.Input((pixels, pixels, channels), name="photo")
    x: Any = layers.Rescaling(1 / 64.0, offset=-2.0, name="standardise")(photo)
    x = layers.Conv2D(size.stem, 3, padding="same", use_bias=False, name="stem")(x)
    x = layers.MaxPooling2D(name="stem.pool")(x)
    for stage, filters in enumerate(size.stages):
        for block in range(size.blocks):
            strides = 2 if stage and not block else 1
            x = _block(x, f"stage{stage}.block{block}", filters, strides)
    return keras.Model(photo, _activated(x, "last"), name=f"small_resnet_{variant.replace('/', '_')}")


def _block(x: Any, name: str, filters: int, strides: int) -> Any:
    """Return the pre-activated basic block of (B, H, W, C): (B, H / strides, W / strides, filters)."""
    from keras import layers

    y = _activated(x, f"{name}.a")
    shortcut = x
    if strides > 1 or x.shape[-1] != filters:
        shortcut = layers.Conv2D(filters, 1, strides, use_bias=False, name=f"{name}.shortcut")(y)
    y = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False, name=f"{name}.a.conv")(y)
    y = _activated(y, f"{name}.b")
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}.b.conv")(y)
    return layers.Add(name=f"{name}.out")([shortcut, y])


def _activated(x: Any, name: str) -> Any:
    from keras import layers

    x = layers.BatchNormalization(momentum=0.9, name=f"{name}.norm")(x)  # a small set has few steps to settle in
    return layers.ReLU(name=f"{name}.relu")(x)


BACKBONE = Backbone(
    name="small_resnet",
    build=build,
    variants=tuple(SIZES),
    default_variant="8/64",
    scratch_variant="tiny",
    recipe={"scratch": {"learning_rate": 0.008, "batch_size": 64, "weight_decay": 0.05, "tta_views": 2}},
    # 8/64 at 32 px, one core: step 2.85 -> 1.97 ms a photo; 8/48 2.00 -> 1.39; 8/32 0.97 -> 0.77
    bf16_pays=frozenset({"train"}),
    seconds_per_photo={"tiny": 0.0016, "8/32": 0.0031, "8/48": 0.0056, "8/64": 0.0079, "14/32": 0.0055},
    measured_pixels=64,
)
