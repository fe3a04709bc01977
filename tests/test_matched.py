"""Runs that try to lie: each is matched by id and class name, or refused by name; none is silently averaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from comp.errors import Refused
from folds.dataset import Dataset
from folds.oof import Predictions
from submissions.combine import combine
from submissions.matched import match
from tests.made import CLASSES, SQUARES, squares_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("squares")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        dataset = squares_dataset(folder / "data")[0]
        return replace(dataset, folder=folder / dataset.folder)


def run_of(dataset: Dataset, seed: int) -> Predictions:
    random = np.random.default_rng(seed)
    oof = random.dirichlet(np.ones(3), len(dataset.in_folds)).astype(np.float32) + np.eye(3)[dataset.truth] / 2
    test = random.dirichlet(np.ones(3), len(dataset.readable_test)).astype(np.float32)
    oof = np.asarray(oof / oof.sum(axis=1, keepdims=True), np.float32)
    ids = dataset.in_folds["id"].tolist(), dataset.readable_test["id"].tolist()
    return Predictions(ids[0], oof, ids[1], test, list(CLASSES))


def spoilt(table: np.ndarray, value: float) -> np.ndarray:
    other = table.copy()
    other[3, 1] = value
    return other


Spoil = Callable[[Predictions], Predictions]
REFUSED: dict[str, tuple[Spoil, str]] = {
    "renamed classes": (lambda run: replace(run, classes=["amber", "blue", "red"]), "coral"),
    "a class less": (lambda run: replace(run, classes=["amber", "blue"], oof=run.oof[:, :2]), "coral"),
    "a class twice": (lambda run: replace(run, classes=["amber", "blue", "blue"]), "classes"),
    "missing row": (lambda run: replace(run, oof_ids=run.oof_ids[1:], oof=run.oof[1:]), "expected 36 ids, got 35"),
    "duplicated id": (lambda run: replace(run, oof_ids=[run.oof_ids[1], *run.oof_ids[1:]]), "'000'"),
    "foreign id": (lambda run: replace(run, oof_ids=["999", *run.oof_ids[1:]]), "'999'"),
    "fewer rows than ids": (lambda run: replace(run, oof=run.oof[1:]), "expected 36 rows"),
    "test row missing": (lambda run: replace(run, test_ids=run.test_ids[1:], test=run.test[1:]), "test rows"),
    "NaN": (lambda run: replace(run, oof=spoilt(run.oof, np.nan)), "out-of-fold"),
    "negative": (lambda run: replace(run, oof=spoilt(run.oof, -0.1)), "row 3"),
    "infinite in the test": (lambda run: replace(run, test=spoilt(run.test, np.inf)), "test rows"),
    "logits instead of probabilities": (lambda run: replace(run, oof=np.log(run.oof)), "sum to 1"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_run_that_does_not_fit_is_refused_by_name(dataset: Dataset, kind: str) -> None:
    spoil, words = REFUSED[kind]
    with pytest.raises(Refused) as refusal:
        match(dataset, {"good": run_of(dataset, 1), "bad one": spoil(run_of(dataset, 2))})
    assert "run bad one" in str(refusal.value) and words in str(refusal.value) and "\n" not in str(refusal.value)


def shuffled(run: Predictions) -> Predictions:
    random = np.random.default_rng(5)
    rows, tests, columns = (random.permutation(n) for n in (len(run.oof), len(run.test), 3))
    return Predictions(
        [run.oof_ids[i] for i in rows],
        run.oof[rows][:, columns],
        [run.test_ids[i] for i in tests],
        run.test[tests][:, columns],
        [run.classes[i] for i in columns],
    )


def test_shuffled_rows_and_columns_change_no_bit_of_what_is_handed_in(dataset: Dataset) -> None:
    runs = {f"run{i}": run_of(dataset, i) for i in range(3)}
    one = combine(SQUARES, dataset, runs)
    other = combine(SQUARES, dataset, {name: shuffled(run) for name, run in runs.items()})
    assert np.array_equal(one.predictions.test, other.predictions.test)
    assert np.array_equal(one.predictions.oof, other.predictions.oof)
    assert one.facts() == other.facts()


def test_runs_in_order_are_not_copied(dataset: Dataset) -> None:
    run = run_of(dataset, 1)
    assert match(dataset, {"run": run}).oof[0] is run.oof


def test_a_run_over_other_folds_of_other_rows_is_refused(dataset: Dataset) -> None:
    fewer = replace(dataset, train=dataset.train.iloc[1:].reset_index(drop=True))
    with pytest.raises(Refused, match="run of more rows, out-of-fold: expected 35 ids"):
        match(fewer, {"of more rows": run_of(dataset, 1)})


@pytest.mark.parametrize("phylum", ["input", "split"])
def test_test_rows_whose_phylum_training_could_not_use_are_counted(dataset: Dataset, phylum: str) -> None:
    known = replace(
        dataset,
        train=dataset.train.assign(condition="a"),
        test=dataset.test.assign(condition=["a", "", "b", "a", "a", "a"]),
    )
    found = combine(replace(SQUARES, condition_column="phylum"), known, {"run": run_of(dataset, 1)}, phylum)
    told = "warning: phylum is not used for 2 of 6 test rows: 1 have none, 1 one that no train row has (b)"
    assert found.notes == [told]
