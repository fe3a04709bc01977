"""After the ensemble: steps tried one after the other, each kept only where its nested gain is positive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from comp.bootstrap import resampled_scores
from comp.errors import BadInput
from comp.metrics import Floats, Metric
from submissions.ensemble import Judged, counted, score_of
from submissions.matched import Matched
from submissions.rules import Rule, blend
from submissions.steps import KINDS, Facts, sight
from submissions.views import choose_views, views_words


@dataclass(frozen=True)
class Step:
    """One kept step: its name in `KINDS`, and the numbers that its fit found."""

    name: str
    facts: Facts

    def apply(self, table: Floats, condition: np.ndarray) -> Floats:
        """Return (N, C) probabilities after the step."""
        return KINDS[self.name].apply(self.facts, table, condition)


@dataclass(frozen=True)
class Pipeline:
    """All that makes one table of the tables of several runs: a rule, and the steps after it.

    Attributes:
        views: How many views of a photo each run averages in the tables that it takes; empty: as many as each does by itself.
    """

    rule: Rule
    steps: tuple[Step, ...] = ()
    views: tuple[int, ...] = ()

    def run(self, tables: Sequence[Floats], condition: np.ndarray, rows: np.ndarray | None = None) -> Floats:
        """Return (N, C) float32 probabilities of all rows, or of those whose indices are given.

        Args:
            tables: One (N, C) table a run, under the pipeline's views.
            condition: (N,) what is known of each row besides its photo.
        """
        table = blend(self.rule, tables, rows)
        known = condition if rows is None else condition[rows]
        for step in self.steps:
            table = step.apply(table, known)
        return table

    def as_dict(self) -> dict[str, Any]:
        """Return the pipeline as plain JSON values, as it stands in the manifest."""
        steps = [{"step": step.name, **step.facts} for step in self.steps]
        views = {"views": list(self.views)} if self.views else {}
        return {**self.rule.as_dict(), **views, "postprocessing": steps}

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Pipeline:
        """Return the pipeline that `as_dict` gave."""
        unknown = sorted({step["step"] for step in facts["postprocessing"]} - set(KINDS))
        if unknown:
            raise BadInput(
                f"post-processing step {unknown[0]!r}: expected one of {', '.join(KINDS)}; is it a newer manifest?"
            )
        steps = tuple(
            Step(step["step"], {name: value for name, value in step.items() if name != "step"})
            for step in facts["postprocessing"]
        )
        return cls(Rule.from_dict(dict(facts)), steps, tuple(facts.get("views", ())))


@dataclass(frozen=True, eq=False)
class Ensemble:
    """What is handed in, and what it was judged by.

    Attributes:
        pipeline: Fitted on all rows: what test rows go through.
        by_fold: Fitted without each fold: what its rows go through in the nested table.
    """

    pipeline: Pipeline
    by_fold: dict[int, Pipeline]

    def nested(self, matched: Matched) -> Floats:
        """Return (N, C): each train row through the pipeline that was fitted without its fold."""
        table = np.empty((len(matched.truth), matched.n_classes), np.float32)
        for k, pipeline in self.by_fold.items():
            rows = np.flatnonzero(matched.fold == k)
            table[rows] = pipeline.run(matched.oof_under(pipeline.views), matched.condition, rows)
        return table

    def test(self, matched: Matched) -> Floats:
        """Return (M, C): each test row through the pipeline that was fitted on all train rows."""
        return self.pipeline.run(matched.test_under(self.pipeline.views), matched.test_condition)


@dataclass(frozen=True)
class Trial:
    """One step that was tried.

    Attributes:
        words: What its fit on all rows found.
        score: Nested score with it.
        gain, error: How much better that is than without it, and the standard error of the difference.
    """

    name: str
    words: str
    score: float
    gain: float
    error: float
    is_kept: bool


def postprocess(matched: Matched, judged: Judged, metric: Metric, phylum: str = "auto") -> tuple[Ensemble, list[Trial]]:
    """Try every step on top of a judged method and return the ensemble with those that are kept.

    Each step is fitted once on all rows, and for each fold on the rows outside it, on what a method and steps fitted on
    those same rows make of them: a row's fold has no say in any number that the row is scored by. A step is kept where its
    nested gain is positive; decoding, which fits nothing but a fact of the table, where it is not negative.

    Args:
        phylum: `no` leaves decoding out, `decode` keeps it whatever its gain.
    """
    rules: dict[int | None, Rule] = {None: judged.rule}
    rules.update((k, rule) for k, rule in judged.fold_rules.items())
    state, trials = _views_first(_State.start(matched, {k: Pipeline(rule) for k, rule in rules.items()}), metric)
    for name in KINDS:
        if name == "decode" and phylum not in ("auto", "decode"):
            continue
        tried = state.with_step(name, metric)
        if tried is None:
            continue
        words = KINDS[name].words(tried.pipelines[None].steps[-1].facts)
        trial = _judge(name, state, tried, metric, words, is_forced=name == "decode" and phylum == "decode")
        trials.append(trial)
        state = tried if trial.is_kept else state
    return Ensemble(state.pipelines[None], {k: state.pipelines[k] for k in matched.folds}), trials


def _views_first(state: _State, metric: Metric) -> tuple[_State, list[Trial]]:
    """Return the state with chosen views where they help, and the trial; all other steps see tables under these views."""
    tried = state.with_views(metric)
    if tried is None:
        return state, []
    trial = _judge("views", state, tried, metric, views_words(tried.pipelines[None].views))
    return (tried if trial.is_kept else state), [trial]


@dataclass(frozen=True, eq=False)
class _State:
    """The pipelines so far (by fold; None: on all rows), and what each makes of all train rows."""

    matched: Matched
    pipelines: dict[int | None, Pipeline]
    tables: dict[int | None, Floats]

    @classmethod
    def start(cls, matched: Matched, pipelines: dict[int | None, Pipeline]) -> _State:
        """Return the state of pipelines that have no steps yet; those that are equal are blended once."""
        blended = {one: blend(one.rule, matched.oof_under(one.views)) for one in set(pipelines.values())}
        return cls(matched, pipelines, {k: blended[one] for k, one in pipelines.items()})

    def with_views(self, metric: Metric) -> _State | None:
        """Return the state with the views of each run chosen on the rows fitted on, or None where no run has a choice."""
        rules = {k: pipeline.rule for k, pipeline in self.pipelines.items()}
        chosen = choose_views(self.matched, rules, metric)
        if chosen is None:
            return None
        return self.start(self.matched, {k: replace(one, views=chosen[k]) for k, one in self.pipelines.items()})

    def with_step(self, name: str, metric: Metric) -> _State | None:
        """Return the state with one more step, or None where a fit found that it cannot be used."""
        pipelines, tables = {}, {}
        for k, pipeline in self.pipelines.items():
            facts = KINDS[name].fit(sight(self.matched, self.tables[k], self.matched.fitted(k), metric))
            if facts is None:
                return None
            step = Step(name, facts)
            pipelines[k] = replace(pipeline, steps=(*pipeline.steps, step))
            tables[k] = step.apply(self.tables[k], self.matched.condition)
        return _State(self.matched, pipelines, tables)

    def nested(self) -> Floats:
        table = np.empty_like(self.tables[None])
        for k in self.matched.folds:
            rows = self.matched.fold == k
            table[rows] = self.tables[k][rows]
        return table


def _judge(name: str, before: _State, after: _State, metric: Metric, words: str, is_forced: bool = False) -> Trial:
    matched = before.matched
    old, new = before.nested(), after.nested()
    score = score_of(metric, matched, new)
    gain = metric.gain(score, score_of(metric, matched, old))
    draws = [resampled_scores(metric, *counted(matched, table)) for table in (new, old)]
    is_kept = is_forced or gain > 0 or (name == "decode" and gain == 0)
    return Trial(name, words, score, gain, float((draws[0] - draws[1]).std(ddof=1)), is_kept)
