"""The main job: plan, photos, folds, training, out-of-fold, ensemble, checked CSV, and what it scores."""

from __future__ import annotations

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from comp.console import relative, say, show_table
from comp.engine import Engine, open_engine
from comp.errors import BadInput
from comp.images import CACHE
from comp.sources import answers_of
from comp.store import read_marker
from comp.typed import command_line
from folds.banks import n_passes, wanted_banks
from folds.cv import commit, fold_jobs, library_versions, train_runs, unfinished_folds
from folds.dataset import Dataset
from folds.features import fill_banks, seconds_of_bank
from folds.kept import trim
from folds.oof import Predictions, Score, mean_of_tables, score
from folds.prepare import bar_if, fold_table, read_photos
from folds.runs import RunPlan, fold_dir, run_dir
from submissions.combine import Combined, combine, show_combined
from submissions.commands import show_next
from submissions.grade import graded
from submissions.outside import outside_runs, read_outside
from submissions.plan import Plan, Settings, make_plan, show_plan, with_features, with_weights
from submissions.repeats import assignment, other_assignment, repeat_facts, show_spreads, without_outside
from submissions.stored import OUTSIDE, key_of_run
from submissions.tuned import with_tuned
from submissions.views import ask_by_view
from submissions.write import copy_to, facts_of_format, make_submission, template_classes, write_submission


@dataclass(frozen=True)
class Line:
    """One line of the result table: a run, outside predictions or the ensemble, its scores by metric, and its seconds of work."""

    name: str
    scores: dict[str, Score]
    seconds: float
    run: RunPlan | None = None
    outside: Path | None = None


def submit(settings: Settings) -> Path:
    """Run the whole job and return the path of the CSV.

    Raises:
        FoldboardError: With one clear line; what was finished is kept and taken by the next run.
    """
    began = time.monotonic()
    plan, dataset, predictions = train_all(settings)
    if plan.competition.task == "transcribe":
        from submissions.transcribe import submit_transcripts

        return submit_transcripts(plan, dataset, predictions, began)
    combined = together(plan, dataset, predictions)
    lines = result_lines(plan, dataset, predictions, combined)
    show_results(plan, lines)
    show_combined(combined, dataset.n_folds)
    repeats = repeat(plan, dataset, predictions, combined)
    frame = make_submission(plan.tables, dataset, combined.predictions)
    test = test_scores(plan, dataset, frame, lines[-1])
    facts = {
        "ensemble": combined.facts(),
        "format": facts_of_format(plan.competition),
        "test": test,
        **repeats,
        "command_seconds": seconds_in_all(plan, dataset, lines, time.monotonic() - began),
    }
    path = write_submission(frame, dataset, plan.competition, {**manifest_facts(plan, dataset, lines), **facts})
    show_next(plan)
    return copy_to(path, plan.settings.out) if plan.settings.out else path


def together(plan: Plan, dataset: Dataset, predictions: dict[str, Predictions]) -> Combined:
    """Return the ensemble of a plan's finished runs, the number of views that each averages chosen with it."""
    settings = plan.settings
    views = ask_by_view(plan.runs(dataset.data8), dataset, open_engine(settings.engine, settings.jobs))
    return combine(plan.competition, dataset, predictions, settings.phylum, settings.bags, views)


def repeat(plan: Plan, dataset: Dataset, predictions: dict[str, Predictions], combined: Combined) -> dict[str, Any]:
    """Do the job again over as many other fold assignments as REPEATS asks for, show the spread, and return it for the manifest."""
    if plan.settings.repeats == 1:
        return {}
    done = [assignment(plan, dataset, predictions, combined.predictions)]
    plan, engine = without_outside(plan), open_engine(plan.settings.engine, plan.settings.jobs)
    photos = read_photos(plan.tables, plan.specs, engine)
    for other in range(1, plan.settings.repeats):
        again = other_assignment(plan, photos, dataset, other)
        say(f"again over another fold assignment, fold seed {again.facts['fold_seed']} (in {relative(again.folder)})")
        found = train_plan(plan, again, engine)
        done.append(assignment(plan, again, found, together(plan, again, found).predictions))
    return repeat_facts(done, show_spreads(done, plan))


