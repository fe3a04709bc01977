"""gMLP: channel projections with a gate in between, the only place where tokens meet.

Paper: Liu et al. 2021, Pay Attention to MLPs (arXiv 2105.08050), figure 1; Ti/16, S/16 and B/16 from table 1, which gives 6, 20
and 73 million parameters with a head of 1000 classes. No pre-trained weights were published. `mini` is ours, for small photos.
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
    """Side of a patch, number of blocks, channels of a token; the gate's two halves together have 6 times as many."""

    patch: int
    blocks: int
    width: int


SIZES = {
    "tiny": Size(8, 2, 64),
    "micro/4": Size(4, 3, 64),
    "mini/4": Size(4, 4, 128),
    "mini/8": Size(8, 4, 128),
    "Ti/16": Size(16, 30, 128),
    "S/16": Size(16, 30, 256),
    "B/16": Size(16, 30, 512),
}


def build(pixels: int, variant: str = "S/16", weights: Path | str | None = None, *, channels: int = 3) -> keras.Model:
    """Return the feature extractor: (B, pixels, pixels, channels) in 0..255 to (B, T, D) tokens.

    Args:
        pixels: Side of the square input, a multiple of the patch: the number behind the slash, 8 for `tiny`.
        variant: `Ti/16` (D = 128), `S/16` (256), `B/16` (512); for small photos `tiny`, `mini/4` (28 and 32 px), `mini/8` (64 px).
        weights: Always None; none were published.
        channels: 1 or 3.

    Raises:
        BadInput: If there is no such variant, or the patches do not fit the side.
    """
    import keras
    from keras import layers

    size = size_of("gmlp", SIZES, variant)
    check_pixels("gmlp", variant, pixels, size.patch)
    photo = keras.Input((pixels, pixels, channels), name="photo")
    x = tokens_of(photo, size.patch, size.width, three_channels=False)
    for block in range(1, size.blocks + 1):
        x = _block(x, f"block{block:02d}")
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    return keras.Model(photo, x, name=f"gmlp_{variant.replace('/', '_')}")


def _block(x: Any, name: str) -> Any:
    """Return (B, T, D) of (B, T, D): 3 D channels, gated by 3 D others, and the way back to D beside a shortcut.

    The paper projects to 6 D channels and splits them; two projections of 3 D are the same. GELU is its tanh approximation: on a
    processor a step of `micro/4` takes 1.7 ms a photo instead of 2.0.
    """
    from keras import layers

    from comp.layers import gelu_tanh

    width = x.shape[-1]
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}.norm")(x)
    content = layers.Dense(3 * width, activation=gelu_tanh, name=f"{name}.content")(y)
    gate = layers.Dense(3 * width, activation=gelu_tanh, name=f"{name}.gate")(y)
    y = layers.Multiply(name=f"{name}.gated")([content, _across_tokens(gate, f"{name}.gate")])
    y = layers.Dense(width, name=f"{name}.back")(y)
    return layers.Add(name=f"{name}.out")([x, y])


def _across_tokens(x: Any, name: str) -> Any:
    """Return (B, T, E) of (B, T, E), projected over T; weights near 0 and a bias of 1 let the content through at the start."""
    import keras
    from keras import layers

    x = layers.LayerNormalization(epsilon=1e-6, name=f"{name}.norm")(x)
    x = layers.Permute((2, 1), name=f"{name}.channels_first")(x)  # (B, E, T)
    near_zero = keras.initializers.RandomNormal(stddev=1e-6)
    x = layers.Dense(x.shape[-1], kernel_initializer=near_zero, bias_initializer="ones", name=f"{name}.across_tokens")(
        x
    )
    return layers.Permute((2, 1), name=f"{name}.channels_last")(x)  # (B, T, E)


BACKBONE = Backbone(
    name="gmlp",
    build=build,
    variants=tuple(SIZES),
    default_variant="S/16",
    scratch_variant="tiny",
    recipe={"scratch": {"learning_rate": 0.002, "weight_decay": 0.15, "tta_views": 2}},
    parameters={"Ti/16": 5_738_328, "S/16": 19_165_656, "B/16": 72_562_392},
    cuts={
        "tiny": ("block01.out",),
        "micro/4": ("block02.out",),
        "mini/4": ("block02.out",),
        "mini/8": ("block02.out",),
        "Ti/16": ("block15.out", "block22.out"),
        "S/16": ("block15.out", "block22.out"),
        "B/16": ("block15.out", "block22.out"),
    },
    # S/16 at 64 px, one core: step 25.7 -> 22.8 ms a photo, but forward 8.0 -> 8.4 ms
    bf16_pays=frozenset({"train"}),
    seconds_per_photo={
        "tiny": 0.0010,
        "micro/4": 0.006,
        "mini/4": 0.024,
        "mini/8": 0.0049,
        "Ti/16": 0.009,
        "S/16": 0.026,
        "B/16": 0.094,
    },
    measured_pixels=64,
)
