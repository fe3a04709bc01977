"""Equal, rank and greedy ensembles with their nested loops on large made runs, and the memory of the process that does it."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.figure import Figure
from comp.engine import n_cores
from comp.metrics import metric
from submissions.ensemble import choose
from submissions.matched import Matched

N_RUNS, N_ROWS, N_CLASSES, N_FOLDS = 20, 100_000, 202, 5
BLOCK = 10_000
SMALLER = 10  # stacking and bagging are shown on a tenth of the rows


def made_runs(n_rows: int) -> Matched:
    """Return runs of skills from poor to fair, made in blocks so that making them needs no more memory than they do."""
    random = np.random.default_rng(0)
    truth = random.integers(0, N_CLASSES, n_rows)
    tables = [np.empty((n_rows, N_CLASSES), np.float32) for _ in range(N_RUNS)]
    for index, table in enumerate(tables):
        for start in range(0, n_rows, BLOCK):
            table[start : start + BLOCK] = _told(truth[start : start + BLOCK], 1 + index / 10, random)
    nothing = np.full(n_rows, "", dtype=object)
    return Matched(
        names=[f"run{index}" for index in range(N_RUNS)],
        classes=[f"class{index}" for index in range(N_CLASSES)],
        oof=tables,
        test=[table[:1] for table in tables],
        truth=truth,
        fold=random.permutation(np.arange(n_rows) % N_FOLDS),
        is_counted=np.ones(n_rows, bool),
        condition=nothing,
        test_condition=nothing[:1],
    )


def _told(truth: np.ndarray, skill: float, random: np.random.Generator) -> np.ndarray:
    logits = random.standard_normal((len(truth), N_CLASSES), dtype=np.float32)
    logits[np.arange(len(truth)), truth] += skill
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def weigh(job: tuple[int, Sequence[str], int]) -> tuple[float, float]:
    """Return the minutes of judging methods, and this process' largest memory in GB."""
    n_rows, wanted, n_bags = job
    matched = made_runs(n_rows)
    began = time.monotonic()
    choose(matched, metric("macro_f1"), n_bags, wanted)
    minutes = (time.monotonic() - began) / 60
    return minutes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def measure() -> list[Figure]:
    """Return the figures; each from a process of its own, so that its memory is its own."""
    bags = "greedy, 20 bags"
    jobs = [
        (N_ROWS, ["rank mean", "greedy"], 0),
        (N_ROWS // SMALLER, ["stacking"], 0),
        (N_ROWS // SMALLER, [bags], 20),
    ]
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        (minutes, gigabytes), (stacking, _), (bagging, _) = pool.map(weigh, jobs, chunksize=1)
    size = f"{N_RUNS} runs x {N_ROWS:,} rows x {N_CLASSES} classes, {N_FOLDS} folds, {n_cores()} cores"
    small = f"{N_RUNS} runs x {N_ROWS // SMALLER:,} rows x {N_CLASSES} classes, nested"
    return [
        Figure("equal, rank and greedy, nested", minutes, "min", size, at_most=5.0),
        Figure("memory of it", gigabytes, "GB", "largest resident memory, predictions included", at_most=8.0),
        Figure("stacking", stacking, "min", small),
        Figure("greedy in 20 bags", bagging, "min", small),
    ]