def train(settings: Settings) -> Path:
    """Run the job up to the out-of-fold tables, show them, and return the folder of the runs: `make train`."""
    plan, dataset, predictions = train_all(settings)
    if plan.competition.task == "transcribe":
        from submissions.transcribe import train_transcripts

        train_transcripts(plan, dataset, predictions)
        return dataset.folder
    combined = together(plan, dataset, predictions)
    show_results(plan, result_lines(plan, dataset, predictions, combined))
    show_combined(combined, dataset.n_folds)
    repeat(plan, dataset, predictions, combined)
    return dataset.folder


def train_all(settings: Settings) -> tuple[Plan, Dataset, dict[str, Predictions]]:
    """Do the part of the job up to the out-of-fold tables."""
    engine = open_engine(settings.engine, settings.jobs)
    preset = with_features(make_plan(settings), engine)
    if preset.competition.task == "transcribe":
        from submissions.transcribe import check_settings

        check_settings(settings, preset.competition)
    elif settings.lexicon != "auto":
        raise BadInput(f"LEXICON={settings.lexicon}: {preset.competition.name} asks for no transcripts; leave it out")
    plan = with_tuned(preset, engine)
    show_plan(plan)
    preset = with_weights(preset)
    dataset = fold_table(plan.tables, read_photos(plan.tables, plan.specs, engine), plan.n_folds)
    # a class may be lost with photos that cannot be read: then the CSV would not fit, and that is said before training
    template_classes(plan.tables, dataset)
    plan = _say_new_notes(plan, with_tuned(preset, engine, dataset.folder))
    return plan, dataset, train_plan(plan, dataset, engine)


def _say_new_notes(shown: Plan, plan: Plan) -> Plan:
    """Say what came to light only when the photos were read; return the plan."""
    for note in plan.notes:
        if note not in shown.notes:
            say(note)
    return plan


def train_plan(plan: Plan, dataset: Dataset, engine: Engine) -> dict[str, Predictions]:
    """Train what is not finished yet of a plan's runs, and return what each predicts, runs of other tools too, by name."""
    outside = outside_runs(dataset, plan.settings.with_runs)  # a wrong name is refused before anything is trained
    runs = plan.runs(dataset.data8)
    _extract(runs, dataset, engine, plan.settings.cache_gb)
    jobs = fold_jobs(runs, dataset, CACHE)
    with bar_if(f"training {len(jobs)} folds", sum(job.size for job in jobs)) as listener:
        predictions = train_runs(runs, dataset, engine, listener, CACHE, by_view=True)
    ours = {run.name: found for run, found in zip(runs, predictions, strict=True)}
    return {**ours, **{name: read_outside(folder)[0] for name, folder in outside.items()}}


def _extract(runs: list[RunPlan], dataset: Dataset, engine: Engine, cache_gb: float) -> None:
    """Compute the features that unfinished runs need, once for all of them; older banks make room, never those of this plan."""
    banked = [run for run in runs if run.candidate.fit in ("probe", "tail")]
    wanted = [
        bank
        for run in banked
        if unfinished_folds(run_dir(dataset.folder, run), dataset.n_folds)
        for bank in wanted_banks(run, dataset.in_folds["sha"].tolist(), dataset.readable_test["sha"].tolist())
    ]
    with bar_if("features", n_passes(wanted, CACHE), "views") as listener:
        fill_banks(wanted, engine, listener, CACHE)
    trim(cache_gb * 1e9, {bank.spec.key for run in banked for bank in wanted_banks(run, (), ())}, CACHE)


