"""Finished runs to what is handed in: matched, ensembled by the rule, post-processed, shown and written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from comp.console import say, show_table
from comp.metrics import Floats, metric
from comp.spec import Competition
from folds.dataset import Dataset
from folds.oof import Predictions
from folds.views import Views
from submissions.ensemble import Choice, choose
from submissions.matched import Matched, match
from submissions.phylum import IN_TRAINING, fallback_line, learn, refuse_contradictions
from submissions.postprocess import Ensemble, Pipeline, Trial, postprocess

SHOWN_WEIGHTS = 8


@dataclass(frozen=True, eq=False)
class Combined:
    """What is handed in, how it was chosen, and what a person should know of it.

    Attributes:
        predictions: Train rows nested; every test row, those whose photo cannot be read too.
        names: The runs, in the order of the weights.
        notes: Lines for the person.
    """

    predictions: Predictions
    names: list[str]
    choice: Choice
    trials: list[Trial]
    ensemble: Ensemble
    metric: str
    phylum: str
    notes: list[str]

    @property
    def name(self) -> str:
        """Return what the result table calls it: method and kept steps."""
        n_steps = len(self.ensemble.pipeline.steps)
        steps = f" + {n_steps} step{'s' * (n_steps > 1)}" if n_steps else ""
        return f"{self.choice.chosen.method}{steps}"

    def facts(self) -> dict[str, Any]:
        """Return what the manifest records: enough to make the same CSV and the same nested score again."""
        judged = [
            {name: getattr(one, name) for name in ("method", "naive", "nested", "gap", "gain", "error")}
            for one in self.choice.judged
        ]
        tried = [{"step": one.name, "gain": one.gain, "error": one.error, "kept": one.is_kept} for one in self.trials]
        return {
            **self.ensemble.pipeline.as_dict(),
            "reason": self.choice.reason,
            "judged": judged,
            "tried": tried,
            "phylum": self.phylum,
            "by_fold": {str(k): pipeline.as_dict() for k, pipeline in self.ensemble.by_fold.items()},
        }


def combine(
    competition: Competition,
    dataset: Dataset,
    runs: Mapping[str, Predictions],
    phylum: str = "auto",
    n_bags: int = 0,
    views: Mapping[str, Views] | None = None,
) -> Combined:
    """Return the ensemble of runs that the rule chooses, with the steps of post-processing that help.

    The same runs give the same numbers to the last bit, whatever else lies on disk and however many cores there are.

    Args:
        phylum: `auto`, `no`, `decode`, or how the runs were trained with it: `input`, `split`.
        n_bags: Bags of the bagged greedy selection; 0 leaves it out.
        views: By name, the runs whose number of averaged views is open; the others are taken as they are.

    Raises:
        Refused: If a run does not fit the fold table; it is named.
        BadInput: If the phylum shall be decoded and is no function of the class.
    """
    chosen_metric, matched = metric(competition.metric, dataset.classes), match(dataset, runs, views)
    learnt = learn(matched.truth, matched.condition, matched.classes)
    if phylum == "decode":
        refuse_contradictions(learnt, str(competition.condition_column))
    choice = choose(matched, chosen_metric, n_bags)
    ensemble, trials = postprocess(matched, choice.chosen, chosen_metric, phylum)
    notes = [f"{competition.condition_column} is no function of the class: {line}" for line in learnt.contradictions]
    trained_on = matched.condition if phylum in IN_TRAINING else ()
    notes += fallback_lines(
        ensemble.pipeline, trained_on, matched.test_condition, str(competition.condition_column), "test rows"
    )
    return Combined(
        predictions=predictions_of(ensemble, matched, dataset),
        names=matched.names,
        choice=choice,
        trials=trials,
        ensemble=ensemble,
        metric=competition.metric,
        phylum=phylum,
        notes=notes,
    )


def fallback_lines(
    pipeline: Pipeline, trained_on: Iterable[str], condition: Sequence[str] | np.ndarray, column: str, what: str
) -> list[str]:
    """Return warnings that count the rows which the phylum is not used for, though the ensemble uses it; the same one once.

    Args:
        trained_on: The phylum of train rows, where runs were trained with it; else none.
        condition: (n,) that of the rows that are answered.
        what: What these rows are called.
    """
    ways = [step.facts for step in pipeline.steps if step.name == "decode"]
    known = sorted(set(map(str, trained_on)))
    ways += [{"phylum": known}] if known else []
    lines = [fallback_line(facts, condition, column, what) for facts in ways]
    return [line for line in dict.fromkeys(lines) if line]


def predictions_of(ensemble: Ensemble, matched: Matched, dataset: Dataset) -> Predictions:
    """Return an ensemble as predictions: train rows nested, readable test rows, and what is known of the others."""
    others = dataset.test[dataset.test["sha"] == ""]
    prior = prior_table(ensemble.pipeline, matched, others["condition"].to_numpy(dtype=object))
    return Predictions(
        dataset.in_folds["id"].tolist(),
        ensemble.nested(matched),
        [*dataset.readable_test["id"], *others["id"]],
        np.concatenate([ensemble.test(matched), prior]),
        matched.classes,
    )


def prior_table(pipeline: Pipeline, matched: Matched, condition: np.ndarray) -> Floats:
    """Return (n, C) for rows without a photo: the shares of the classes, those of its phylum where that is decoded.

    Args:
        condition: (n,) what is known of each row besides its photo.
    """
    shares = np.bincount(matched.truth, minlength=matched.n_classes) / len(matched.truth)
    table = np.tile(shares.astype(np.float32), (len(condition), 1))
    for step in pipeline.steps:
        table = step.apply(table, condition) if step.name == "decode" else table
    return table


def show_combined(combined: Combined, n_folds: int) -> None:
    """Print the table of methods, what the rule chose and why, and the steps that were tried."""
    if len(combined.choice.judged) > 1:
        _show_methods(combined)
        say(combined.choice.reason)
        _show_weights(combined)
    if combined.trials:
        _show_trials(combined)
    for note in combined.notes:
        say(note)
    say(
        f"scores are those of one model a run, which is what an out-of-fold row gets; "
        f"a test row gets the mean of its {n_folds} models"
    )


def _show_methods(combined: Combined) -> None:
    rows = [
        [
            one.method,
            f"{one.naive:.4f}",
            f"{one.nested:.4f}",
            f"{one.gap:+.4f}",
            f"{one.gain:+.4f} ± {one.error:.4f}" if one.error else "",
        ]
        for one in combined.choice.judged
    ]
    title = f"ensembles of {len(combined.names)} runs, {combined.metric} out-of-fold"
    show_table(title, ["method", "naive", "nested", "gap", f"nested, against {combined.choice.base}"], rows)


def _show_weights(combined: Combined) -> None:
    rule = combined.ensemble.pipeline.rule
    weighed = sorted(zip(rule.weights, combined.names, strict=True), key=lambda pair: -pair[0])
    used = [f"{name} {weight:.2f}" for weight, name in weighed if weight]
    more = f" and {len(used) - SHOWN_WEIGHTS} more" if len(used) > SHOWN_WEIGHTS else ""
    say(f"weights: {', '.join(used[:SHOWN_WEIGHTS])}{more}")


def _show_trials(combined: Combined) -> None:
    rows = [
        [
            one.name,
            one.words,
            f"{one.score:.4f}",
            f"{one.gain:+.4f} ± {one.error:.4f}",
            "kept" if one.is_kept else "left out",
        ]
        for one in combined.trials
    ]
    say()
    show_table("post-processing, each step on top of those kept before", ["step", "fitted", "nested", "gain", ""], rows)
