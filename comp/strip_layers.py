"""Layers for rows of frames of different lengths in one batch: what lies beyond a row's end never reaches what lies before it.

Imports Keras, so a backbone file imports this module inside its `build`.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from comp.layers import PACKAGE

CERTAIN = 30.0  # logit of what is certain, against 0: beyond the end the others together weigh less than 1e-10


def is_inside(n_frames: Any, lengths: Any) -> Any:
    """Return (B, T) bool: whether a frame comes before the end of its row.

    Args:
        n_frames: T.
        lengths: (B,) int32.
    """
    return ops.arange(n_frames, dtype="int32")[None, :] < ops.cast(lengths, "int32")[:, None]


@keras.saving.register_keras_serializable(PACKAGE)
class Blank(keras.layers.Layer):  # type: ignore[misc]
    """Zeros in the place of what lies beyond the end of each row.

    Args:
        axis: The one that `lengths` are of: 1 of frames (B, T, D), 2 of maps (B, H, W, D).
    """

    def __init__(self, axis: int = 1, **named: Any) -> None:
        super().__init__(**named)
        self.axis = axis

    def call(self, x: Any, lengths: Any) -> Any:
        """Return x, what is beyond the (B,) lengths along the axis zero."""
        inside = ops.cast(is_inside(ops.shape(x)[self.axis], lengths), x.dtype)
        others = [axis for axis in range(1, len(x.shape)) if axis != self.axis]
        return x * ops.expand_dims(inside, others)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes."""
        return {**super().get_config(), "axis": self.axis}


@keras.saving.register_keras_serializable(PACKAGE)
class Turned(keras.layers.Layer):  # type: ignore[misc]
    """Each row backwards within its own length: a recurrence over it reads from the end, and padding after the beginning.

    So no mask is needed, whose loops are slower; turned twice, a row is as it was.
    """

    def call(self, x: Any, lengths: Any) -> Any:
        """Return (B, T, D) with frame t of a row in the place of frame length - 1 - t."""
        places = ops.arange(ops.shape(x)[1], dtype="int32")[None, :]
        lengths = ops.cast(lengths, "int32")[:, None]
        return ops.take_along_axis(x, ops.where(places < lengths, lengths - 1 - places, places)[:, :, None], axis=1)


@keras.saving.register_keras_serializable(PACKAGE)
class CertainBlank(keras.layers.Layer):  # type: ignore[misc]
    """Logits (B, T, A) that beyond the end of each row say blank (column 0), with certainty.

    `keras.losses.CTC` takes every row as long as the batch (keras 3.15): with this it gives the loss of the row's own length.
    """

    def call(self, x: Any, lengths: Any) -> Any:
        """Return the logits, those beyond the end certain of the blank."""
        blank = ops.cast(ops.one_hot(ops.zeros((1, 1), "int32"), x.shape[-1]), x.dtype) * CERTAIN
        return ops.where(is_inside(ops.shape(x)[1], lengths)[:, :, None], x, blank)
