"""Greedy selection with replacement: the run that helps most is added, again and again; several fits walk in step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from comp.metrics import Floats, Metric, Score
from submissions.matched import Matched
from submissions.rules import BLOCK, Rule

STEPS = 25
BAG_SHARE = 0.5  # of the runs that a bag may choose from
BAG_SEED = 2004


@dataclass
class _Walk:
    """One fit on its way: which rows it sees, which runs it may take, what it has taken, and its best so far."""

    weights: Floats
    allowed: np.ndarray
    counts: np.ndarray
    best_counts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    best: float = float("nan")

    def step(self, scores: Sequence[Score | None], metric: Metric) -> None:
        """Take the run that scores best when added; of equals, the first."""
        found = [
            (score(self.weights), run) for run, score in enumerate(scores) if score is not None and self.allowed[run]
        ]
        value, run = found[0]
        for other, index in found[1:]:
            if metric.is_better(other, value):
                value, run = other, index
        self.counts[run] += 1
        if np.isnan(self.best) or metric.is_better(value, self.best):
            self.best, self.best_counts = value, self.counts.copy()


def greedy(
    matched: Matched, fitted: Sequence[np.ndarray], metric: Metric, n_steps: int = STEPS, n_bags: int = 0
) -> list[Rule]:
    """Return for each set of rows the weights that greedy selection with replacement finds on them.

    The walk starts from nothing, takes `n_steps` runs, and the best of the means it passed is what counts. Walks that have
    taken the same runs so far share all work on predictions: in the first steps those of all folds do.

    Args:
        fitted: (N,) bool for each fit: the rows that it may see. It sees no others.
        n_bags: How many walks, each through a random half of the runs, are averaged; 0: one walk through all.

    Source: Caruana et al., "Ensemble Selection from Libraries of Models" (ICML 2004), sections 2.1 to 2.3.
    """
    bags = _bags(len(matched.names), n_bags)
    walks = [
        [_Walk(rows.astype(np.float64), bag, np.zeros(len(matched.names), np.int64)) for bag in bags] for rows in fitted
    ]
    for _ in range(n_steps):
        _step_all([walk for fit in walks for walk in fit], matched, metric)
    method = f"greedy, {n_bags} bags" if n_bags else "greedy"
    return [Rule(method, "mean", _mean_weights(fit)) for fit in walks]


def _bags(n_runs: int, n_bags: int) -> list[np.ndarray]:
    """Return which runs each bag may take: all of them in the one bag of a walk without bags."""
    if not n_bags:
        return [np.ones(n_runs, bool)]
    random = np.random.default_rng(BAG_SEED)
    size = max(1, round(BAG_SHARE * n_runs))
    return [np.isin(np.arange(n_runs), random.permutation(n_runs)[:size]) for _ in range(n_bags)]


def _mean_weights(walks: Sequence[_Walk]) -> tuple[float, ...]:
    shares = [walk.best_counts / walk.best_counts.sum() for walk in walks]
    return tuple(float(share) for share in np.mean(shares, axis=0))


def _step_all(walks: Sequence[_Walk], matched: Matched, metric: Metric) -> None:
    """Move every walk on by one run; those at the same place are scored together."""
    places: dict[tuple[int, ...], list[_Walk]] = defaultdict(list)
    for walk in walks:
        places[tuple(walk.counts.tolist())].append(walk)
    for counts, together in places.items():
        wanted = np.any([walk.allowed for walk in together], axis=0)
        scores = _scores_with_one_more(matched, np.array(counts), wanted, metric)
        for walk in together:
            walk.step(scores, metric)


def _scores_with_one_more(
    matched: Matched, counts: np.ndarray, wanted: np.ndarray, metric: Metric
) -> list[Score | None]:
    """Return for each run wanted the score, under whatever weights of rows, of the mean with that run added."""
    if metric.of_labels is None:
        return [
            metric.prepare(matched.truth, _mean_with(matched, counts, run)) if wanted[run] else None
            for run in range(len(counts))
        ]
    labels = _labels_with_one_more(matched, counts, wanted)
    return [
        metric.of_labels(matched.truth, labels[run], matched.n_classes) if wanted[run] else None
        for run in range(len(counts))
    ]


def _mean_with(matched: Matched, counts: np.ndarray, run: int) -> Floats:
    total = matched.oof[run].astype(np.float32)
    for table, count in zip(matched.oof, counts, strict=True):
        if count:
            total += np.float32(count) * table
    return np.asarray(total / np.float32(counts.sum() + 1))


def _labels_with_one_more(matched: Matched, counts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return (R, N) labels of the sum of what is taken and one run more; rows of runs not wanted are not set.

    Block by block, so that the sum stays in the processor's cache while every run is added to it in turn.
    """
    labels = np.zeros((len(counts), len(matched.truth)), np.int64)
    room = np.empty((BLOCK, matched.n_classes), np.float32)
    for start in range(0, len(matched.truth), BLOCK):
        block = slice(start, start + BLOCK)
        base = np.zeros_like(room[: len(matched.truth[block])])
        for table, count in zip(matched.oof, counts, strict=True):
            if count:
                base += np.float32(count) * table[block]
        for run in np.flatnonzero(wanted):
            added = np.add(base, matched.oof[run][block], out=room[: len(base)])
            labels[run, block] = added.argmax(axis=1)
    return labels
