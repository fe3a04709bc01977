"""What a reader of strips is fed: cached strips on white paper, padded to common widths, in batches of neighbours by width."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from comp.augment import Policy, image_seeds
from comp.strips import StripStore

STEP = 8  # pixels: padded widths are multiples of it, and so of every stride
WHITE = 255
JITTER = (
    0.08  # deviation, in natural logarithms of the width, of what epochs sort by: neighbours change from epoch to epoch
)

Taken = tuple[np.ndarray, np.ndarray]


class StripInputs:
    """Strips by content hash, dark ink on white paper whatever the paper was, augmented when training."""

    def __init__(self, store: StripStore, policy: Policy) -> None:
        self.store, self.policy = store, policy
        self.shape: tuple[int | None, ...] = (store.spec.pixels, None, store.spec.channels)

    def widths(self, shas: Sequence[str]) -> np.ndarray:
        """Return (N,) widths before augmentation."""
        return self.store.widths(shas)

    def drawn(self, shas: Sequence[str], seeds: np.ndarray) -> list[np.ndarray]:
        """Return strips (H, W, C) uint8, each augmented by its seed; widths may change."""
        return [on_white(strip) for strip in self.policy.apply_to_ink(self.store.strips(shas), seeds)]

    def seen(self, shas: Sequence[str]) -> list[np.ndarray]:
        """Return strips (H, W, C) uint8 as they are, their paper white."""
        return [on_white(strip) for strip in self.store.strips(shas)]


def on_white(strip: np.ndarray) -> np.ndarray:
    """Return a strip whose most usual grey, the paper, is white; light writing on dark ground is turned into its negative.

    Args:
        strip: (H, W, C) uint8.
    """
    paper = np.median(strip)
    if paper < 128:
        strip, paper = WHITE - strip, WHITE - paper
    return np.minimum(strip * np.float32(WHITE / paper), WHITE).astype(np.uint8)


def padded(strips: Sequence[np.ndarray], least: Sequence[int] | None = None) -> Taken:
    """Return strips side by side in one array, white paper to their right, and how wide each is.

    Args:
        strips: B of (H, W, C) uint8.
        least: Pixels that each is at least wide: paper is added where it is not.

    Returns:
        (B, H, W, C) uint8, W the next multiple of 32, and (B,) int32.
    """
    widths = np.array([strip.shape[1] for strip in strips], np.int32)
    if least is not None:
        widths = np.maximum(widths, np.asarray(least, np.int32))
    height, _, channels = strips[0].shape
    taken = np.full((len(strips), height, int(-(-widths.max() // STEP) * STEP), channels), WHITE, np.uint8)
    for row, strip in enumerate(strips):
        taken[row, :, : strip.shape[1]] = strip
    return taken, widths


class StripBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """One epoch after the other of train rows, each drawn anew, in batches of strips of about one width.

    Each epoch has every row once. What a batch holds depends on (seed, epoch, batch) only.

    Args:
        shas: (N,) content hash of each row.
        labels: (N, L) int32: places in the alphabet, 0 behind the end.
        stride: Pixels a frame: a row whose characters outnumber its frames gets more paper.
    """

    def __init__(
        self, inputs: StripInputs, shas: Sequence[str], labels: np.ndarray, *, batch_size: int, seed: int, stride: int
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self.inputs, self.shas, self.labels = inputs, list(shas), labels
        self.batch_size, self.seed = min(batch_size, len(self.shas)), seed
        self.least = frames_needed(labels) * stride
        self.start_epoch(0)

    def __len__(self) -> int:
        return math.ceil(len(self.shas) / self.batch_size)

    def start_epoch(self, epoch: int) -> None:
        """Deal rows into batches for an epoch; what came before does not matter, so a resumed fit sees the same batches."""
        self.epoch = epoch
        random = np.random.default_rng([self.seed, epoch])
        blurred = np.log(self.inputs.widths(self.shas)) + random.normal(0, JITTER, len(self.shas))
        order = np.argsort(blurred, kind="stable")
        parts = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        self.parts = [parts[place] for place in random.permutation(len(parts))]

    def __getitem__(self, batch: int) -> tuple[Taken, np.ndarray]:
        rows = self.parts[batch]
        strips = self.inputs.drawn([self.shas[row] for row in rows], image_seeds(self.seed, self.epoch, rows))
        return padded(strips, self.least[rows].tolist()), self.labels[rows]


def frames_needed(labels: np.ndarray) -> np.ndarray:
    """Return (N,) the fewest frames that CTC can write each row's labels in: one each, and a blank between equal neighbours."""
    is_there = labels[:, 1:] > 0
    return np.asarray((labels > 0).sum(axis=1) + ((labels[:, 1:] == labels[:, :-1]) & is_there).sum(axis=1))


def in_widths(widths: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yield the rows to predict together: each row once, and no two of different padded widths, so that no row pads another."""
    steps = -(-widths // STEP)
    for step in np.unique(steps):
        rows = np.flatnonzero(steps == step)
        for start in range(0, len(rows), batch_size):
            yield rows[start : start + batch_size]
