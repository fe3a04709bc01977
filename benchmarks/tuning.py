"""What a trial costs on a warm feature bank, beside its first one, and how many folds pruning spares."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from comp.backend import THREADS, backend_name, prepare_environment

prepare_environment()

import cv2
import numpy as np
import optuna
import pandas as pd

from benchmarks.figure import Figure
from comp.engine import ignore_events
from comp.engines.inline import InlineEngine
from comp.images import CACHE, PixelSpec, cache_images
from comp.spec import Candidate, Competition
from comp.tables import Tables
from comp.twins import no_twins
from folds.dataset import Dataset, make_dataset
from folds.presets import complete
from folds.runs import RunPlan
from tuning.objective import IS_DEFAULT, Objective
from tuning.pruners import pruner_of
from tuning.space import space_of
from tuning.study import count

N_CLASSES, N_ROWS, SIDE, N_TRIALS, N_FOLDS = 6, 240, 64, 12, 5
COMPETITION = Competition(
    name="tints",
    title="Tint of a made photo",
    layout="table",
    id_column="id",
    target_column="tint",
    submission="label",
    pixels=SIDE,
    twins=False,
)


@dataclass
class Timed:
    """Runs jobs in this process and adds up the seconds of each kind."""

    seconds: dict[str, float]

    def run(self, jobs: Any, listener: Any) -> list[Any]:
        """Return each job's result, in order."""
        results = []
        for job in jobs:
            began = time.monotonic()
            results += InlineEngine().run([job], listener)
            self.seconds[job.function] = self.seconds.get(job.function, 0.0) + time.monotonic() - began
        return results


def make_photos(folder: Path) -> pd.DataFrame:
    """Write noisy photos whose tint is their class, hard enough that settings matter, and return their table."""
    random, rows = np.random.default_rng(3), []
    tints = random.uniform(110, 145, (N_CLASSES, 3))
    for i in range(N_ROWS):
        tint = tints[i % N_CLASSES] + random.normal(0, 12, 3)  # classes overlap, else every recipe is right
        noise = random.normal(0, 45, (SIDE // 4, SIDE // 4, 3)) + tint
        photo = cv2.resize(np.clip(noise, 0, 255).astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{i}.png"), photo)
        rows.append({"id": str(i), "path": f"{i}.png", "label": f"tint {i % N_CLASSES}"})
    return pd.DataFrame(rows)


def make_fold_table(root: Path) -> Dataset:
    """Return a fold table of made photos that are in the image cache of the current folder."""
    (root / "photos").mkdir()
    tables = Tables(COMPETITION, root / "photos", make_photos(root / "photos"))
    paths = tables.train["path"].tolist()
    facts = cache_images(tables.data_dir, paths, [PixelSpec(SIDE)], InlineEngine(), ignore_events, CACHE)
    return make_dataset(tables, dict(zip(paths, facts, strict=True)), no_twins(N_ROWS), N_FOLDS)


def make_objective(dataset: Dataset, engine: Timed) -> Objective:
    """Return the objective of a probe on a small backbone whose weights are random: what it costs does not depend on them."""
    candidate, recipe = complete(Candidate("mobilenet", "tiny", "probe"), "standard", COMPETITION)
    recipe = replace(recipe, epochs=20, views=4)
    base = RunPlan(
        candidate=candidate,
        recipe=recipe,
        seed=0,
        facts=COMPETITION.facts_in_key(),
        data8=dataset.data8,
        threads=THREADS,
        backend=backend_name(),
    )
    return Objective(
        base=base,
        dataset=dataset,
        space=space_of("probe", recipe, COMPETITION, (), ()),
        metric="macro_f1",
        engine=engine,
        turn=0.0,
        check=lambda: None,
        listener=ignore_events,
    )


def run_study(objective: Objective) -> tuple[optuna.Study, list[float]]:
    """Run a small study; return it and the seconds of each trial."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=1, n_startup_trials=8)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner_of("median"))
    study.enqueue_trial(objective.space.nearest(objective.base.recipe), user_attrs={IS_DEFAULT: True})
    seconds: list[float] = []
    for _ in range(N_TRIALS):
        began = time.monotonic()
        study.optimize(objective, n_trials=1)
        seconds.append(time.monotonic() - began)
    return study, seconds


def measure() -> list[Figure]:
    """Return the figures."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)
        try:
            engine = Timed({})
            study, seconds = run_study(make_objective(make_fold_table(Path(temporary)), engine))
        finally:
            os.chdir(before)
    trials = study.get_trials(deepcopy=False)
    n_folds = [len(trial.intermediate_values) for trial in trials]
    a_fold = statistics.median(second / n for second, n in zip(seconds[1:], n_folds[1:], strict=True))
    spared = 1 - sum(n_folds) / (N_FOLDS * len(trials))
    overhead = 1 - sum(engine.seconds.values()) / sum(seconds)
    how = f"probe of mobilenet:tiny at {SIDE} px, {N_ROWS} photos, {N_FOLDS} folds, {N_TRIALS} trials, one thread"
    return [
        Figure("trial on a warm bank", N_FOLDS * a_fold / seconds[0], "of the first trial", how, at_most=0.9),
        Figure("fold of a trial on a warm bank", a_fold, "s", f"{how}; median"),
        Figure("what tuning adds to its jobs", overhead, "of the time", how, at_most=0.1),
        Figure("folds that pruning spared", spared, "of all", f"{how}, {count(study).pruned} of them pruned"),
    ]
