"""The leaderboard's metrics: true classes and probabilities in, one number out.

A metric is `prepare(truth, probabilities) -> score(weights)`: what does not depend on the rows' weights (the labels,
the losses, the sorted order) is computed once, so that each resample of the bootstrap, which is nothing but other
weights, is cheap: 0.2 ms for the macro F1 of 12,000 rows and 202 classes, 5 ms in scikit-learn. Conventions follow
scikit-learn 1.9, and tests hold every metric to it. Sums are NumPy's, never a dot product: BLAS shares those among
threads, and then the last digits depend on how many there are. A new metric is one more `prepare` and one line in
METRICS.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from comp.errors import BadInput, Refused

Truth: TypeAlias = npt.NDArray[np.integer[Any]]
Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Score: TypeAlias = Callable[[Floats], float]

SUM_TOLERANCE = 1e-3  # room for the rounding of float32 and of averages over many runs, not for a wrong softmax


@dataclass(frozen=True)
class Metric:
    """A number that submissions are ranked by.

    Rows of weight 0 count as absent, everywhere: a class that only they hold is not in a macro average. (scikit-learn
    counts such a class as 0 in macro F1; on rows repeated by their weight, which is what a weight means, both agree.)

    Attributes:
        name: Its key in METRICS, as a competition names it.
        direction: Which way is better.
        prepare: From truth (N,) and probabilities (N, C), both unchecked, to the score under weights (N,). It is for
            whoever scores the same rows under many weights; all others call `function`, which checks.
        of_labels: The same from truth (N,), labels (N,) and the number of classes, where the metric sees labels only:
            for whoever has the labels already; else None.
    """

    name: str
    direction: Literal["higher", "lower"]
    prepare: Callable[[Truth, Floats], Score]
    of_labels: Callable[[Truth, Truth, int], Score] | None = None

    def is_better(self, one: float, other: float) -> bool:
        """Return whether the first score is the better one; equal scores are not."""
        return one > other if self.direction == "higher" else one < other

    def gain(self, new: float, old: float) -> float:
        """Return by how much a score is better than another, positive whichever way is better."""
        return new - old if self.direction == "higher" else old - new

    def function(self, truth: Truth, probabilities: Floats, sample_weight: npt.NDArray[Any] | None = None) -> float:
        """Return the score of probabilities against the truth.

        Args:
            truth: (N,) true class indices, 0 to C - 1.
            probabilities: (N, C), columns in the order of the class indices.
            sample_weight: (N,) how often each row counts, 0 or more; None counts each once.

        Raises:
            BadInput: If shapes or class indices do not fit, or no row counts.
            Refused: If a row is no probabilities (see `check_probabilities`), or the metric is undefined on these rows.
        """
        truth = checked(self.name, truth, probabilities)
        weights = np.ones(len(truth)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        if weights.shape != truth.shape or not (np.isfinite(weights) & (weights >= 0)).all() or weights.sum() == 0:
            raise BadInput(
                f"{self.name}: expected {len(truth)} weights, finite, 0 or more and not all 0, "
                f"got shape {weights.shape}; give one a row"
            )
        return self.prepare(truth, probabilities)(weights)


def metric(name: str, classes: Sequence[str] | None = None) -> Metric:
    """Return the metric of that name; `top<k>` is there for every k from 1 on.

    Args:
        classes: (C,) names of the classes in the order of their indices: `qwk` measures between the numbers that they are.
            Whoever scores with names gives them; None stands for 0, 1, 2, ...

    Raises:
        BadInput: If there is none, the message names those there are; or if a class of `qwk` is no number.
    """
    if name == "qwk" and classes is not None:
        return _label_metric(name, _kappa_between(_as_grades(classes)))
    if name in METRICS:
        return METRICS[name]
    top = re.fullmatch(r"top([1-9][0-9]{0,8})", name)
    if top is None:
        raise BadInput(f"metric {name!r} is unknown: expected one of {', '.join(METRICS)}, or top<k> of another k")
    return _top_metric(int(top[1]))


def _as_grades(classes: Sequence[str]) -> Floats:
    """Return (C,) the numbers that class names are."""
    grades = []
    for one in classes:
        try:
            grades.append(float(one))
        except ValueError:
            grades.append(math.nan)
        if not math.isfinite(grades[-1]):
            raise BadInput(
                f"metric qwk: class {one!r} is no number, and it measures how far grades are apart; name the grades 0, 1, 2 "
                "and so on, or take another metric"
            )
    return np.array(grades)


def check_probabilities(probabilities: Floats, what: str) -> None:
    """Refuse what is not one row of probabilities a photo; nothing is clipped or scaled to fit.

    Args:
        probabilities: (N, C), each row to be 0 or more and to sum to 1 within 0.001.
        what: Whose probabilities they are, the subject of the message.

    Raises:
        Refused: If it is no such table; the message names the first row (from 0) that holds NaN or a negative number,
            or sums to something else.
    """
    if probabilities.ndim != 2 or probabilities.shape[1] == 0 or probabilities.dtype.kind != "f":
        got = f"{probabilities.shape} {probabilities.dtype}"
        raise Refused(f"{what}: expected floats, one row a photo and one column a class, got {got}; predict again")
    with np.errstate(invalid="ignore"):  # infinities of both signs; their NaN is caught below
        lowest, total = probabilities.min(axis=1), probabilities.sum(axis=1, dtype=np.float64)
        bad = ~((lowest >= 0) & (np.abs(total - 1) <= SUM_TOLERANCE))
    if bad.any():
        row = int(bad.argmax())
        raise Refused(
            f"{what}: expected probabilities of 0 or more that sum to 1, got lowest {lowest[row]:.6g} and sum "
            f"{total[row]:.6g} in row {row} ({int(bad.sum())} such of {len(bad)}); predict again"
        )


def checked(name: str, truth: Truth, probabilities: Floats) -> Truth:
    """Return the truth as the integers that NumPy indexes with, or refuse it or the probabilities."""
    check_probabilities(probabilities, f"{name}'s probabilities")
    n_rows, n_classes = probabilities.shape
    if truth.shape != (n_rows,) or n_rows == 0 or truth.dtype.kind not in "iu":
        raise BadInput(
            f"{name}: expected one true class index for each of {n_rows} rows (at least one), "
            f"got shape {truth.shape} {truth.dtype}; align both by id"
        )
    if truth.min() < 0 or truth.max() >= n_classes:
        raise BadInput(
            f"{name}: expected true class indices 0 to {n_classes - 1}, got {truth.min()} to {truth.max()}; "
            "leave unlabelled rows out"
        )
    return truth.astype(np.intp, copy=False)


@dataclass(frozen=True)
class _Tally:
    """What the label metrics need of a weighted confusion matrix: its diagonal and its margins, each (C,)."""

    hits: Floats
    truth: Floats
    labels: Floats

    def f1(self) -> Floats:
        """Return F1 by class, 0 where it was never hit, and 0 for a class that is in neither margin."""
        return _ratio(2 * self.hits, self.truth + self.labels)


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)


def _label_metric(name: str, of_labels: Callable[[Truth, Truth, int], Score]) -> Metric:
    """Return a metric that sees labels only: the largest probability's class, the first of equals."""

    def prepare(truth: Truth, probabilities: Floats) -> Score:
        return of_labels(truth, probabilities.argmax(axis=1), probabilities.shape[1])

    return Metric(name, "higher", prepare, of_labels)


