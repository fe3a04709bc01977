"""The phylum in training: an input of the head, or one model for each; rows without one are answered too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import folds.fit
from comp.images import CACHE, PixelSpec
from comp.spec import Recipe
from comp.store import read_marker
from folds.answers import answers_by_view
from folds.condition import forgotten, one_hot, parts_of, values_of
from folds.cv import write_run
from folds.dataset import Dataset
from folds.runs import fold_dir, run_dir
from folds.train import fit_fold
from tests.frozen import PIXELS, frozen_plan
from tests.frozen import fit as fit_frozen
from tests.made import CLASSES, run_plan, squares_dataset

RECIPE = Recipe(pixels=16, epochs=3, batch_size=4, width=8, strength=0.0)
PHYLUM = {"amber": "warm", "coral": "warm", "blue": "cold"}


@pytest.fixture
def dataset(in_folder: Path) -> Dataset:
    """Return squares whose colours are warm or cold; of the test rows one has no phylum and one a phylum nobody knows."""
    made = squares_dataset(in_folder / "data", [PixelSpec(16), PixelSpec(PIXELS)])[0]
    made.train["condition"] = made.train["label"].map(PHYLUM)
    made.test["condition"] = ["warm", "cold", "warm", "", "green", "warm"][: len(made.test)]
    return made


def fit(dataset: Dataset, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folds.train, "load_dataset", lambda folder: dataset)
    plan = run_plan(dataset, recipe)
    write_run(dataset.folder, plan)
    run = run_dir(dataset.folder, plan)
    fit_fold(lambda kind, value: None, str(run), 0, str(CACHE))
    return fold_dir(run, 0)


def test_a_row_of_no_or_an_unknown_value_is_all_zeros() -> None:
    table = one_hot(["b", "", "x", "a"], ["a", "b"])
    assert table.tolist() == [[0, 1], [0, 0], [0, 0], [1, 0]]


def test_about_a_tenth_is_forgotten_and_the_same_tenth_again() -> None:
    known = np.ones((5000, 2), np.float32)
    hidden = forgotten(known, (1, 2, 3))
    assert 0.07 < 1 - hidden[:, 0].mean() < 0.13 and (hidden[:, 0] == hidden[:, 1]).all()
    assert (hidden == forgotten(known, (1, 2, 3))).all() and (hidden != forgotten(known, (1, 2, 4))).any()


def test_each_asked_row_is_answered_by_one_part_that_never_saw_other_rows(dataset: Dataset) -> None:
    rows = np.arange(0, len(dataset.train), 2)
    asked = {"test": dataset.readable_test["condition"].tolist()}
    parts = parts_of(dataset, rows, asked)
    answered = np.sort(np.concatenate([part.asked["test"] for part in parts]))
    assert answered.tolist() == list(range(len(dataset.readable_test)))
    assert all(set(part.train_rows) <= set(rows) for part in parts)
    assert [len(part.classes) for part in parts] == [1, 2, 3]


def test_split_never_answers_with_a_class_of_another_phylum(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fit(dataset, replace(RECIPE, condition="split"), monkeypatch)
    valid, conditions = np.load(folder / "valid.npy"), dataset.train["condition"][dataset.train["fold"] == 0]
    phyla = np.array([PHYLUM[name] for name in CLASSES])
    foreign = conditions.to_numpy(dtype=object)[:, None] != phyla[None, :]
    assert (valid[foreign] == 0).all() and np.allclose(valid.sum(axis=1), 1, atol=1e-5)
    test = np.load(folder / "test.npy")
    assert np.allclose(test.sum(axis=1), 1, atol=1e-5) and (test[3] > 0).all() and (test[4] > 0).all()


def test_a_photo_of_no_known_phylum_gets_the_mean_of_all_models_by_their_train_rows(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.test["condition"] = "warm"  # so no fold needs a model of all phyla
    folder = fit(dataset, replace(RECIPE, condition="split"), monkeypatch)
    assert not (folder / "part-others").exists()
    shas = dataset.readable_test["sha"].tolist()[:1] * 4
    known = ["", "green", "warm", "cold"]
    found = answers_by_view(folder.parent, 0, CACHE, "", 1, lambda _: (shas, known)).tables[0]
    without, foreign, warm, cold = found
    assert cold[list(CLASSES).index("blue")] == 1 and warm[list(CLASSES).index("blue")] == 0
    train = dataset.train[dataset.train["fold"].isin([1, 2])]
    share = (train["condition"] == "warm").mean()
    assert without == pytest.approx(share * warm + (1 - share) * cold, abs=1e-6) and (foreign == without).all()
    assert np.load(folder / "test.npy")[0] == pytest.approx(warm, abs=1e-6)


@pytest.mark.slow
def test_a_phylum_with_one_family_needs_no_model(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fit(dataset, replace(RECIPE, condition="split"), monkeypatch)
    marker = read_marker(folder)
    assert marker is not None
    assert sorted(name for name in marker["files"] if name.endswith(".h5")) == [
        "part-1/model.weights.h5",
        "part-others/model.weights.h5",
    ]


@pytest.mark.slow
def test_a_split_that_was_killed_between_parts_ends_the_same(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(RECIPE, condition="split")
    whole = fit(dataset, recipe, monkeypatch)
    expected = [(whole / name).read_bytes() for name in ("valid.npy", "test.npy")]
    whole.rename(whole.with_name("undisturbed"))
    real = folds.fit._answer_whole
    calls: list[Path] = []

    def killed(fold: Any, report: Any) -> Any:
        calls.append(fold.folder)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(fold, report)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(folds.fit, "_answer_whole", killed)
        fit(dataset, recipe, monkeypatch)
    again = fit(dataset, recipe, monkeypatch)
    assert [(again / name).read_bytes() for name in ("valid.npy", "test.npy")] == expected


@pytest.mark.slow  # a probe shows the same in seconds
def test_the_input_is_used(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    assert values_of(dataset) == ["cold", "warm"]
    recipe = replace(RECIPE, condition="input", epochs=30, learning_rate=0.02)
    valid = np.load(fit(dataset, recipe, monkeypatch) / "valid.npy")
    truth = dataset.index_of(dataset.train["label"][dataset.train["fold"] == 0])
    blue = list(CLASSES).index("blue")
    assert (valid.argmax(axis=1) == blue)[truth == blue].all()
    without = fit(dataset, replace(recipe, condition="no"), monkeypatch) / "valid.npy"
    assert (np.load(without) != valid).any()


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize("way", ["input", "split"])
def test_a_probe_answers_by_the_phylum_that_it_is_told(
    dataset: Dataset, weights: Path, monkeypatch: pytest.MonkeyPatch, way: Any
) -> None:
    monkeypatch.setattr(folds.train, "load_dataset", lambda folder: dataset)
    plan = frozen_plan(dataset, weights, "probe", condition=way, epochs=12, learning_rate=0.02, dropout=0.0)
    folder = fit_frozen(dataset, plan)
    truth = dataset.index_of(dataset.train["label"][dataset.train["fold"] == 0])
    assert (np.load(folder / "valid.npy").argmax(axis=1) == truth).mean() >= 0.9
    shas, blue = dataset.readable_test["sha"].tolist(), list(CLASSES).index("blue")

    def of_blue(phylum: str) -> np.ndarray:
        told = shas, [phylum] * len(shas)
        return answers_by_view(folder.parent, 0, CACHE, str(weights), 1, lambda _: told).tables[0, :, blue]

    cold, warm = of_blue("cold"), of_blue("warm")
    assert cold.mean() > warm.mean()
    if way == "split":
        assert (cold == 1).all() and (warm == 0).all()
