"""What a network is fed for a photo, by content hash: pixels from the image cache, or rows of the feature bank."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from comp.augment import Policy
from comp.chunks import ChunkStore
from comp.images import ImageStore

MOVED = 32  # a moved view lies a 32nd of the side off along both axes: one pixel of a small photo
_DIAGONALS = ((-1, -1), (1, 1), (-1, 1), (1, -1))


class PhotoView(NamedTuple):
    """One way to look at a photo: mirrored or not, and how many steps it is moved down and right."""

    is_mirrored: bool
    down: int
    right: int


def views_of_photo(symmetries: Collection[str]) -> list[PhotoView]:
    """Return the ways to look at a photo that leave its label true, the photo as it is first, each place with its mirror image.

    Moved views: Jordan 2024, 94 % on CIFAR-10 in 3.29 seconds on a single GPU (arXiv 2404.00498), which averages the first
    diagonal. Accuracy under 2, 6 and 10 views, 3,334 photos of CIFAR-10: small_resnet:8/32 0.7642, 0.7714, 0.7753, 8/48 0.7789,
    0.7894, 0.7894.
    """
    places = [(0, 0), *(_DIAGONALS if "shift" in symmetries else ())]
    sides = (False, True) if "flip" in symmetries else (False,)
    return [PhotoView(is_mirrored, *place) for place in places for is_mirrored in sides]


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
        """Return (B, ...) rows of one view, 0 the photo as it is."""
        ...


class PixelInputs:
    """Photos (B, side, side, channels) uint8, augmented when training."""

    def __init__(self, store: ImageStore, policy: Policy) -> None:
        self.store, self.policy = store, policy
        spec = store.spec
        self.shape: tuple[int, ...] = (spec.pixels, spec.pixels, spec.channels)
        self.views = views_of_photo(policy.symmetries)
        self.n_views = len(self.views)

    def drawn(self, shas: Sequence[str], seeds: np.ndarray) -> np.ndarray:
        """Return photos, each augmented by its seed."""
        return self.policy.apply(self.store.gather(shas), seeds)

    def seen(self, shas: Sequence[str], view: int) -> np.ndarray:
        """Return photos as they are, mirrored or moved; what a move leaves bare shows the photo mirrored at its edge.

        Raises:
            IndexError: If there is no such view.
        """
        is_mirrored, down, right = self.views[view]
        photos = self.store.gather(shas)
        if is_mirrored:
            photos = np.ascontiguousarray(photos[:, :, ::-1])
        return _moved(photos, down, right) if down or right else photos


def _moved(photos: np.ndarray, down: int, right: int) -> np.ndarray:
    """Return (B, H, W, C) photos, each `down` and `right` steps off its place, -1 to 1."""
    height, width = photos.shape[1:3]
    tall, wide = (max(1, round(side / MOVED)) for side in (height, width))
    framed = np.pad(photos, ((0, 0), (tall, tall), (wide, wide), (0, 0)), mode="reflect")
    top, left = tall * (1 - down), wide * (1 - right)
    return framed[:, top : top + height, left : left + width]


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