def _tallied(of_tally: Callable[[_Tally], float]) -> Callable[[Truth, Truth, int], Score]:
    """Return the `of_labels` of a metric that needs no more of the confusion matrix than its diagonal and margins."""

    def of_labels(truth: Truth, labels: Truth, n_classes: int) -> Score:
        is_hit = labels == truth

        def score(weights: Floats) -> float:
            hits = np.bincount(truth, weights * is_hit, n_classes).astype(np.float64)
            support = np.bincount(truth, weights, n_classes).astype(np.float64)
            labelled = np.bincount(labels, weights, n_classes).astype(np.float64)
            return of_tally(_Tally(hits, support, labelled))

        return score

    return of_labels


def _kappa(truth: Floats, labels: Floats) -> Score:
    """Return Cohen's kappa with quadratic weights: 1 minus the mean squared distance over that of a chance labelling.

    Where truth and labels are one and the same grade throughout, there is no disagreement to be expected, and the score is 1.

    Args:
        truth, labels: (N,) grades, as numbers.

    Source: Cohen, "Weighted kappa" (1968).
    """
    squares = (truth - labels) ** 2

    def score(weights: Floats) -> float:
        total = weights.sum()
        mean_truth, mean_labels = (weights * truth).sum() / total, (weights * labels).sum() / total
        spread = (weights * (truth - mean_truth) ** 2).sum() + (weights * (labels - mean_labels) ** 2).sum()
        expected = spread / total + (mean_truth - mean_labels) ** 2
        return float(1 - (weights * squares).sum() / total / expected) if expected > 0 else 1.0

    return score


def _kappa_between(grades: Floats | None) -> Callable[[Truth, Truth, int], Score]:
    """Return the `of_labels` of kappa between these grades (C,) of the classes; None: each class is its index.

    It is the numbers that count, not the places: `10` is sorted before `2`, and a grade may have no class here.
    """

    def of_labels(truth: Truth, labels: Truth, n_classes: int) -> Score:
        numbers = np.arange(n_classes, dtype=np.float64) if grades is None else grades
        return _kappa(numbers[truth], numbers[labels])

    return of_labels


