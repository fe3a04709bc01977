"""BiT: ResNetV2 with GroupNorm and weight-standardised convolutions, the features of Big Transfer.

Paper: Kolesnikov et al. 2020, Big Transfer (BiT): General Visual Representation Learning (arXiv 1912.11370), section 3.2.
Units by block are those of ResNet-50 and ResNet-101 (He et al. 2015, table 1). Parameters: the authors' R50x1 and R101x1 with a
head of 1000 classes have 25,549,352 and 44,541,480; the head is 2048 * 1000 + 1000 of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comp.backbones._sizes import size_of
from comp.spec import Backbone, Weights

if TYPE_CHECKING:
    import keras

GROUPS = 32  # of channels that are normalised together


@dataclass(frozen=True)
class Size:
    """Units of each block, and the narrow width of the first; each further block doubles it and halves the side."""

    units: tuple[int, ...]
    width: int = 64


SIZES = {"tiny": Size((1, 1), 32), "R50x1": Size((3, 4, 6, 3)), "R101x1": Size((3, 4, 23, 3))}


def build(pixels: int, variant: str = "R50x1", weights: Path | str | None = None, *, channels: int = 3) -> keras.Model:
    """Return the feature extractor: (B, pixels, pixels, channels) in 0..255 to a (B, h, w, D) feature map.

    Args:
        pixels: Side of the square input; h is a 32nd of it, rounded up (an eighth for `tiny`).
        variant: `tiny`, `R50x1` (D = 2048) or `R101x1` (D = 2048).
        weights: Path of a published `.npz` file such as BiT-M-R50x1.npz; None starts from random weights.
        channels: 1 or 3; grey is repeated.

    Raises:
        BadInput: If there is no such variant, or the file does not hold exactly the arrays of this variant.
    """
    import keras
    from keras import layers

    from comp.layers import StandardisedConv2D

    photo = keras.Input((pixels, pixels, channels), name="photo")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(photo)
    if channels == 1:
        x = layers.Concatenate(name="three_channels")([x, x, x])
    size = size_of("bit", SIZES, variant)
    x = StandardisedConv2D(size.width, 7, 2, name="root_block.standardized_conv2d")(x)
    # zeros around, not the maximum's minus infinity: what the published weights were trained with
    x = layers.ZeroPadding2D(1, name="root_block.pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="root_block.pool")(x)
    for block, n_units in enumerate(size.units, start=1):
        for unit in range(1, n_units + 1):
            strides = 2 if unit == 1 and block > 1 else 1
            x = _unit(x, f"block{block}.unit{unit:02d}", size.width * 2 ** (block - 1), strides)
    x = _activated(x, "group_norm")
    model = keras.Model(photo, x, name=f"bit_{variant}")
    if weights:
        from comp.npz import load_npz, published_names

        load_npz(weights, published_names(model, {}, "resnet/"), "resnet/head/")
    return model


def _unit(x: Any, name: str, width: int, strides: int) -> Any:
    """Return the pre-activated bottleneck of (B, H, W, C): (B, H / strides, W / strides, 4 * width)."""
    from keras import layers

    from comp.layers import StandardisedConv2D

    shortcut, y = x, _activated(x, f"{name}.a.group_norm")
    if strides > 1 or x.shape[-1] != 4 * width:
        shortcut = StandardisedConv2D(4 * width, 1, strides, name=f"{name}.a.proj.standardized_conv2d")(y)
    y = StandardisedConv2D(width, 1, name=f"{name}.a.standardized_conv2d")(y)
    y = _activated(y, f"{name}.b.group_norm")
    y = StandardisedConv2D(width, 3, strides, name=f"{name}.b.standardized_conv2d")(y)
    y = _activated(y, f"{name}.c.group_norm")
    y = StandardisedConv2D(4 * width, 1, name=f"{name}.c.standardized_conv2d")(y)
    return layers.Add(name=f"{name}.out")([shortcut, y])


def _activated(x: Any, name: str) -> Any:
    from keras import layers

    from comp.layers import GroupNormalization

    x = GroupNormalization(GROUPS, epsilon=1e-5, name=name)(x)
    return layers.ReLU(name=f"{name}.relu")(x)


def _published(variant: str, megabytes: float) -> Weights:
    file = f"BiT-M-{variant}.npz"
    return Weights(file=file, url=f"https://storage.googleapis.com/bit_models/{file}", megabytes=megabytes)


BACKBONE = Backbone(
    name="bit",
    build=build,
    variants=tuple(SIZES),
    default_variant="R50x1",
    scratch_variant="tiny",
    recipe={"scratch": {"learning_rate": 0.008}, "full": {"optimizer": "hyperrule"}},
    # the head of 21,843 classes is more than half of each file
    weights={"R50x1": _published("R50x1", 273.0), "R101x1": _published("R101x1", 349.0)},
    parameters={"R50x1": 23_500_352, "R101x1": 42_492_480},
    cuts={
        "tiny": ("block1.unit01.out",),
        "R50x1": ("block2.unit04.out", "block3.unit06.out"),
        "R101x1": ("block2.unit04.out", "block3.unit23.out"),
    },
    bf16_pays=frozenset(
        {"extract", "train"}
    ),  # R50x1 at 96 px, one core: forward 19.2 -> 13.5 ms, step 70.8 -> 50.7 ms a photo
    seconds_per_photo={"tiny": 0.0016, "R50x1": 0.036, "R101x1": 0.064},
    measured_pixels=64,
)
