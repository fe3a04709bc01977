"""Promises 6 and 7: aligned by id and class name; a leak, a missing row or a foreign class raises; scores come with intervals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from comp.errors import Refused
from comp.store import MARKER, read_json, write_json, write_marker
from folds.cv import write_run
from folds.dataset import Dataset
from folds.oof import align, assemble, read_predictions, score
from folds.runs import fold_dir, run_dir
from tests.made import CLASSES, run_plan, squares_dataset


@pytest.fixture
def dataset(in_folder: Path) -> Dataset:
    return squares_dataset(in_folder / "data")[0]


def made_run(dataset: Dataset, change: Callable[[int, dict[str, Any]], None] = lambda fold, made: None) -> Path:
    """Write a finished run whose every probability tells its row; `change` may spoil a fold."""
    plan = run_plan(dataset)
    write_run(dataset.folder, plan)
    for fold in range(3):
        valid_ids = dataset.train["id"][dataset.train["fold"] == fold].tolist()[::-1]
        made: dict[str, Any] = {
            "valid_ids": valid_ids,
            "valid": np.stack([told(row_id) for row_id in valid_ids]),
            "test_ids": dataset.test["id"].tolist(),
            "test": np.stack([told(row_id) for row_id in dataset.test["id"]]),
            "classes": list(CLASSES),
            "trained_on_folds": [k for k in range(3) if k != fold],
            "folds_sha256": dataset.facts["fingerprints"]["folds.csv"],
        }
        change(fold, made)
        write_fold(fold_dir(run_dir(dataset.folder, plan), fold), fold, made)
    return run_dir(dataset.folder, plan)


def write_fold(folder: Path, fold: int, made: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    np.save(folder / "valid.npy", made["valid"])
    np.save(folder / "test.npy", made["test"])
    write_json(folder / "ids.json", {"valid": made["valid_ids"], "test": made["test_ids"], "classes": made["classes"]})
    facts = {"fold": fold, "trained_on_folds": made["trained_on_folds"], "folds_sha256": made["folds_sha256"]}
    write_marker(folder, ["valid.npy", "test.npy", "ids.json"], facts)


def told(row_id: str) -> np.ndarray:
    first = (int(row_id) + 1) / 100
    return np.array([first, 0.2, 0.8 - first], np.float32)


def test_rows_are_aligned_by_id_whatever_their_order(dataset: Dataset) -> None:
    run = made_run(dataset)
    predictions = assemble(run, dataset)
    assert predictions.oof_ids == dataset.train["id"].tolist()
    assert np.allclose(predictions.oof, [told(row_id) for row_id in predictions.oof_ids])
    again = read_predictions(run)
    assert (again.oof == predictions.oof).all() and again.test_ids == dataset.test["id"].tolist()
    assert again.classes == list(CLASSES)


SPOILED: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "leak": (lambda made: made["trained_on_folds"].append(1), "fold 1: leak"),
    "hold-out leak": (lambda made: made["trained_on_folds"].append(-1), "fold 1: leak"),
    "missing row": (lambda made: made.update(valid_ids=made["valid_ids"][1:], valid=made["valid"][1:]), "expected 12"),
    "row twice": (lambda made: made["valid_ids"].__setitem__(0, made["valid_ids"][1]), "each once"),
    "foreign row": (lambda made: made["valid_ids"].__setitem__(0, "999"), "'999'"),
    "foreign class": (lambda made: made.update(classes=["amber", "blue", "red"]), "'coral'"),
    "other order of classes": (lambda made: made.update(classes=["blue", "amber", "coral"]), "their order"),
    "other fold table": (lambda made: made.update(folds_sha256="0" * 64), "another fold table"),
    "test row missing": (lambda made: made.update(test_ids=made["test_ids"][1:], test=made["test"][1:]), "test rows"),
    "not a number": (lambda made: made["valid"].__setitem__((0, 0), np.nan), "out-of-fold"),
    "negative": (lambda made: made["valid"].__setitem__((0, 0), -0.5), "out-of-fold"),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_what_could_lie_is_refused_by_name(dataset: Dataset, kind: str) -> None:
    spoil, words = SPOILED[kind]
    run = made_run(dataset, lambda fold, made: spoil(made) if fold == 1 else None)
    with pytest.raises(Refused) as refusal:
        assemble(run, dataset)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_run_that_is_not_finished_or_was_changed_is_not_read(dataset: Dataset) -> None:
    run = made_run(dataset)
    with pytest.raises(Refused, match=MARKER):
        read_predictions(run)
    assemble(run, dataset)
    oof = np.load(run / "oof.npy")
    np.save(run / "oof.npy", oof[::-1])
    with pytest.raises(Refused, match="was changed"):
        read_predictions(run)


def test_align_refuses_what_it_cannot_match() -> None:
    values = np.arange(3)
    assert align(["a", "b", "c"], ["c", "a", "b"], values, "x").tolist() == [2, 0, 1]
    for have in (["a", "b"], ["a", "b", "b"], ["a", "b", "d"], ["a", "b", "c", "d"]):
        with pytest.raises(Refused, match="x: expected 3 ids"):
            align(have, ["a", "b", "c"], np.arange(len(have)), "x")


def test_scores_come_with_interval_and_folds(dataset: Dataset) -> None:
    truth = np.eye(3)[dataset.truth]
    perfect = score(dataset, truth, "macro_f1")
    assert (perfect.value, perfect.low, perfect.high, perfect.fold_mean, perfect.fold_deviation) == (1, 1, 1, 1, 0)
    noisy = truth.copy()
    noisy[::4] = np.roll(noisy[::4], 1, axis=1)
    found = score(dataset, noisy, "accuracy")
    assert found.value == pytest.approx(3 / 4) and found.low < found.value < found.high
    assert len(found.fold_scores) == 3 and found.n_rows == 36


def test_classes_left_out_of_the_folds_are_left_out_of_the_score(dataset: Dataset) -> None:
    facts = {**read_json(dataset.folder / "dataset.json"), "classes_left_out": ["coral"]}
    (dataset.folder / "dataset.json").write_text(json.dumps(facts))
    from folds.dataset import load_dataset

    found = score(load_dataset(dataset.folder), np.eye(3)[dataset.truth], "macro_f1")
    assert found.n_rows == 24 and found.n_classes_left_out == 1 and found.value == 1
