"""How several runs become one, as data: a rule is what the manifest records, and `blend` is all that it takes to follow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from comp.metrics import Floats

BLOCK = 2048  # rows at a time: so much of one run stays in a processor's cache, and memory does not grow with the runs
SMALLEST = 1e-7  # below it a probability's logarithm says more of float32 than of the photo


@dataclass(frozen=True)
class Rule:
    """How the tables of several runs become one table.

    Attributes:
        method: Name in the table of methods.
        blend: What is averaged: probabilities, the reciprocals of their ranks (of the shares of rows below them, with two
            classes), or their logarithms (`log`: sum, bias, softmax).
        weights: One coefficient a run.
        bias: One a class, added to the logits (`log`); empty: none.
        quantiles: For each run ascending probabilities of the second class, between which ranks are read off (two
            classes, `rank`); empty: none.
    """

    method: str
    blend: Literal["mean", "rank", "log"]
    weights: tuple[float, ...]
    bias: tuple[float, ...] = ()
    quantiles: tuple[tuple[float, ...], ...] = field(default=(), repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the rule as plain JSON values; what is empty is left out."""
        return {name: value for name, value in asdict(self).items() if value != ()}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Rule:
        """Return the rule that `as_dict` gave."""
        quantiles = tuple(tuple(run) for run in facts.get("quantiles", ()))
        bias = tuple(facts.get("bias", ()))
        return cls(facts["method"], facts["blend"], tuple(facts["weights"]), bias, quantiles)


def blend(rule: Rule, tables: Sequence[Floats], rows: np.ndarray | None = None) -> Floats:
    """Return (N, C) float32 probabilities: the tables of the runs as one, after the rule.

    Every number depends on its own row only, so a part of the rows gives a part of the result, to the last bit.

    Args:
        tables: One (N, C) table a run, rows and columns in the same order.
        rows: Indices of the rows wanted; None takes all.
    """
    wanted = np.arange(len(tables[0])) if rows is None else rows
    used = [run for run, weight in enumerate(rule.weights) if weight] or [0]
    out = np.empty((len(wanted), tables[0].shape[1]), np.float32)
    for start in range(0, len(wanted), BLOCK):
        block = slice(start, start + BLOCK)
        out[block] = _BLENDS[rule.blend](rule, {run: tables[run][wanted[block]] for run in used})
    return out


Parts = Mapping[int, Floats]  # a block of rows of each run that counts, by the run's index


def _sum(rule: Rule, parts: Parts) -> Floats:
    """Return the weighted sum in float64, added run by run: no dot product, whose last digits depend on threads."""
    total = np.zeros(next(iter(parts.values())).shape)
    for run, part in parts.items():
        total += rule.weights[run] * part.astype(np.float64)
    return total


def _mean(rule: Rule, parts: Parts) -> Floats:
    return _sum(rule, parts) / sum(rule.weights)


def _rank(rule: Rule, parts: Parts) -> Floats:
    if rule.quantiles:
        return _mean(rule, {run: _shares(part, rule.quantiles[run]) for run, part in parts.items()})
    total = _sum(rule, {run: 1 / ranks(part) for run, part in parts.items()})
    return np.asarray(total / total.sum(axis=1, keepdims=True))


def _shares(part: Floats, quantiles: tuple[float, ...]) -> Floats:
    """Return (N, 2): the share of the fitted rows that the second class is less probable in, second, and the rest."""
    share = np.interp(part[:, 1], quantiles, np.linspace(0, 1, len(quantiles)))
    return np.stack([1 - share, share], axis=1)


def ranks(probabilities: Floats) -> Floats:
    """Return (N, C) the place of each class in its row, 1 for the most probable; classes that tie share the better place."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ordered = np.take_along_axis(probabilities, order, axis=1)
    is_new = np.ones(ordered.shape, bool)
    is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    places = np.arange(1, ordered.shape[1] + 1, dtype=np.int32)
    first = np.maximum.accumulate(np.where(is_new, places, 0), axis=1)
    out = np.empty(ordered.shape, np.float32)
    np.put_along_axis(out, order, first.astype(np.float32), axis=1)
    return out


def _log(rule: Rule, parts: Parts) -> Floats:
    logits = _sum(rule, {run: log_of(part) for run, part in parts.items()})
    return softmax(logits + np.asarray(rule.bias) if rule.bias else logits)


def log_of(probabilities: Floats) -> Floats:
    """Return the logarithms of probabilities, none below that of SMALLEST."""
    return np.log(np.maximum(probabilities, SMALLEST))


def softmax(logits: Floats) -> Floats:
    """Return (N, C) probabilities of logits, each row summing to 1."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


_BLENDS = {"mean": _mean, "rank": _rank, "log": _log}
