"""Finished runs that tests make without training: rows with a truth, folds, a phylum, and models of a given skill."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from submissions.matched import Matched

PHYLA = ("arthropoda", "chordata")


def made_matched(
    skills: tuple[float, ...] = (1.0, 1.5, 2.0), n_rows: int = 600, n_classes: int = 6, n_folds: int = 5, seed: int = 0
) -> Matched:
    """Return runs over made rows; the logit of the true class stands out by a run's skill, class c is of phylum c % 2."""
    random = np.random.default_rng(seed)
    truth = random.permutation(np.arange(n_rows) % n_classes)
    test_truth = np.arange(2 * n_classes) % n_classes
    return Matched(
        names=[f"run{i}" for i in range(len(skills))],
        classes=[f"class{c}" for c in range(n_classes)],
        oof=[told(truth, skill, n_classes, random) for skill in skills],
        test=[told(test_truth, skill, n_classes, random) for skill in skills],
        truth=truth,
        fold=random.permutation(np.arange(n_rows) % n_folds),
        is_counted=np.ones(n_rows, bool),
        condition=np.array([PHYLA[c % 2] for c in truth], dtype=object),
        test_condition=np.array([PHYLA[c % 2] for c in test_truth], dtype=object),
    )


def told(truth: np.ndarray, skill: float, n_classes: int, random: np.random.Generator) -> np.ndarray:
    """Return (N, C) float32 probabilities of a model of that skill."""
    logits = random.normal(size=(len(truth), n_classes))
    logits[np.arange(len(truth)), truth] += skill
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def spoil_fold(matched: Matched, k: int, seed: int = 99) -> Matched:
    """Return the same runs with answers, phyla and predictions of the rows of fold k replaced by others."""
    random = np.random.default_rng(seed)
    rows = matched.fold == k
    truth, condition = matched.truth.copy(), matched.condition.copy()
    truth[rows] = random.integers(0, matched.n_classes, rows.sum())
    condition[rows] = "mollusca"
    tables = [table.copy() for table in matched.oof]
    for table in tables:
        table[rows] = random.dirichlet(np.ones(matched.n_classes), rows.sum())
    return replace(matched, oof=tables, truth=truth, condition=condition)
