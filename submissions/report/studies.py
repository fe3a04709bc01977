"""What tuning tried, for the report: history, slices and importances of each study over the same folds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from comp.errors import FoldboardError
from folds.dataset import Dataset
from folds.runs import RUNS, in_a_path
from submissions.report import charts
from submissions.report.theme import HEIGHT, Plot, Plots
from tuning.report import LEAST_TRIALS
from tuning.show import facts_of, studies_of
from tuning.storage import quiet_optuna
from tuning.study import complete_trials
from tuning.tuned import in_words

if TYPE_CHECKING:
    import optuna

MOST_KNOBS = 12


def study_facts(
    dataset: Dataset, competition: str, metric: str, plots: Plots
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what the template tells of each study over a fold table, and a note for each that cannot be read."""
    if not list((dataset.folder / "tuning").glob("*/study.journal")):
        return [], []
    try:
        found = studies_of(competition, None, RUNS)
    except FoldboardError as error:
        return [], [f"the studies are left out: {error}"]
    mine = [study for study in found if study.study_name.startswith(f"{competition}/{dataset.data8}/")]
    return [study_told(study, metric, plots) for study in mine], []


def study_told(study: optuna.Study, metric: str, plots: Plots) -> dict[str, Any]:
    """Return counts, the best trial and the plots of one study; a study of one complete trial has no plots."""
    facts = facts_of(study)
    best = facts["best"]
    candidate = study.study_name.split("/", 2)[-1]
    is_drawn = facts["complete"] >= LEAST_TRIALS
    return {
        **facts,
        "candidate": candidate,
        "best_words": (in_words(best["changes"]) or "the default recipe") if best else "",
        "plots": _plots(study, candidate, metric, plots) if is_drawn else [],
    }


def _plots(study: optuna.Study, candidate: str, metric: str, plots: Plots) -> list[Plot]:
    trials = sorted(complete_trials(study), key=lambda trial: trial.number)
    values = np.array([trial.value for trial in trials], float)
    is_higher = study.direction.name == "MAXIMIZE"
    best = np.maximum.accumulate(values) if is_higher else np.minimum.accumulate(values)
    name, numbers = f"tuning-{in_a_path(candidate)}", [trial.number for trial in trials]
    alt = f"{len(trials)} complete trials of {candidate}; the best so far goes from {best[0]:.4f} to {best[-1]:.4f} {metric}."
    drawn = [
        plots.draw(
            f"{name}-history",
            alt,
            f"{candidate}: each complete trial, and the best so far.",
            lambda figure: charts.history(figure, numbers, values, best, metric),
        ),
        *_importance_plot(study, name, len(trials), plots),
    ]
    knobs = {knob: [trial.params.get(knob) for trial in trials] for knob in _knobs(trials)}
    if knobs:
        size = (4.8, 0.4 + 1.35 * -(-len(knobs) // 2))
        alt = f"Score of each trial of {candidate} against {', '.join(knobs)}."
        paint = partial(charts.slices, values=values, knobs=knobs, axis=metric)
        drawn.append(plots.draw(f"{name}-slices", alt, "The score against each setting.", paint, size))
    return drawn


def _knobs(trials: list[Any]) -> list[str]:
    """Return the settings that took more than one value, in the order of their first trial."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    return [name for name in names if len({trial.params.get(name) for trial in trials}) > 1][:MOST_KNOBS]


def _importance_plot(study: optuna.Study, name: str, n_trials: int, plots: Plots) -> list[Plot]:
    """Return the plot of importances, or nothing where trials are too few or too equal to tell."""
    try:
        with quiet_optuna() as optuna:
            judge = optuna.importance.FanovaImportanceEvaluator(seed=0)
            found = optuna.importance.get_param_importances(study, evaluator=judge)
    except (ValueError, RuntimeError):
        return []
    names, values = list(found)[:MOST_KNOBS], np.array(list(found.values())[:MOST_KNOBS], float)
    if not len(values) or not np.isfinite(values).all() or not values.sum():
        return []
    told = ", ".join(f"{one} {value:.2f}" for one, value in zip(names, values, strict=True))
    caption = f"How much of the differences each setting explains (fANOVA), by {n_trials} trials; few tell little."
    size = (4.8, min(HEIGHT, 0.7 + 0.25 * len(names)))
    paint = partial(charts.bars, names=names, values=values, axis="share of the differences it explains")
    return [plots.draw(f"{name}-importance", f"Importance of settings: {told}.", caption, paint, size)]
