"""Several runs as one: each method fitted on out-of-fold rows, judged by a nested loop over the same folds, one chosen by rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from comp.bootstrap import resampled_scores
from comp.metrics import Floats, Metric
from submissions.greedy import greedy
from submissions.matched import Matched
from submissions.rules import Rule, blend
from submissions.stack import stack

QUANTILES = 101
SINGLE, EQUAL = "best single run", "equal mean"
SIMPLE = (SINGLE, EQUAL)  # the simpler first: what is taken where nothing else is better beyond its standard error

Fit = Callable[[Matched, Sequence[np.ndarray], Metric], list[Rule]]


def best_single(matched: Matched, fitted: Sequence[np.ndarray], metric: Metric) -> list[Rule]:
    """Return for each set of rows the run that scores best on them; of equals, the first."""
    scores = [metric.prepare(matched.truth, table) for table in matched.oof]
    rules = []
    for rows in fitted:
        values = [score(rows.astype(np.float64)) for score in scores]
        best = max(values) if metric.direction == "higher" else min(values)
        rules.append(Rule(SINGLE, "mean", tuple(float(run == values.index(best)) for run in range(len(values)))))
    return rules


def equal_mean(matched: Matched, fitted: Sequence[np.ndarray], metric: Metric) -> list[Rule]:
    """Return the mean with one weight for all; nothing is fitted, so its naive and nested scores are the same."""
    return [Rule(EQUAL, "mean", (1 / len(matched.names),) * len(matched.names))] * len(fitted)


def rank_mean(matched: Matched, fitted: Sequence[np.ndarray], metric: Metric) -> list[Rule]:
    """Return the mean of ranks: of the classes of a row, or with two classes of the rows.

    With many classes a run's order of classes counts and its confidence does not; a class scores 1 at the first place, 1/2 at
    the second, so that the order among the hopeless ones says little; nothing is fitted. Two classes have no order to speak
    of, so there a row's rank among the fitted rows counts, read off their quantiles.

    Source: Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion" (SIGIR 2009), with no constant: classes are few.
    """
    weights = (1 / len(matched.names),) * len(matched.names)
    if matched.n_classes > 2:
        return [Rule("rank mean", "rank", weights)] * len(fitted)
    return [Rule("rank mean", "rank", weights, quantiles=_quantiles(matched, rows)) for rows in fitted]


def _quantiles(matched: Matched, rows: np.ndarray) -> tuple[tuple[float, ...], ...]:
    shares = np.linspace(0, 1, QUANTILES)
    return tuple(tuple(map(float, np.quantile(table[rows, 1], shares))) for table in matched.oof)


def methods(n_bags: int = 0) -> dict[str, Fit]:
    """Return every way to combine runs, by name, the simple ones first.

    Each fits one rule for each set of rows it is given, and no number of a rule depends on a row outside its set.
    """
    found: dict[str, Fit] = {SINGLE: best_single, EQUAL: equal_mean, "rank mean": rank_mean, "greedy": greedy}
    if n_bags:
        found[f"greedy, {n_bags} bags"] = lambda matched, fitted, metric: greedy(matched, fitted, metric, n_bags=n_bags)
    return {**found, "stacking": stack}


@dataclass(frozen=True, eq=False)
class Judged:
    """A method with its scores.

    Attributes:
        rule: Fitted on all rows: what the test rows are combined by.
        fold_rules: By fold, fitted on the rows outside it: what its rows are combined by in the nested table.
        naive: Score of `rule` on the rows that it was fitted on.
        nested: Score of the nested table, in which no row is combined by a rule that saw it.
        gap: How much better the naive score is: what the fit gained by knowing the answers.
        gain, error: How much better the nested score is than that of the simple method taken as base, and the standard error
            of that difference (paired bootstrap, resampled within class); 0 for the base itself.
    """

    rule: Rule
    fold_rules: dict[int, Rule]
    naive: float
    nested: float
    gap: float
    gain: float = 0.0
    error: float = 0.0

    @property
    def method(self) -> str:
        """Return the method's name."""
        return self.rule.method


@dataclass(frozen=True, eq=False)
class Choice:
    """What the rule chose among the methods, which simple one the others were held against, and why, in words."""

    chosen: Judged
    judged: list[Judged]
    base: str
    reason: str


