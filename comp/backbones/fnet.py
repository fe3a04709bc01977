"""FNet: tokens and channels are mixed by a Fourier transform, which has nothing to learn.

Paper: Lee-Thorp et al. 2021, FNet: Mixing Tokens with Fourier Transforms (arXiv 2105.03824), figure 1. It has no image size:
`S/8` is that of the Keras example "Image classification with modern MLP models" (64 px, patches of 8, 4 blocks of 256 channels, as
wide inside), `S/4` the same for photos of 28 and 32 px. No pre-trained weights for photos were published.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comp.backbones._patches import check_pixels, tokens_of
from comp.backbones._sizes import size_of
from comp.spec import Backbone

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Size:
    """Side of a patch, number of blocks, channels of a token, hidden width of the network behind the transform."""

    patch: int
    blocks: int
    width: int
    hidden: int


SIZES = {
    "tiny": Size(8, 2, 64, 256),
    "micro/4": Size(4, 4, 96, 192),
    "S/4": Size(4, 4, 256, 256),
    "S/8": Size(8, 4, 256, 256),
}


def build(pixels: int, variant: str = "S/8", weights: Path | str | None = None, *, channels: int = 3) -> keras.Model:
    """Return the feature extractor: (B, pixels, pixels, channels) in 0..255 to (B, T, D) tokens.

    Args:
        pixels: Side of the square input, a multiple of the patch: the number behind the slash, 8 for `tiny`.
        variant: `tiny` (D = 64), `S/4` (D = 256; 28 and 32 px) or `S/8` (D = 256; 64 px).
        weights: Always None; none were published.
        channels: 1 or 3.

    Raises:
        BadInput: If there is no such variant, or the patches do not fit the side.
    """
    import keras

    from comp.layers import Positions

    size = size_of("fnet", SIZES, variant)
    check_pixels("fnet", variant, pixels, size.patch)
    photo = keras.Input((pixels, pixels, channels), name="photo")
    x = tokens_of(photo, size.patch, size.width, three_channels=False)
    x = Positions(name="positions")(x)
    for block in range(1, size.blocks + 1):
        x = _block(x, f"block{block}", size.hidden)
    return keras.Model(photo, x, name=f"fnet_{variant.replace('/', '_')}")


def _block(x: Any, name: str, hidden: int) -> Any:
    """Return (B, T, D) of (B, T, D): mixed, then a small network over channels, each beside a shortcut and normalised after it.

    GELU is its tanh approximation, as in the authors' Flax code.
    """
    from keras import layers

    from comp.layers import FourierMixing, gelu_tanh

    y = FourierMixing(name=f"{name}.mixing")(x)
    # sums over T times D numbers: float32 until they are normalised
    y = layers.Add(dtype="float32", name=f"{name}.mixed")([x, y])
    x = layers.LayerNormalization(epsilon=1e-6, dtype="float32", name=f"{name}.mixed_norm")(y)
    y = layers.Dense(hidden, activation=gelu_tanh, name=f"{name}.dense_1")(x)
    y = layers.Dense(x.shape[-1], name=f"{name}.dense_2")(y)
    y = layers.Add(name=f"{name}.sum")([x, y])
    return layers.LayerNormalization(epsilon=1e-6, name=f"{name}.out")(y)


BACKBONE = Backbone(
    name="fnet",
    build=build,
    variants=tuple(SIZES),
    default_variant="S/8",
    recipe={"scratch": {"weight_decay": 0.15, "tta_views": 2}},
    parameters={},
    cuts={"tiny": ("block1.out",), "micro/4": ("block2.out",), "S/4": ("block2.out",), "S/8": ("block2.out",)},
    # bfloat16 does not pay: S/8 at 64 px, one core: forward 1.31 -> 1.45 ms, step 3.72 -> 3.50 ms a photo
    seconds_per_photo={"tiny": 0.0007, "micro/4": 0.005, "S/4": 0.018, "S/8": 0.0037},
    measured_pixels=64,
)
