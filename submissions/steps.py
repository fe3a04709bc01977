"""The steps of post-processing, each a fit to a few numbers and a function of them: what is known, how sure, how frequent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from comp.metrics import Floats, Metric
from submissions.matched import Matched
from submissions.phylum import decode, facts_of, learn
from submissions.rules import SMALLEST, log_of, softmax

TEMPERATURES = (0.2, 5.0)
TAUS = (0.25, 0.5, 0.75, 1.0)
OFFSETS = (-0.8, -0.4, -0.2, 0.2, 0.4, 0.8)
FLOORS = (1e-6, 1e-5, 1e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2)

Facts = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Sight:
    """What a fit may see: probabilities (n, C), truth (n,) and phylum (n,) of its own rows, and the metric."""

    table: Floats
    truth: np.ndarray
    condition: np.ndarray
    classes: list[str]
    metric: Metric

    def score(self, table: Floats) -> float:
        """Return the metric of another table of the same rows."""
        return self.metric.prepare(self.truth, table)(np.ones(len(self.truth)))

    def best(self, facts: list[Facts], apply: Callable[[Facts, Floats], Floats]) -> Facts:
        """Return the facts that score best; of equals, the first."""
        values = [self.score(apply(one, self.table)) for one in facts]
        return facts[values.index(max(values) if self.metric.direction == "higher" else min(values))]


def sight(matched: Matched, table: Floats, rows: np.ndarray, metric: Metric) -> Sight:
    """Return the part of a table that a fit on `rows` (N,) bool may see."""
    return Sight(table[rows], matched.truth[rows], matched.condition[rows], matched.classes, metric)


def fit_decode(seen: Sight) -> Facts | None:
    """Learn the phylum of each class; None where no row has one, or the map is no function."""
    learnt = learn(seen.truth, seen.condition, seen.classes)
    if learnt.contradictions or not learnt.phylum_of:
        return None
    return facts_of(learnt, seen.truth, len(seen.classes))


def fit_temperature(seen: Sight) -> Facts | None:
    """Find the temperature of least log-loss; None where the metric sees labels only, which no temperature changes.

    Source: Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017).
    """
    from scipy.optimize import minimize_scalar

    if seen.metric.of_labels:
        return None
    logs, true = log_of(seen.table).astype(np.float64), (np.arange(len(seen.truth)), seen.truth)

    def loss(log_temperature: float) -> float:
        return float(-np.log(np.maximum(softmax(logs / np.exp(log_temperature))[true], SMALLEST)).mean())

    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded")
    return {"temperature": float(np.exp(found.x))}


def temper(facts: Facts, table: Floats) -> Floats:
    """Return probabilities to the power of 1 / temperature, renormalised."""
    return softmax(log_of(table).astype(np.float64) / facts["temperature"]).astype(np.float32)


def fit_prior(seen: Sight) -> Facts | None:
    """Find how far the shares of the classes are taken out of the probabilities, from a quarter to all of it.

    Source: Menon et al., "Long-tail learning via logit adjustment" (ICLR 2021), its post-hoc form.
    """
    shares = np.bincount(seen.truth, minlength=len(seen.classes)) / len(seen.truth)
    # rows that were chosen without a class (group folds leave some out) cannot tell that it is rare: it is moved like the mean
    shares[shares == 0] = np.exp(np.log(shares[shares > 0]).mean())
    return seen.best([{"tau": tau, "shares": [float(share) for share in shares]} for tau in TAUS], adjust_prior)


def adjust_prior(facts: Facts, table: Floats) -> Floats:
    """Return probabilities divided by the shares of their classes to the power of tau, renormalised."""
    return softmax(log_of(table) - facts["tau"] * np.log(facts["shares"])).astype(np.float32)


def fit_bias(seen: Sight) -> Facts | None:
    """Find one bias a class, class after class from the most frequent on, each the best of a few; label metrics only.

    A class that no row seen has keeps none: its labels would all be wrong here, and need not be elsewhere.
    """
    if seen.metric.of_labels is None:
        return None
    logits = log_of(seen.table).astype(np.float64)
    bias = np.zeros(len(seen.classes))
    best = seen.score(logits)
    counts = np.bincount(seen.truth, minlength=len(bias))
    for index in np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)].tolist():
        offset, best = _best_offset(seen, logits, index, best)
        bias[index] = offset
        logits[:, index] += offset
    return {"bias": [float(value) for value in bias]}


def _best_offset(seen: Sight, logits: Floats, index: int, best: float) -> tuple[float, float]:
    """Return which offset to a class' logits scores best, and its score; 0 where none is better than none.

    Other classes keep their order, so a row's label is this class or the best of the others.
    """
    assert seen.metric.of_labels is not None
    own = logits[:, index].copy()
    logits[:, index] = -np.inf
    other_labels = logits.argmax(axis=1)
    others = logits[np.arange(len(own)), other_labels]
    logits[:, index] = own
    offset = 0.0
    for each in OFFSETS:
        labels = np.where(own + each > others, index, other_labels)
        value = seen.metric.of_labels(seen.truth, labels, len(seen.classes))(np.ones(len(labels)))
        if seen.metric.is_better(value, best):
            offset, best = each, value
    return offset, best


def add_bias(facts: Facts, table: Floats) -> Floats:
    """Return probabilities with one bias a class added to their logarithms, renormalised."""
    return softmax(log_of(table) + np.asarray(facts["bias"])).astype(np.float32)


def fit_clip(seen: Sight) -> Facts | None:
    """Find the floor of least log-loss; None for every other metric."""
    if seen.metric.name != "log_loss":
        return None
    return seen.best([{"floor": floor} for floor in FLOORS], clip)


def clip(facts: Facts, table: Floats) -> Floats:
    """Return probabilities none of which is below the floor, renormalised."""
    raised = np.maximum(table.astype(np.float64), facts["floor"])
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)


@dataclass(frozen=True)
class Kind:
    """A step that can be tried: its fit, what applies it, and what its facts are in a few words."""

    fit: Callable[[Sight], Facts | None]
    apply: Callable[[Facts, Floats, np.ndarray], Floats]
    words: Callable[[Facts], str]


KINDS: dict[str, Kind] = {  # in the order in which they are tried and applied
    "decode": Kind(fit_decode, decode, lambda facts: f"{len(set(facts['phylum']) - {''})} phyla"),
    "temperature": Kind(fit_temperature, lambda f, p, _: temper(f, p), lambda f: f"T = {f['temperature']:.2f}"),
    "prior correction": Kind(fit_prior, lambda f, p, _: adjust_prior(f, p), lambda f: f"tau = {f['tau']}"),
    "bias": Kind(fit_bias, lambda f, p, _: add_bias(f, p), lambda f: f"{np.count_nonzero(f['bias'])} classes"),
    "clipping": Kind(fit_clip, lambda f, p, _: clip(f, p), lambda f: f"at {f['floor']:g}"),
}
