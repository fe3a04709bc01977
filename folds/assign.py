"""Which fold each train row is in: stratified by target; rows of one group, and twins, never straddle folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

ASSIGN_VERSION = 1  # raised when other folds come out
HOLDOUT = -1
HOLDOUT_PARTS = 10


def deal(ids: Sequence[str], labels: Sequence[str], clusters: np.ndarray, n_parts: int, seed: int) -> np.ndarray:
    """Deal rows into parts of equal make-up, whole clusters at a time.

    The largest clusters are dealt first, each to the part that has the smallest share of its classes so far; so where clusters
    lie within one class, each class has in each part its share, within one row plus the size of its largest cluster. The order
    of the rows changes nothing.

    Args:
        ids: (N,) unique.
        labels: (N,) the class of each row.
        clusters: (N,) numbers; rows of one number go to one part.
        n_parts: How many parts.
        seed: Breaks ties.

    Returns:
        (N,) int, the part of each row, 0 to n_parts - 1.
    """
    order = np.argsort(np.asarray(ids, dtype=str), kind="stable")
    classes, label_index = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    members = _members(clusters, order)
    random = np.random.default_rng(seed)
    shuffled = [members[i] for i in random.permutation(len(members))]
    shuffled.sort(key=len, reverse=True)  # stable: ties stay shuffled
    class_sizes = np.bincount(label_index, minlength=len(classes))
    shares = np.zeros((n_parts, len(classes)))
    totals = np.zeros(n_parts)
    parts = np.empty(len(order), np.int64)
    rank = random.permutation(n_parts)
    for rows in shuffled:
        counts = Counter(label_index[rows].tolist())
        columns = list(counts)
        weights = np.array([counts[column] / class_sizes[column] for column in columns])
        part = min(range(n_parts), key=lambda p: (round(float(shares[p, columns] @ weights), 12), totals[p], rank[p]))
        parts[rows] = part
        shares[part, columns] += weights
        totals[part] += len(rows)
    return parts


def _members(clusters: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each cluster, clusters in the order of their first id."""
    found: dict[int, list[int]] = {}
    for row in order.tolist():
        found.setdefault(int(clusters[row]), []).append(row)
    return [np.array(rows) for rows in found.values()]


def assign(
    ids: Sequence[str], labels: Sequence[str], clusters: np.ndarray, n_folds: int, seed: int, has_holdout: bool
) -> pd.DataFrame:
    """Return the fold table: `id`, `fold`; a hold-out of a tenth, which no training touches, has fold -1.

    The hold-out takes no row of a class that would be left with fewer rows than folds.

    Args:
        ids: (N,) unique.
        labels: (N,) the class of each row.
        clusters: (N,) numbers; rows of one number (a group, twins) stay together.
        n_folds: Number of folds, 2 or more.
        seed: The fold seed of the competition.
        has_holdout: Whether a tenth stands in for the test set.
    """
    fold = np.full(len(ids), HOLDOUT, np.int64)
    inside = np.ones(len(ids), bool)
    if has_holdout:
        held = deal(ids, labels, clusters, HOLDOUT_PARTS, seed) == 0
        inside = ~held | _not_to_spare(held, labels, clusters, n_folds)
    rows = np.flatnonzero(inside)
    names, kinds = np.asarray(ids, dtype=str), np.asarray(labels, dtype=str)
    fold[rows] = deal(names[rows].tolist(), kinds[rows].tolist(), clusters[rows], n_folds, seed + 1)
    return pd.DataFrame({"id": pd.Series(list(ids), dtype=str), "fold": fold})


def _not_to_spare(held: np.ndarray, labels: Sequence[str], clusters: np.ndarray, n_folds: int) -> np.ndarray:
    """Return (N,) bool, rows of clusters that stay in the folds: without them a class would have fewer rows than folds."""
    kinds = np.asarray(labels, dtype=str)
    left, counts = np.unique(kinds[~held], return_counts=True)
    is_short = ~np.isin(kinds, left[counts >= n_folds])
    return np.isin(clusters, clusters[is_short])


def clusters_of(twin_clusters: np.ndarray, groups: Sequence[str] | None) -> np.ndarray:
    """Return numbers that are equal for rows that must stay together: twins, rows of one group, and chains of both."""
    from comp.twins import join

    if groups is None:
        return twin_clusters
    first: dict[tuple[str, object], int] = {}
    pairs = []
    for row, (twin, group) in enumerate(zip(twin_clusters.tolist(), groups, strict=True)):
        for key in (("twin", twin), ("group", group)):
            pairs.append((first.setdefault(key, row), row))
    return join(len(twin_clusters), pairs)


def classes_left_out(labels: Sequence[str], clusters: np.ndarray, n_folds: int) -> list[str]:
    """Return the classes whose rows form fewer clusters than folds: they cannot be in every fold, so no score counts them."""
    frame = pd.DataFrame({"label": list(labels), "cluster": clusters})
    n_clusters = frame.groupby("label")["cluster"].nunique()
    return sorted(n_clusters.index[n_clusters < n_folds])
