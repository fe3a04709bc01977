"""What a network is fed for a photo, by content hash: pixels from the image cache, or rows of the feature bank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from comp.augment import Policy
from comp.chunks import ChunkStore
from comp.images import ImageStore


class Inputs(Protocol):
    """Gives rows for training, drawn by a seed each, and rows for predicting, by view.

    Attributes:
        shape: Of one row.
        n_views: How many views there are to predict from.
    """

    shape: tuple[int, ...]
    n_views: int

    def drawn(self, shas: Sequence[str], seeds: np.ndarray) -> np.ndarray:
        """Return (B, ...) training rows; what a row is depends on its photo and its seed only."""
        ...

    def seen(self, shas: Sequence[str], view: int) -> np.ndarray:
        """Return (B, ...) rows of one view: 0 the photo as it is, 1 its mirror image."""
        ...


class PixelInputs:
    """Photos (B, side, side, channels) uint8, augmented when training."""

    def __init__(self, store: ImageStore, policy: Policy) -> None:
        self.store, self.policy = store, policy
        spec = store.spec
        self.shape: tuple[int, ...] = (spec.pixels, spec.pixels, spec.channels)
        self.n_views = 2 if "flip" in policy.symmetries else 1  # a mirrored digit is another digit

    def drawn(self, shas: Sequence[str], seeds: np.ndarray) -> np.ndarray:
        """Return photos, each augmented by its seed."""
        return self.policy.apply(self.store.gather(shas), seeds)

    def seen(self, shas: Sequence[str], view: int) -> np.ndarray:
        """Return photos as they are, or mirrored.

        Raises:
            IndexError: If there is no such view.
        """
        if view >= self.n_views:
            raise IndexError(f"view {view} of {self.n_views}")
        photos = self.store.gather(shas)
        return photos if view == 0 else np.ascontiguousarray(photos[:, :, ::-1])


class BankInputs:
    """Features (B, ...) float16 of a frozen part, one store a view; training draws a view of each photo by its seed."""

    def __init__(self, stores: Sequence[ChunkStore], shape: tuple[int, ...]) -> None:
        self.stores, self.shape, self.n_views = list(stores), shape, len(stores)

    def drawn(self, shas: Sequence[str], seeds: np.ndarray) -> np.ndarray:
        """Return for each photo the features of the view that its seed chooses."""
        chosen = (seeds % len(self.stores)).astype(int)
        rows = np.empty((len(shas), *self.shape), np.float16)
        for view in sorted(set(chosen.tolist())):
            places = np.flatnonzero(chosen == view)
            rows[places] = self.stores[view].gather([shas[place] for place in places.tolist()])
        return rows

    def seen(self, shas: Sequence[str], view: int) -> np.ndarray:
        """Return the features of one view."""
        return self.stores[view].gather(shas)
