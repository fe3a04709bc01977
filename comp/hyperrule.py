"""BiT-HyperRule: fine-tuning settings from the size of the photos and of the data set alone, nothing to tune.

Source: Kolesnikov et al. 2020, Big Transfer (arXiv 1912.11370), section 3.3, with the numbers of the authors' `bit_hyperrule.py`
(google-research/big_transfer): that file warms up, and for small sets lowers the rate at 40, 60 and 80 % of the steps where the
paper says 30, 60 and 90 %. The paper's optimizer is SGD with momentum 0.9 and no weight decay.
"""

from __future__ import annotations

LEARNING_RATE = 0.003
BATCH_SIZE = 512
MOMENTUM = 0.9
SMALL_SIDE = 96  # photos of fewer pixels than a square of this side count as small
MEDIUM, LARGE = 20_000, 500_000  # examples from which a data set is no longer small, and from which it is large


def resolution(height: int, width: int) -> tuple[int, int]:
    """Return (resized, cropped): the side that a photo is resized to, and of the square that is cropped from it, in pixels.

    Args:
        height, width: Natural size of the photos, in pixels.
    """
    return (160, 128) if height * width < SMALL_SIDE**2 else (512, 480)


def schedule(n_examples: int) -> tuple[int, ...]:
    """Return five steps: the end of the warm-up, the three after which the rate falls to a tenth, and the end."""
    if n_examples < MEDIUM:
        return (100, 200, 300, 400, 500)
    if n_examples < LARGE:
        return (500, 3_000, 6_000, 9_000, 10_000)
    return (500, 6_000, 12_000, 18_000, 20_000)


def mixup(n_examples: int) -> float:
    """Return mixup's alpha: 0 (none) for a small data set, else 0.1."""
    return 0.0 if n_examples < MEDIUM else 0.1


def learning_rate(step: int, n_examples: int, peak: float = LEARNING_RATE) -> float:
    """Return the rate of a step: up along a line, then three stairs down by ten each, 0 from the end on.

    Args:
        step: Counted from 0, of batches of 512.
        peak: Rate at the end of the warm-up.
    """
    warm, *falls, end = schedule(n_examples)
    if step < warm:
        return peak * step / warm
    if step >= end:
        return 0.0
    return float(peak / 10 ** sum(fall < step for fall in falls))
