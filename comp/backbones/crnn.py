"""CRNN: convolutions make a row of frames out of a strip of writing, recurrent layers read it in both directions.

Shi, Bai and Yao 2015, "An End-to-End Trainable Neural Network for Image-based Sequence Recognition" (arXiv 1507.05717), table 1,
made small: a third of its channels in four convolutions, a frame for every four columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comp.errors import BadInput
from comp.spec import Backbone

if TYPE_CHECKING:
    import keras

LOWEST = 16  # pixels: four times halved, a row is left
# Channels of each convolution, and units of each recurrent layer and direction, as multiples of the recipe's width.
SIZES = {
    "tiny": ((0.5, 1, 1, 1), (1,)),
    "gru": ((0.75, 1.5, 3, 3), (3, 3)),
    "lstm": ((0.75, 1.5, 3, 3), (3, 3)),
}
POOLS = ((2, 2), (2, 2), (2, 1), (2, 1))  # rows and columns that become one after each convolution


def build(
    pixels: int,
    variant: str = "gru",
    weights: str | None = None,
    *,
    channels: int = 1,
    width: int = 32,
    dropout: float = 0.25,
    has_widths: bool = False,
) -> keras.Model:
    """Return the reader of strips: (B, pixels, W, channels) in 0..255, and perhaps (B,) widths, to (B, W / 4, D) frames.

    With widths, nothing right of a strip's width changes its frames, and frames beyond it are zero.

    Args:
        pixels: Height of the strips, 16 or more.
        variant: `gru`, `lstm`, or `tiny`, a GRU.
        weights: Always None; there are no pre-trained weights of it.
        channels: 1 or 3.
        width: What the channels and units are multiples of.
        dropout: Share of features that are hidden before each recurrent layer in training.
        has_widths: Whether a second input (B,) int32 tells the width of each strip, W being a multiple of 4.

    Raises:
        BadInput: If the strips are too low.
    """
    import keras

    from comp.strip_layers import Blank

    if pixels < LOWEST:
        raise BadInput(
            f"crnn: expected strips of {LOWEST} px or more, got {pixels} px; ask for crnn:{LOWEST}px or more"
        )
    channels_of, units_of = SIZES[variant]
    strip = keras.Input((pixels, None, channels), name="strip")
    if not has_widths:
        x, _ = _seen(strip, None, channels_of, width)
        return keras.Model(strip, _read(x, None, variant, units_of, width, dropout), name=f"crnn_{variant}")
    widths = keras.Input((), dtype="int32", name="width")
    x, lengths = _seen(strip, widths, channels_of, width)
    x = _read(x, lengths, variant, units_of, width, dropout)
    return keras.Model([strip, widths], Blank()(x, lengths), name=f"crnn_{variant}")


def _seen(strip: Any, lengths: Any, channels_of: tuple[float, ...], width: int) -> tuple[Any, Any]:
    """Return (B, W / 4, D) frames, each of a few columns of the strip and of those beside them, and (B,) how many are a row's.

    Args:
        lengths: (B,) columns of each strip, or None for all.
    """
    from keras import layers

    from comp.strip_layers import Blank

    x = layers.Rescaling(-1 / 64, offset=255 / 64, name="ink")(strip)  # white paper is 0, as padding is
    for multiple, pool in zip(channels_of, POOLS, strict=True):
        x = layers.Conv2D(round(width * multiple), 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D(pool)(x)  # first: normalising and activating then meet half or a quarter of the numbers
        x = layers.BatchNormalization(momentum=0.9)(x)  # a small set has few steps to settle the averages in
        x = layers.LeakyReLU(0.1)(x)
        if lengths is not None:
            lengths = (lengths + (pool[1] - 1)) // pool[1]
            x = Blank(axis=2)(x, lengths)  # what the next convolution finds beyond an edge, wherever the array ends
    x = layers.Permute((2, 1, 3))(x)
    return layers.Reshape((-1, x.shape[2] * x.shape[3]), name="frames")(x), lengths


def _read(x: Any, lengths: Any, variant: str, units_of: tuple[int, ...], width: int, dropout: float) -> Any:
    """Return (B, T, D) frames that each know what stands before and after them."""
    from keras import layers, ops

    from comp.strip_layers import Turned

    def turned(frames: Any) -> Any:
        return ops.flip(frames, axis=1) if lengths is None else Turned()(frames, lengths)

    recurrent = layers.LSTM if variant == "lstm" else layers.GRU
    for multiple in units_of:
        x = layers.Dropout(dropout)(x)
        forward = recurrent(round(width * multiple), return_sequences=True)(x)
        backward = turned(recurrent(round(width * multiple), return_sequences=True)(turned(x)))
        x = layers.Concatenate()([forward, backward])
    return x


BACKBONE = Backbone(
    name="crnn",
    build=build,
    variants=("tiny", "gru", "lstm"),
    default_variant="gru",
    recipe={"scratch": {"learning_rate": 2e-3, "batch_size": 16, "dropout": 0.25}},
    options=("width", "dropout"),
    seconds_per_photo={"tiny": 0.002, "gru": 0.0065, "lstm": 0.0075},
    measured_pixels=32,
    takes_widths=True,
)
