"""Cuts a photo into patches, one token each: the way in of the three backbones that mix tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comp.errors import BadInput

if TYPE_CHECKING:
    import keras


def check_pixels(backbone: str, variant: str, pixels: int, patch: int) -> None:
    """Do nothing where the patches fit the side.

    Raises:
        BadInput: If `pixels` is no multiple of `patch`; the line names the sizes next to it that are.
    """
    if pixels % patch:
        below = pixels // patch * patch
        fits = " or ".join(f"{size}px" for size in (below, below + patch) if size)
        raise BadInput(
            f"{backbone}:{variant}: expected a side that is a multiple of its patches of {patch} px, got {pixels} px; "
            f"use {fits}, or a variant with smaller patches"
        )


def tokens_of(photo: keras.KerasTensor, patch: int, width: int, *, three_channels: bool) -> Any:
    """Return (B, T, width): each patch of a (B, side, side, C) photo in 0..255 scaled to -1..1 and projected, row by row.

    Args:
        patch: Side of a patch; T = (side / patch) ** 2.
        three_channels: Whether grey is repeated, as published weights want it.
    """
    from keras import layers

    x: Any = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(photo)
    if three_channels and photo.shape[-1] == 1:
        x = layers.Concatenate(name="three_channels")([x, x, x])
    x = layers.Conv2D(width, patch, strides=patch, name="stem")(x)
    return layers.Reshape((-1, width), name="tokens")(x)
