"""How many views of a photo each run averages, chosen where it is known: on out-of-fold rows, and kept only where it nests better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from comp.engine import Engine
from comp.images import CACHE
from comp.metrics import Metric, Score
from folds.banks import n_passes, wanted_banks
from folds.dataset import Dataset
from folds.features import fill_banks
from folds.predict import n_steps
from folds.prepare import bar_if
from folds.runs import RunPlan, run_dir
from folds.views import Views, predict_test, view_jobs, views_of
from submissions.matched import Matched
from submissions.rules import Rule

Counts = tuple[int, ...]


def choose_views(matched: Matched, rules: Mapping[int | None, Rule], metric: Metric) -> dict[int | None, Counts] | None:
    """Return for each set of fitted rows how many views each run averages, or None where no run has a choice.

    It is the number whose mean scores best on those rows, for each run by itself; of equals the run's own number, then fewer.
    A run that no rule uses keeps its own.

    Args:
        rules: By fold (None: all rows), the rule that was fitted without it.
    """
    used = {run for rule in rules.values() for run, weight in enumerate(rule.weights) if weight}
    scores = {run: _scores(matched, run, metric) for run in sorted(used) if matched.names[run] in matched.views}
    if not scores:
        return None
    chosen = {}
    for k in rules:
        rows = matched.fitted(k).astype(float)
        best = {run: _best({n: score(rows) for n, score in by_n.items()}, metric) for run, by_n in scores.items()}
        chosen[k] = tuple(best.get(run, own) for run, own in enumerate(matched.own_views))
    return chosen


def _scores(matched: Matched, run: int, metric: Metric) -> dict[int, Score]:
    """Return the metric of a run under each number of views, as a function of the rows' weights; its own number first."""
    views = matched.views[matched.names[run]]
    counts = [views.own, *(n for n in range(1, views.n_views + 1) if n != views.own)]
    return {n: metric.prepare(matched.truth, matched.oof[run] if n == views.own else views.oof(n)) for n in counts}


def _best(values: Mapping[int, float], metric: Metric) -> int:
    return next(n for n in values if not any(metric.is_better(other, values[n]) for other in values.values()))


def views_words(views: Counts) -> str:
    """Return the numbers of views as a person reads them; a dash for a run that knows one way only."""
    return ", ".join(f"{n}" if n else "-" for n in views)


def stored_views(runs: Sequence[Path], dataset: Dataset) -> dict[str, Views]:
    """Return the finished runs whose number of views is open, by name, as they lie on disk; nothing is predicted."""
    found = {run.name: views_of(run, dataset) for run in runs}
    return {name: views for name, views in found.items() if views is not None}


def ask_by_view(runs: Sequence[RunPlan], dataset: Dataset, engine: Engine) -> dict[str, Views]:
    """Ask the models of finished runs about their out-of-fold rows view by view, where that was not done; return them by name.

    Test rows are asked under another number of views only when that number is wanted.
    """
    jobs = view_jobs(runs, dataset)
    asked = {job.arguments["run"] for job in jobs}
    missing = [run for run in runs if str(run_dir(dataset.folder, run)) in asked]
    wanted = [
        bank
        for run in missing
        if run.candidate.fit in ("probe", "tail")
        for bank in wanted_banks(run, dataset.in_folds["sha"].tolist(), ())
    ]
    with bar_if("features", n_passes(wanted, CACHE), "views") as listener:
        fill_banks(wanted, engine, listener, CACHE)
    with bar_if(f"views of {len(jobs)} folds", sum(job.size for job in jobs)) as listener:
        engine.run(jobs, listener)
    found = {
        run.name: views_of(run_dir(dataset.folder, run), dataset, partial(_ask_test, run, dataset, engine))
        for run in runs
    }
    return {name: views for name, views in found.items() if views is not None}


def _ask_test(run: RunPlan, dataset: Dataset, engine: Engine, n: int) -> None:
    work = n_steps(run, dataset.n_folds, dataset.readable_test["sha"].tolist(), n)
    with bar_if(f"test rows of {run.candidate} under {n} views", work) as listener:
        predict_test(run, dataset, n, engine, listener)
