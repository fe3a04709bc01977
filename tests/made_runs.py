"""Finished runs that tests make without training: rows with a truth, folds, a phylum, and models of a given skill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from comp.spec import Recipe
from comp.store import write_json, write_marker
from folds.cv import write_run
from folds.dataset import Dataset
from folds.oof import assemble
from folds.runs import fold_dir, run_dir
from submissions.matched import Matched
from tests.made import run_plan

PHYLA = ("arthropoda", "chordata")


def made_matched(
    skills: tuple[float, ...] = (1.0, 1.5, 2.0), n_rows: int = 600, n_classes: int = 6, n_folds: int = 5, seed: int = 0
) -> Matched:
    """Return runs over made rows; the logit of the true class stands out by a run's skill, class c is of phylum c % 2."""
    random = np.random.default_rng(seed)
    truth = random.permutation(np.arange(n_rows) % n_classes)
    test_truth = np.arange(2 * n_classes) % n_classes
    return Matched(
        names=[f"run{i}" for i in range(len(skills))],
        classes=[f"class{c}" for c in range(n_classes)],
        oof=[told(truth, skill, n_classes, random) for skill in skills],
        test=[told(test_truth, skill, n_classes, random) for skill in skills],
        truth=truth,
        fold=random.permutation(np.arange(n_rows) % n_folds),
        is_counted=np.ones(n_rows, bool),
        condition=np.array([PHYLA[c % 2] for c in truth], dtype=object),
        test_condition=np.array([PHYLA[c % 2] for c in test_truth], dtype=object),
    )


def told(truth: np.ndarray, skill: float, n_classes: int, random: np.random.Generator) -> np.ndarray:
    """Return (N, C) float32 probabilities of a model of that skill."""
    logits = random.normal(size=(len(truth), n_classes))
    logits[np.arange(len(truth)), truth] += skill
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def spoil_fold(matched: Matched, k: int, seed: int = 99) -> Matched:
    """Return the same runs with answers, phyla and predictions of the rows of fold k replaced by others."""
    random = np.random.default_rng(seed)
    rows = matched.fold == k
    truth, condition = matched.truth.copy(), matched.condition.copy()
    truth[rows] = random.integers(0, matched.n_classes, rows.sum())
    condition[rows] = "mollusca"
    tables = [table.copy() for table in matched.oof]
    for table in tables:
        table[rows] = random.dirichlet(np.ones(matched.n_classes), rows.sum())
    return replace(matched, oof=tables, truth=truth, condition=condition)


def finished_run(
    dataset: Dataset,
    seed: int = 0,
    skill: float = 1.0,
    backbone: str = "scratch_cnn",
    recipe: Recipe | None = None,
) -> Path:
    """Write a finished run of a made fold table without training, and return its folder."""
    plan = run_plan(dataset, recipe, seed, backbone)
    write_run(dataset.folder, plan)
    run = run_dir(dataset.folder, plan)
    random = np.random.default_rng([seed, len(backbone), int(100 * abs(skill))])
    n_classes, n_test = len(dataset.classes), len(dataset.readable_test)
    for k in range(dataset.n_folds):
        rows = (dataset.in_folds["fold"] == k).to_numpy()
        folder = fold_dir(run, k)
        folder.mkdir(parents=True)
        np.save(folder / "valid.npy", told(dataset.truth[rows], skill, n_classes, random))
        np.save(folder / "test.npy", told(np.arange(n_test) % n_classes, skill, n_classes, random))
        ids = {"valid": dataset.in_folds["id"][rows].tolist(), "test": dataset.readable_test["id"].tolist()}
        write_json(folder / "ids.json", {**ids, "classes": dataset.classes})
        facts = {
            "trained_on_folds": [other for other in range(dataset.n_folds) if other != k],
            "folds_sha256": dataset.facts["fingerprints"]["folds.csv"],
            "seconds": 2.0,
        }
        write_marker(folder, ["valid.npy", "test.npy", "ids.json"], facts)
    assemble(run, dataset)
    return run
