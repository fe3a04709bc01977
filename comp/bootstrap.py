"""How far a score is to be believed: metrics under bootstrap resamples of the rows, drawn within class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from comp.errors import BadInput
from comp.metrics import Floats, Metric, Truth, checked


def interval(
    metric: Metric,
    truth: Truth,
    probabilities: Floats,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the low and high end of the metric's bootstrap percentile interval.

    Rows are drawn with replacement within each class, so every resample has the class sizes of the table and no class
    vanishes. Memory does not grow with `n_resamples`; the same arguments give the same interval.

    Args:
        truth: (N,) true class indices.
        probabilities: (N, C).
        level: Share of the resamples' scores that lies between the two ends.

    Raises:
        BadInput, Refused: As `Metric.function`; BadInput too if there are no resamples or `level` lies outside 0..1.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    if n_resamples < 1 or not 0 < level < 1:
        raise BadInput(f"interval: expected n_resamples >= 1 and 0 < level < 1, got {n_resamples} and {level}")
    scores = resampled_scores(metric, truth, probabilities, n_resamples, seed)
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled_scores(
    metric: Metric, truth: Truth, probabilities: Floats, n_resamples: int = 1000, seed: int = 0
) -> Floats:
    """Return (n_resamples,) scores of bootstrap resamples; two tables of one truth and seed are scored on the same draws.

    Args:
        truth: (N,) true class indices.
        probabilities: (N, C).

    Raises:
        BadInput, Refused: As `Metric.function`.
    """
    truth = checked(metric.name, truth, probabilities)
    score = metric.prepare(truth, probabilities)
    draw = _within_class(truth, np.random.default_rng(seed))
    return np.fromiter((score(draw()) for _ in range(n_resamples)), np.float64, n_resamples)


def _within_class(truth: Truth, generator: np.random.Generator) -> Callable[[], Floats]:
    """Return a function that draws one resample: (N,) how often each row came; each class keeps its size."""
    order = np.argsort(truth, kind="stable")
    sizes = np.bincount(truth)
    starts = np.cumsum(sizes) - sizes
    low, high = np.repeat(starts, sizes), np.repeat(starts + sizes, sizes)

    def draw() -> Floats:
        return np.bincount(order[generator.integers(low, high)], minlength=len(truth)).astype(np.float64)

    return draw
