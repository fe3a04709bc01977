"""Mixup and cutmix: a training batch blended with itself in another order, from (seed, epoch, batch) alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mixing:
    """How much batches are blended; the identity where both are 0. Where both are on, a coin chooses for each batch.

    Attributes:
        mixup: Parameter of the Beta distribution of the share (Zhang et al. 2017, arXiv 1710.09412).
        cutmix: The same for the area of a pasted rectangle (Yun et al. 2019, arXiv 1905.04899); photos only.
    """

    mixup: float = 0.0
    cutmix: float = 0.0

    def apply(self, rows: np.ndarray, targets: np.ndarray, seeds: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and targets blended with the same rows in another order.

        Args:
            rows: (B, H, W, C) photos or maps, or (B, ...) features.
            targets: (B, C) float32, one-hot.
            seeds: What the blend depends on: run seed, epoch, batch.
        """
        if not self.mixup and not self.cutmix:
            return rows, targets
        rows = rows.astype(np.float32)  # Keras 3.15 casts all batches of a fit to the type of the first
        random = np.random.default_rng([*seeds, 1])
        order = random.permutation(len(rows))
        uses_cutmix = rows.ndim == 4 and self.cutmix > 0 and (not self.mixup or random.random() < 0.5)
        if uses_cutmix:
            return _pasted(rows, targets, order, random.beta(self.cutmix, self.cutmix), random)
        if not self.mixup:
            return rows, targets
        share = np.float32(random.beta(self.mixup, self.mixup))
        blended = share * rows + (1 - share) * rows[order]
        return blended, share * targets + (1 - share) * targets[order]


def _pasted(
    rows: np.ndarray, targets: np.ndarray, order: np.ndarray, share: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows with one rectangle, of 1 - share of the area, taken from the other order; targets by the area kept."""
    height, width = rows.shape[1:3]
    tall, wide = (round(side * np.sqrt(1 - share)) for side in (height, width))
    top, left = random.integers(0, height - tall + 1), random.integers(0, width - wide + 1)
    mixed = rows.copy()
    mixed[:, top : top + tall, left : left + wide] = rows[order, top : top + tall, left : left + wide]
    kept = np.float32(1 - tall * wide / (height * width))
    return mixed, kept * targets + (1 - kept) * targets[order]
