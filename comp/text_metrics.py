"""Metrics of transcripts: true and told texts in, one number out; edits are counted by rapidfuzz, on text without padding.

A metric is `prepare(truth, texts) -> score(weights)`, as in `comp.metrics`: edits are counted once, and a resample of the
bootstrap is nothing but other weights.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from comp.errors import BadInput
from comp.metrics import Floats, Score


@dataclass(frozen=True)
class TextMetric:
    """A number that transcripts are ranked by.

    Attributes:
        name: Its key in TEXT_METRICS, as a competition names it.
        direction: Which way is better.
        prepare: From N true and N told texts to the score under weights (N,).
    """

    name: str
    direction: Literal["higher", "lower"]
    prepare: Callable[[Sequence[str], Sequence[str]], Score]

    def is_better(self, one: float, other: float) -> bool:
        """Return whether the first score is the better one; equal scores are not."""
        return one > other if self.direction == "higher" else one < other

    def gain(self, new: float, old: float) -> float:
        """Return by how much a score is better than another, positive whichever way is better."""
        return new - old if self.direction == "higher" else old - new

    def function(
        self, truth: Sequence[str], texts: Sequence[str], sample_weight: npt.NDArray[Any] | None = None
    ) -> float:
        """Return the score of texts against the truth.

        Args:
            truth, texts: N texts each, row by row.
            sample_weight: (N,) how often each row counts; None counts each once.

        Raises:
            BadInput: If their numbers differ, there are none, or every true text is empty.
        """
        if len(truth) != len(texts) or not len(truth):
            raise BadInput(f"{self.name}: expected as many texts as true ones, got {len(texts)} and {len(truth)}")
        if not any(text.split() for text in truth):
            raise BadInput(
                f"{self.name}: all {len(truth)} true texts are empty; expected characters to count errors by"
            )
        weights = np.ones(len(truth)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        return self.prepare(truth, texts)(weights)


def _error_rate(parts_of: Callable[[str], Sequence[Hashable]]) -> Callable[[Sequence[str], Sequence[str]], Score]:
    """Return the `prepare` of edits over length, both summed over rows first: a long text counts for more.

    Source: Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals" (1966).
    """

    def prepare(truth: Sequence[str], texts: Sequence[str]) -> Score:
        from rapidfuzz.distance import Levenshtein

        true, told = ([parts_of(composed(text)) for text in side] for side in (truth, texts))
        edits = np.array([Levenshtein.distance(one, other) for one, other in zip(true, told, strict=True)], np.float64)
        lengths = np.array([len(one) for one in true], np.float64)

        def score(weights: Floats) -> float:
            return float((weights * edits).sum() / (weights * lengths).sum())

        return score

    return prepare


def composed(text: str) -> str:
    """Return a text whose accented letters are one character each: how they were typed is no error of reading."""
    return unicodedata.normalize("NFC", text)


def _prepare_exact(truth: Sequence[str], texts: Sequence[str]) -> Score:
    is_hit = np.array([composed(one) == composed(other) for one, other in zip(truth, texts, strict=True)], np.float64)
    return lambda weights: float((weights * is_hit).sum() / weights.sum())


TEXT_METRICS: dict[str, TextMetric] = {
    each.name: each
    for each in (
        TextMetric("cer", "lower", _error_rate(tuple)),
        TextMetric("wer", "lower", _error_rate(str.split)),
        TextMetric("exact", "higher", _prepare_exact),
    )
}


def text_metric(name: str) -> TextMetric:
    """Return the metric of transcripts of that name.

    Raises:
        BadInput: If there is none; the message names those there are.
    """
    if name not in TEXT_METRICS:
        raise BadInput(f"metric {name!r} of transcripts is unknown: expected one of {', '.join(TEXT_METRICS)}")
    return TEXT_METRICS[name]


def resampled_text_scores(
    metric: TextMetric, truth: Sequence[str], texts: Sequence[str], n_resamples: int = 1000, seed: int = 0
) -> Floats:
    """Return (n_resamples,) scores of bootstrap resamples of the rows; two tellings of one truth and seed share the draws.

    Raises:
        BadInput: As `TextMetric.function`.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    metric.function(truth, texts)
    score, generator, n_rows = metric.prepare(truth, texts), np.random.default_rng(seed), len(truth)

    def draw() -> Floats:
        return np.bincount(generator.integers(0, n_rows, n_rows), minlength=n_rows).astype(np.float64)

    return np.fromiter((score(draw()) for _ in range(n_resamples)), np.float64, n_resamples)
