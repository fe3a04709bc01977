"""Finished runs that read transcripts, made without training: frames that say the truth, with doubt and mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from comp.store import write_json, write_marker
from folds.cv import write_run
from folds.dataset import Dataset
from folds.oof import assemble
from folds.runs import fold_dir, run_dir
from tests.words import VOCABULARY, words_plan


def said(text: str, alphabet: list[str], doubt: float, random: np.random.Generator, stretch: int = 2) -> np.ndarray:
    """Return (T, A) float32 frames that say a text, each letter with a share up to `doubt` for another."""
    frames = np.full((stretch * len(text) + 1, len(alphabet)), 1e-3)
    frames[:, 0] = 1
    for i, letter in enumerate(text):
        share = random.uniform(0, doubt)
        frames[stretch * i + 1] = 1e-3
        frames[stretch * i + 1, alphabet.index(letter)] += 1 - share
        frames[stretch * i + 1, random.integers(1, len(alphabet))] += share
    return np.asarray(frames / frames.sum(axis=1, keepdims=True), np.float32)


def finished_reader(dataset: Dataset, seed: int = 0, doubt: float = 0.98, stretch: int = 2) -> Path:
    """Write a finished run of a made fold table without training, and return its folder."""
    plan = words_plan(dataset, seed=seed)
    write_run(dataset.folder, plan)
    run = run_dir(dataset.folder, plan)
    random = np.random.default_rng([seed, stretch])
    for k in range(dataset.n_folds):
        rows = dataset.in_folds[dataset.in_folds["fold"] == k]
        texts = {"valid": rows["label"].tolist(), "test": list(VOCABULARY[: len(dataset.readable_test)])}
        ids = {"valid": rows["id"].tolist(), "test": dataset.readable_test["id"].tolist(), "classes": dataset.classes}
        folder = fold_dir(run, k)
        folder.mkdir(parents=True)
        for name, told in texts.items():
            frames = [said(text, dataset.classes, doubt, random, stretch) for text in told]
            np.save(folder / f"{name}.npy", np.concatenate(frames))
            ids[f"{name}_lengths"] = [len(one) for one in frames]
        write_json(folder / "ids.json", ids)
        facts = {
            "trained_on_folds": [other for other in range(dataset.n_folds) if other != k],
            "folds_sha256": dataset.facts["fingerprints"]["folds.csv"],
            "seconds": 2.0,
            "parameters": 7,
            "alphabet": dataset.classes,
        }
        write_marker(folder, ["valid.npy", "test.npy", "ids.json"], facts)
    assemble(run, dataset)
    return run