def choose(matched: Matched, metric: Metric, n_bags: int = 0, wanted: Sequence[str] | None = None) -> Choice:
    """Judge every method and return the one that the rule takes.

    The rule: the best nested score, if it beats the better of *best single run* and *equal mean* by more than the standard
    error of their difference; otherwise that better one. Which rows a score is taken over, and so the choice, depends on
    nothing but the predictions.

    Args:
        n_bags: Bags of the bagged greedy selection; 0 leaves it out.
        wanted: Names of the methods to judge besides the two simple ones; None takes all.
    """
    offered = {name: fit for name, fit in methods(n_bags).items() if wanted is None or name in (*SIMPLE, *wanted)}
    if len(matched.names) == 1:
        offered = {SINGLE: best_single}
    judged: dict[str, Judged] = {}
    tables: dict[str, Floats] = {}
    for name, fit in offered.items():
        judged[name], tables[name] = judge(matched, metric, fit)
    draws = {name: resampled_scores(metric, *counted(matched, table)) for name, table in tables.items()}
    base = _better_simple(judged, metric)
    compared = [
        _against(one, judged[base].nested, draws[name], draws[base], metric) if name != base else one
        for name, one in judged.items()
    ]
    return _taken(compared, base)


def judge(matched: Matched, metric: Metric, fit: Fit) -> tuple[Judged, Floats]:
    """Fit a method on all rows and once without each fold, and return its scores and its nested table (N, C)."""
    folds = matched.folds
    rule, *fold_rules = fit(matched, [matched.fitted(k) for k in (None, *folds)], metric)
    by_fold = dict(zip(folds, fold_rules, strict=True))
    table = nested_table(matched, by_fold)
    # where no fold found another rule, the nested table is the naive one: nothing was fitted
    is_same = all(one == rule for one in fold_rules)
    naive = score_of(metric, matched, table if is_same else blend(rule, matched.oof))
    nested = score_of(metric, matched, table)
    return Judged(rule, by_fold, naive, nested, metric.gain(naive, nested)), table


def nested_table(matched: Matched, fold_rules: Mapping[int, Rule]) -> Floats:
    """Return (N, C): each row combined by the rule that was fitted without its fold."""
    table = np.empty((len(matched.truth), matched.n_classes), np.float32)
    for k, rule in fold_rules.items():
        rows = np.flatnonzero(matched.fold == k)
        table[rows] = blend(rule, matched.oof, rows)
    return table


def score_of(metric: Metric, matched: Matched, table: Floats) -> float:
    """Return the metric of a table (N, C) over the rows that count."""
    return metric.prepare(matched.truth, table)(matched.is_counted.astype(np.float64))


def counted(matched: Matched, table: Floats) -> tuple[np.ndarray, Floats]:
    """Return truth (n,) and probabilities (n, C) of the rows that are scored."""
    if matched.is_counted.all():
        return matched.truth, table
    return matched.truth[matched.is_counted], table[matched.is_counted]


def _better_simple(judged: Mapping[str, Judged], metric: Metric) -> str:
    if EQUAL in judged and metric.is_better(judged[EQUAL].nested, judged[SINGLE].nested):
        return EQUAL
    return SINGLE


def _against(one: Judged, base: float, draws: Floats, base_draws: Floats, metric: Metric) -> Judged:
    gain = metric.gain(one.nested, base)
    return Judged(
        one.rule, one.fold_rules, one.naive, one.nested, one.gap, gain, float((draws - base_draws).std(ddof=1))
    )


def _taken(judged: Sequence[Judged], base: str) -> Choice:
    simple = next(one for one in judged if one.method == base)
    others = [one for one in judged if one.method not in SIMPLE]
    best = max(others, key=lambda one: one.gain, default=simple)
    if best is not simple and best.gain > best.error:
        words = f"its nested score is {best.gain:.4f} better than that of {base}, more than the standard error {best.error:.4f}"
        return Choice(best, list(judged), base, f"{best.method} is taken: {words}")
    if len(judged) == 1:
        return Choice(simple, list(judged), base, "there is one run, so it is taken as it is")
    other = SIMPLE[1 - SIMPLE.index(base)]
    words = (
        f"{base} is taken, which nests no worse than {other}"
        if base == SINGLE
        else f"{base} is taken, which nests better than {other}"
    )
    return Choice(simple, list(judged), base, f"{words}; no other method beats it by more than its standard error")
