"""MLP-Mixer: one small network over the tokens of a channel and one over the channels of a token, in turn.

Paper: Tolstikhin et al. 2021, MLP-Mixer: An all-MLP Architecture for Vision (arXiv 2105.01601), figure 1; S/16 and B/16 from
table 1. Parameters: theirs with a head of 1000 classes have 18,528,264 and 59,880,472. `mini` and `micro` are ours, for small photos.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comp.backbones._patches import check_pixels, tokens_of
from comp.backbones._sizes import size_of
from comp.spec import Backbone, Weights

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Size:
    """Side of a patch, number of blocks, channels of a token, hidden widths of the token- and the channel-mixing network."""

    patch: int
    blocks: int
    width: int
    token_hidden: int
    channel_hidden: int


SIZES = {
    "tiny": Size(8, 2, 64, 32, 256),
    "micro/4": Size(4, 3, 96, 48, 192),
    "mini/4": Size(4, 4, 128, 64, 512),
    "mini/8": Size(8, 4, 128, 64, 512),
    "S/16": Size(16, 8, 512, 256, 2048),
    "B/16": Size(16, 12, 768, 384, 3072),
}


def build(pixels: int, variant: str = "S/16", weights: Path | str | None = None, *, channels: int = 3) -> keras.Model:
    """Return the feature extractor: (B, pixels, pixels, channels) in 0..255 to (B, T, D) tokens.

    Args:
        pixels: Side of the square input, a multiple of the patch: the number behind the slash, 8 for `tiny`.
        variant: `S/16` (D = 512), `B/16` (D = 768); for small photos `tiny`, `micro/4` and `mini/4` (28 and 32 px), `mini/8` (64 px).
        weights: Path of a published `.npz` file such as Mixer-B_16.npz, which fits 224 px; None starts from random weights.
        channels: 1 or 3; grey is repeated.

    Raises:
        BadInput: If there is no such variant, the patches do not fit the side, or the file does not hold exactly the arrays of this variant and size.
    """
    import keras
    from keras import layers

    size = size_of("mlp_mixer", SIZES, variant)
    check_pixels("mlp_mixer", variant, pixels, size.patch)
    photo = keras.Input((pixels, pixels, channels), name="photo")
    x = tokens_of(photo, size.patch, size.width, three_channels=True)
    for block in range(size.blocks):
        x = _block(x, f"MixerBlock_{block}", size)
    x = layers.LayerNormalization(epsilon=1e-6, name="pre_head_layer_norm")(x)
    model = keras.Model(photo, x, name=f"mlp_mixer_{variant.replace('/', '_')}")
    if weights:
        from comp.npz import load_npz, published_names

        names = published_names(model, {"gamma": "scale", "beta": "bias"})
        load_npz(weights, names, "head/", "use the pixels that the file was made for (224px for published ones)")
    return model


def _block(x: Any, name: str, size: Size) -> Any:
    """Return (B, T, D) of (B, T, D), first mixed over T, then over D, each beside a shortcut."""
    from keras import layers

    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}.LayerNorm_0")(x)
    y = layers.Permute((2, 1), name=f"{name}.channels_first")(y)  # (B, D, T)
    y = _mlp(y, f"{name}.token_mixing", size.token_hidden)
    y = layers.Permute((2, 1), name=f"{name}.channels_last")(y)  # (B, T, D)
    x = layers.Add(name=f"{name}.tokens_mixed")([x, y])
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}.LayerNorm_1")(x)
    y = _mlp(y, f"{name}.channel_mixing", size.channel_hidden)
    return layers.Add(name=f"{name}.out")([x, y])


def _mlp(x: Any, name: str, hidden: int) -> Any:
    from keras import layers

    from comp.layers import gelu_tanh

    y = layers.Dense(hidden, activation=gelu_tanh, name=f"{name}.Dense_0")(x)
    return layers.Dense(x.shape[-1], name=f"{name}.Dense_1")(y)


# Files of one name lie in several folders: these were trained on ImageNet (S/16) and on ImageNet-21k (B/16), at 224 px: what
# mixes tokens has a weight for each pair of places.
_AT = "https://storage.googleapis.com/mixer_models"

BACKBONE = Backbone(
    name="mlp_mixer",
    build=build,
    variants=tuple(SIZES),
    default_variant="S/16",
    scratch_variant="mini/8",
    recipe={"scratch": {"learning_rate": 0.004, "weight_decay": 0.1, "tta_views": 2}},
    weights={
        "S/16": Weights(file="Mixer-S_16.npz", url=f"{_AT}/gsam/Mixer-S_16.npz", megabytes=74.0, pixels=224),
        "B/16": Weights(file="Mixer-B_16.npz", url=f"{_AT}/imagenet21k/Mixer-B_16.npz", megabytes=304.0, pixels=224),
    },
    parameters={"S/16": 18_015_264, "B/16": 59_111_472},
    cuts={
        "tiny": ("MixerBlock_0.out",),
        "micro/4": ("MixerBlock_1.out",),
        "mini/4": ("MixerBlock_1.out",),
        "mini/8": ("MixerBlock_1.out",),
        "S/16": ("MixerBlock_3.out", "MixerBlock_5.out"),
        "B/16": ("MixerBlock_5.out", "MixerBlock_8.out"),
    },
    # S/16 at 96 px, one core: forward 17.5 -> 15.4 ms, step 53.4 -> 44.1 ms a photo; `tiny` loses a tenth of its 0.7 ms
    bf16_pays=frozenset({"extract", "train"}),
    seconds_per_photo={
        "tiny": 0.0007,
        "micro/4": 0.0036,
        "mini/4": 0.015,
        "mini/8": 0.0034,
        "S/16": 0.030,
        "B/16": 0.092,
    },
    measured_pixels=64,
)