def _accuracy(tally: _Tally) -> float:
    return float(tally.hits.sum() / tally.truth.sum())


def _macro_f1(tally: _Tally) -> float:
    """Average over the classes that are in the truth or in the labels, as scikit-learn does."""
    return float(tally.f1()[(tally.truth > 0) | (tally.labels > 0)].mean())


def _weighted_f1(tally: _Tally) -> float:
    return float((tally.f1() * tally.truth).sum() / tally.truth.sum())


def _balanced_accuracy(tally: _Tally) -> float:
    """Average recall over the classes that are in the truth, as scikit-learn does."""
    is_present = tally.truth > 0
    return float((tally.hits[is_present] / tally.truth[is_present]).mean())


def _row_metric(of_rows: Callable[[Truth, Floats], Floats]) -> Callable[[Truth, Floats], Score]:
    """Return the `prepare` of a metric that is the weighted mean of one number a row."""

    def prepare(truth: Truth, probabilities: Floats) -> Score:
        values = of_rows(truth, probabilities)
        return lambda weights: float((values * weights).sum() / weights.sum())

    return prepare


def _losses(truth: Truth, probabilities: Floats) -> Floats:
    """Return (N,) minus the log of the true class' probability, clipped by the dtype's epsilon as scikit-learn does."""
    epsilon = np.finfo(probabilities.dtype).eps
    of_truth = probabilities[np.arange(len(truth)), truth]
    return -np.log(np.clip(of_truth, epsilon, 1 - epsilon).astype(np.float64))


def _top(k: int) -> Callable[[Truth, Floats], Floats]:
    """Return a function to (N,) 1.0 where the true class is among the k largest; of equals the later is larger.

    So breaks scikit-learn ties; the label metrics take the first of equals, as NumPy does.
    """

    def is_among(truth: Truth, probabilities: Floats) -> Floats:
        of_truth = probabilities[np.arange(len(truth)), truth][:, None]
        is_later = np.arange(probabilities.shape[1]) > truth[:, None]
        n_before = ((probabilities > of_truth) | ((probabilities == of_truth) & is_later)).sum(axis=1)
        is_hit: npt.NDArray[np.bool_] = n_before < k
        return is_hit.astype(np.float64)

    return is_among


def _top_metric(k: int) -> Metric:
    """Return the share of rows whose true class is among the k most probable."""
    return Metric(f"top{k}", "higher", _row_metric(_top(k)))


def _prepare_auc(truth: Truth, probabilities: Floats) -> Score:
    """Return the area under the ROC curve: of column 1 for two classes, else the mean of each class against the rest.

    Averaged are the classes that have rows of weight both in and out of them; the others are NaN to scikit-learn.
    """
    classes = [1] if probabilities.shape[1] == 2 else np.unique(truth).tolist()
    areas = [_area(truth == each, probabilities[:, each]) for each in classes]

    def score(weights: Floats) -> float:
        values = np.array([area(weights) for area in areas])
        if np.isnan(values).all():
            raise Refused("auc: expected rows of at least two classes, got one; choose another metric or more rows")
        return float(np.nanmean(values))

    return score


def _area(is_positive: npt.NDArray[np.bool_], scores: Floats) -> Score:
    """Return the share of (positive, negative) pairs in which the positive scores higher; a tie counts half.

    Source: Mann and Whitney, "On a Test of Whether one of Two Random Variables is Stochastically Larger" (1947):
    their U over the number of pairs is the area under the ROC curve.
    """
    positives, negatives = np.flatnonzero(is_positive), np.flatnonzero(~is_positive)
    negatives = negatives[np.argsort(scores[negatives], kind="stable")]
    first = np.searchsorted(scores[negatives], scores[positives], "left")
    last = np.searchsorted(scores[negatives], scores[positives], "right")

    def area(weights: Floats) -> float:
        below = np.concatenate(([0.0], np.cumsum(weights[negatives])))
        weight = weights[positives]
        wins = (weight * (below[first] + below[last])).sum() / 2
        pairs = weight.sum() * below[-1]
        return float(wins / pairs) if pairs > 0 else float("nan")

    return area


METRICS: dict[str, Metric] = {
    each.name: each
    for each in (
        _label_metric("accuracy", _tallied(_accuracy)),
        _label_metric("macro_f1", _tallied(_macro_f1)),
        _label_metric("weighted_f1", _tallied(_weighted_f1)),
        _label_metric("balanced_accuracy", _tallied(_balanced_accuracy)),
        _label_metric("qwk", _kappa_between(None)),
        Metric("log_loss", "lower", _row_metric(_losses)),
        Metric("auc", "higher", _prepare_auc),
        _top_metric(5),
    )
}
