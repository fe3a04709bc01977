"""All folds of all runs as jobs: what is finished is taken, the rest is trained, then out-of-fold tables are put together."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from comp.console import say
from comp.engine import Engine, Job, Listener
from comp.images import CACHE
from comp.store import MARKER, read_json, read_marker, write_json
from folds.banks import source_sha
from folds.dataset import Dataset
from folds.oof import Predictions, assemble
from folds.presets import seconds_of_fold
from folds.runs import RunPlan, fold_dir, run_dir, trial_mark

LIBRARIES = ("tensorflow", "jax", "keras", "numpy", "opencv-python-headless", "albumentations", "scikit-learn")


def train_runs(
    plans: Sequence[RunPlan],
    dataset: Dataset,
    engine: Engine,
    listener: Listener,
    cache_dir: Path = CACHE,
    by_view: bool = False,
) -> list[Predictions]:
    """Return the predictions of each run, in order; folds that are finished are not trained again.

    A run that a search had trained until now is one of a plan from here on.

    Args:
        by_view: Whether the fold's rows are asked view by view too, by the same worker: it has all at hand.

    Raises:
        TrainingFailed: If a fold cannot be trained; finished folds are kept.
        Refused: If a stored fold does not match the fold table.
    """
    tell_of_other_code([run for plan in plans if (run := run_dir(dataset.folder, plan)).is_dir()])
    for plan in plans:
        write_run(dataset.folder, plan)
        trial_mark(run_dir(dataset.folder, plan)).unlink(missing_ok=True)
    engine.run(fold_jobs(plans, dataset, cache_dir, by_view), listener)
    return [assemble(run_dir(dataset.folder, plan), dataset) for plan in plans]


def fold_jobs(plans: Sequence[RunPlan], dataset: Dataset, cache_dir: Path = CACHE, by_view: bool = False) -> list[Job]:
    """Return a job for each fold that is not finished, the longest runs first so that no long one is left for the end."""
    jobs = []
    for plan in plans:
        run = run_dir(dataset.folder, plan)
        seconds = seconds_of_fold(plan.candidate, plan.recipe, len(dataset.in_folds))
        jobs += [
            Job(
                function="folds.train:fit_fold",
                arguments={
                    "run": str(run),
                    "fold": fold,
                    "cache_dir": str(cache_dir),
                    "weights": plan.weights_path,
                    "by_view": by_view,
                },
                label=f"{plan.candidate} fold {fold}",
                needs_keras=True,
                is_fresh=plan.candidate.fit != "probe",  # a head leaves little behind
                log_path=str(fold_dir(run, fold) / "log.txt"),
                size=seconds,
            )
            for fold in unfinished_folds(run, dataset.n_folds)
        ]
    return sorted(jobs, key=lambda job: -job.size)


def unfinished_folds(run: Path, n_folds: int) -> list[int]:
    """Return the folds of a run that are still to be trained."""
    return [fold for fold in range(n_folds) if read_marker(fold_dir(run, fold)) is None]


def write_run(dataset_folder: Path, plan: RunPlan, is_trial: bool = False) -> None:
    """Write `run.json`, where it is not there yet: all that decides the run's numbers, and what it was made with.

    Args:
        is_trial: Whether a search asks for it; a run that is new is marked as no plan's then.
    """
    run = run_dir(dataset_folder, plan)
    path = run / "run.json"
    if path.is_file():
        return
    if is_trial:  # first: a kill in between leaves the mark, and the next trial begins here again
        write_json(trial_mark(run), {"trained_by": "a search"})
    write_json(
        path,
        {
            "candidate": vars(plan.candidate),
            "key": plan.key,
            "key_parts": plan.key_parts(),
            "commit": commit(),
            "source": source_sha(plan.candidate.backbone),
            "versions": library_versions(),
            "begun": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    )


def tell_of_other_code(runs: Sequence[Path]) -> None:
    """Say which stored runs were made by another commit, backbone file or library: their keys do not tell, so they are taken.

    Args:
        runs: Folders of runs; one without a finished fold has nothing to be taken.
    """
    found: dict[str, list[str]] = {}
    for run in runs:
        facts = read_json(run / "run.json") if (run / "run.json").is_file() else None
        if facts and any(run.glob(f"fold-*/{MARKER}")):
            for line in _other_code(facts):
                found.setdefault(line, []).append(run.name)
    for line, names in found.items():
        say(
            f"stored {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: taken, though made with {line}"
        )
    if found:
        say("they hold as long as that changed no numbers; delete a run's folder to train it anew")


def _other_code(facts: dict[str, Any]) -> list[str]:
    """Return what a run was made with that is another now, one phrase each."""
    backbone = facts["candidate"]["backbone"]
    now = {"commit": commit(), f"file of {backbone}": source_sha(backbone)[:8], **library_versions()}
    then = {"commit": facts["commit"], f"file of {backbone}": facts.get("source", "")[:8], **facts["versions"]}
    return [f"{name} {then[name]}, now {now[name]}" for name in now if then.get(name) and then[name] != now[name]]


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that results may depend on; recorded, and not part of any key."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def commit() -> str:
    """Return the commit of the working tree, `+` behind it where files differ, the empty string outside git."""
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True, timeout=10
        )
        changed = subprocess.run(
            ["git", "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
