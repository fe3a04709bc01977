"""Stacking: one coefficient a run and one bias a class on the logarithms of probabilities, fitted by maximum likelihood."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from comp.metrics import Floats, Metric
from submissions.matched import Matched
from submissions.rules import BLOCK, Rule, log_of, softmax

PENALTY = 1.0  # of squared distance from the equal mean of logarithms without bias, in units of one row's loss
ITERATIONS = 100


def stack(matched: Matched, fitted: Sequence[np.ndarray], metric: Metric) -> list[Rule]:
    """Return for each set of rows the coefficients and biases of least penalised log-loss on them.

    Coefficients are not negative; the penalty draws them towards 1 / R and biases towards 0. A class that no row seen has (group
    folds leave some out) is left out of the likelihood and gets the mean bias of the others: rows cannot tell that it is rare
    when they were chosen without it. What is fitted is the log-loss whatever the metric: it is smooth and uses every row.

    Args:
        fitted: (N,) bool for each fit: the rows that it may see. It sees no others.

    Source: Wolpert, "Stacked generalization" (1992); Breiman, "Stacked regressions" (1996) for coefficients of one sign.
    """
    return [_fit(matched, np.flatnonzero(rows)) for rows in fitted]


def _fit(matched: Matched, rows: np.ndarray) -> Rule:
    from scipy.optimize import minimize

    n_runs, n_classes = len(matched.names), matched.n_classes
    start = np.concatenate([np.full(n_runs, 1 / n_runs), np.zeros(n_classes)])
    is_present = np.bincount(matched.truth[rows], minlength=n_classes) > 0
    bounds = [(0.0, None)] * n_runs + [(None, None)] * n_classes

    def loss(point: Floats) -> tuple[float, Floats]:
        value, slope = _loss(matched, rows, point, is_present)
        away = point - start
        return value + PENALTY * float((away**2).sum()), slope + 2 * PENALTY * away

    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": ITERATIONS})
    weights, bias = found.x[:n_runs], found.x[n_runs:]
    bias[~is_present] = bias[is_present].mean()
    return Rule("stacking", "log", tuple(map(float, weights)), tuple(map(float, bias)))


def _loss(matched: Matched, rows: np.ndarray, point: Floats, is_present: np.ndarray) -> tuple[float, Floats]:
    """Return the summed log-loss over rows among the classes that are present, and its slope along coefficients and biases."""
    n_runs = len(matched.names)
    value, slope = 0.0, np.zeros(len(point))
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        logs = [log_of(table[block]) for table in matched.oof]
        logits = np.tile(point[n_runs:], (len(block), 1))
        for weight, log in zip(point[:n_runs], logs, strict=True):
            logits += weight * log
        logits[:, ~is_present] = -np.inf
        error = softmax(logits)
        true = np.arange(len(block)), matched.truth[block]
        value -= float(np.log(np.maximum(error[true], np.finfo(np.float64).tiny)).sum())
        error[true] -= 1
        slope[:n_runs] += [float((error * log).sum()) for log in logs]
        slope[n_runs:] += error.sum(axis=0)
    return value, slope