def result_lines(plan: Plan, dataset: Dataset, predictions: dict[str, Predictions], combined: Combined) -> list[Line]:
    """Return a line for each run, in the order of the plan, and the ensemble's as the last."""
    metrics = (plan.competition.metric, *plan.competition.also)
    lines = [
        Line(
            plan.label(run),
            {name: score(dataset, predictions[run.name].oof, name) for name in metrics},
            run_seconds(dataset, run),
            run,
        )
        for run in plan.runs(dataset.data8)
    ]
    lines += _averaged_lines(plan, dataset, predictions, lines)
    for name, folder in outside_runs(dataset, plan.settings.with_runs).items():
        scores = {one: score(dataset, predictions[name].oof, one) for one in metrics}
        lines.append(Line(f"{name} (folds {read_outside(folder)[1]})", scores, 0.0, outside=folder))
    together = {name: score(dataset, combined.predictions.oof, name) for name in metrics}
    seconds = sum(line.seconds for line in lines if line.run)
    return [*lines, Line(f"ensemble ({combined.name})", together, seconds)]


def _averaged_lines(plan: Plan, dataset: Dataset, predictions: dict[str, Predictions], lines: list[Line]) -> list[Line]:
    """Return for each candidate with several seeds a line of their mean: each row answered by a model of each seed."""
    n_seeds = len(plan.seeds)
    if n_seeds == 1:
        return []
    found = []
    for start in range(0, len(lines), n_seeds):
        runs = [line.run for line in lines[start : start + n_seeds] if line.run]
        mean = mean_of_tables([predictions[run.name].oof for run in runs])
        scores = {name: score(dataset, mean, name) for name in lines[start].scores}
        seconds = sum(line.seconds for line in lines[start : start + n_seeds])
        found.append(Line(f"{runs[0].candidate} mean of {n_seeds} seeds", scores, seconds))
    return found


def run_seconds(dataset: Dataset, run: RunPlan) -> float:
    """Return the seconds of work that a run's folds took, summed over its jobs."""
    markers = [read_marker(fold_dir(run_dir(dataset.folder, run), fold)) for fold in range(dataset.n_folds)]
    return float(sum(marker["seconds"] for marker in markers if marker))


def seconds_in_all(plan: Plan, dataset: Dataset, lines: list[Line], seconds: float) -> float:
    """Return how long the whole job takes: this command, or the work behind its runs dealt to the jobs, whichever is longer.

    A command that was killed and goes on, or takes runs and features as they are stored, would else look quick.

    Args:
        lines: A line for each run, the lines of means and of the ensemble among them.
        seconds: What this command took.
    """
    if "://" in plan.settings.engine:  # how many jobs an engine elsewhere has side by side is not known
        return round(seconds, 1)
    banks = {
        bank.spec
        for run in plan.runs(dataset.data8)
        if run.candidate.fit in ("probe", "tail")
        for bank in wanted_banks(run, (), ())
    }
    n_folds = dataset.n_folds
    folds = [line.seconds / n_folds for line in lines if line.run for _ in range(n_folds)]
    features = sum(seconds_of_bank(bank, CACHE) for bank in banks) / plan.n_jobs
    return round(max(seconds, features + seconds_side_by_side(folds, plan.n_jobs)), 1)


def seconds_side_by_side(jobs: Sequence[float], n_workers: int) -> float:
    """Return when the last of some jobs ends, the longest begun first and each by the first worker that is free.

    Five folds of two workers take three rounds, not two and a half.
    """
    free_at = [0.0] * n_workers
    for seconds in sorted(jobs, reverse=True):
        heapq.heapreplace(free_at, free_at[0] + seconds)
    return max(free_at)


def show_results(plan: Plan, lines: list[Line]) -> None:
    """Print the table: candidate, CV score with interval, mean and deviation of folds, seconds of work."""
    main, *others = (plan.competition.metric, *plan.competition.also)
    rows = []
    for line in lines:
        found = line.scores[main]
        rows.append(
            [
                line.name,
                f"{found.value:.4f}",
                f"{found.low:.4f} to {found.high:.4f}",
                f"{found.fold_mean:.4f} ± {found.fold_deviation:.4f}",
                *[f"{line.scores[name].value:.4f}" for name in others],
                f"{line.seconds:.0f}",
            ]
        )
    say()
    show_table(
        f"{plan.competition.name}, out-of-fold over {lines[0].scores[main].n_rows:,} rows",
        ["candidate", main, "95 % interval", "mean ± deviation of folds", *others, "job seconds"],
        rows,
    )
    left_out = lines[0].scores[main].n_classes_left_out
    if left_out:
        say(f"{left_out} classes have fewer groups than folds; these scores leave their rows out")


def manifest_facts(plan: Plan, dataset: Dataset, lines: list[Line]) -> dict[str, Any]:
    """Return what the manifest says of runs, scores and command."""
    main = plan.competition.metric
    tuned = {choice.candidate: choice.tuned for choice in plan.choices}
    ours = [
        {
            "backbone": line.run.candidate.backbone,
            "variant": line.run.candidate.variant,
            "fit": line.run.candidate.fit,
            "pixels": line.run.candidate.pixels,
            "seed": line.run.seed,
            "folds": dataset.n_folds,
            "key": line.run.key,
            "folder": run_dir(dataset.folder, line.run).as_posix(),
            "tuned": tuned[line.run.candidate],
            "cv": _cv(line.scores[main]),
            "also": {name: _cv(found) for name, found in line.scores.items() if name != main},
            "seconds": round(line.seconds, 1),
        }
        for line in lines
        if line.run
    ]
    outside = [_outside_facts(line.outside, line, dataset, main) for line in lines if line.outside]
    return {
        "metric": main,
        "cv": _cv(lines[-1].scores[main]),
        "also": {name: _cv(found) for name, found in lines[-1].scores.items() if name != main},
        "runs": [*ours, *outside],
        "data8": dataset.data8,
        "n_train": len(dataset.in_folds),
        "n_test": len(dataset.test),
        "n_classes": len(dataset.classes),
        "jobs": plan.n_jobs,
        "preset": plan.settings.preset,
        "command": command_line(),
        "commit": commit(),
        "versions": library_versions(),
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _outside_facts(folder: Path, line: Line, dataset: Dataset, main: str) -> dict[str, Any]:
    return {
        "backbone": "outside",
        "variant": folder.name.removeprefix(OUTSIDE),
        "fit": f"folds {read_outside(folder)[1]}",
        "pixels": None,
        "seed": None,
        "folds": dataset.n_folds,
        "key": key_of_run(folder),
        "folder": folder.as_posix(),
        "cv": _cv(line.scores[main]),
        "seconds": 0.0,
    }


def _cv(found: Score) -> dict[str, float]:
    return {"score": round(found.value, 6), "low": round(found.low, 6), "high": round(found.high, 6)}


def test_scores(plan: Plan, dataset: Dataset, frame: pd.DataFrame, ensemble: Line) -> dict[str, float] | None:
    """Grade and show the CSV where answers are known: those of a sample or of the data, or of the hold-out; else return None."""
    competition = plan.competition
    known = None if plan.tables.test is None else answers_of(competition, plan.source)
    if known is not None:
        table, what = known
        ids, labels = table[competition.id_column], table[competition.target_column]
    elif dataset.answers is not None:
        ids, labels, what = dataset.test["id"], dataset.answers, "the held-out tenth"
    else:
        return None
    checked = graded(frame, ids.tolist(), labels.tolist(), competition, "the new submission")
    scores, (low, high) = checked.scores(), checked.score_interval()
    name, cv = competition.metric, ensemble.scores[competition.metric]
    say(f"test {name} {scores[name]:.4f} on {scores['n']} rows ({what}); CV interval {cv.low:.4f} to {cv.high:.4f}")
    return {**scores, "low": round(low, 6), "high": round(high, 6)}
