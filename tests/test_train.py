"""Promises 5 and 8 for one fold: idempotent, resumed at its last epoch to the same bytes, tried once more when it goes wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import folds.fit
import folds.loop
import folds.train
from comp.augment import policy
from comp.backend import fed
from comp.errors import Refused, TrainingFailed
from comp.images import CACHE, ImageStore, PixelSpec
from comp.registry import names
from comp.spec import Recipe
from comp.store import read_marker
from folds.batches import TrainBatches, predict
from folds.cv import write_run
from folds.dataset import Dataset
from folds.inputs import PixelInputs
from folds.mixing import Mixing
from folds.runs import RunPlan, fold_dir, run_dir
from folds.train import fit_fold
from tests.frozen import each_backbone
from tests.made import run_plan, squares_dataset

RECIPE = Recipe(pixels=16, epochs=4, batch_size=8, width=8, strength=0.5, dropout=0.5)
BACKBONES = each_backbone(slow=set(names("comp.backbones")) - {"mlp", "small_cnn"})  # those two are the cheapest


@pytest.fixture
def dataset(in_folder: Path) -> Dataset:
    return squares_dataset(in_folder / "data")[0]


def fit(dataset: Dataset, plan: RunPlan, fold: int = 0, notes: list[Any] | None = None) -> Path:
    write_run(dataset.folder, plan)
    run = run_dir(dataset.folder, plan)
    fit_fold(lambda kind, value: notes.append(value) if notes is not None else None, str(run), fold, str(CACHE))
    return fold_dir(run, fold)


class Killed(Exception):
    """Stands for a kill: it passes through everything."""


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_resumed_fit_equals_an_undisturbed_one_to_the_last_bit(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, backbone: str
) -> None:
    dataset = squares_dataset(in_folder / "data", [PixelSpec(32)])[0]
    plan = run_plan(dataset, replace(RECIPE, pixels=32, epochs=2), backbone=backbone)
    whole = fit(dataset, plan)
    expected = {name: (whole / name).read_bytes() for name in ("valid.npy", "test.npy")}
    whole.rename(whole.with_name("undisturbed"))
    real = folds.loop._Loop.on_epoch_end

    def kill_after_one(self: Any, epoch: int, logs: Any = None) -> None:
        real(self, epoch, logs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(folds.loop._Loop, "on_epoch_end", kill_after_one)
        with pytest.raises(Killed):
            fit(dataset, plan)
    assert (whole / "resume.npz").is_file() and read_marker(whole) is None
    resumed = fit(dataset, plan)
    assert {name: (resumed / name).read_bytes() for name in expected} == expected
    assert len(json.loads((resumed / "history.json").read_text())["loss"]) == 2
    assert not (resumed / "resume.npz").exists()


def test_a_finished_fold_is_not_touched(dataset: Dataset) -> None:
    folder = fit(dataset, run_plan(dataset))
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != ".lock"}
    fit(dataset, run_plan(dataset))
    assert {name: (folder / name).stat().st_mtime_ns for name in times} == times


def test_it_learns_and_its_weights_predict_what_it_wrote(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    real, by_xla = keras.Model.fit, []
    monkeypatch.setattr(
        keras.Model,
        "fit",
        lambda self, *rest, **named: (by_xla.append(self.jit_compile), real(self, *rest, **named))[1],
    )
    recipe = replace(RECIPE, epochs=25, strength=0.0, learning_rate=5e-3)
    folder = fit(dataset, run_plan(dataset, recipe), fold=1)
    assert by_xla == [keras.backend.backend() == "jax"]
    valid = np.load(folder / "valid.npy")
    truth = dataset.index_of(dataset.train["label"][dataset.train["fold"] == 1])
    assert (valid.argmax(axis=1) == truth).mean() >= 0.9
    model = folds.fit.make_network(run_plan(dataset, recipe).candidate, recipe, 3, 3)
    model.load_weights(folder / "model.weights.h5")
    shas = dataset.train["sha"][dataset.train["fold"] == 1].tolist()
    inputs = PixelInputs(ImageStore(PixelSpec(16)), policy(0, frozenset()))
    assert np.allclose(predict(model, inputs, shas), valid, atol=1e-6)


def test_no_row_of_the_fold_is_ever_in_a_batch(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    real = TrainBatches.__init__

    def note(self: Any, store: Any, shas: Any, *rest: Any, **named: Any) -> None:
        seen.update(shas)
        real(self, store, shas, *rest, **named)

    monkeypatch.setattr(TrainBatches, "__init__", note)
    fit(dataset, run_plan(dataset, replace(RECIPE, epochs=1)), fold=2)
    valid = set(dataset.train["sha"][dataset.train["fold"] == 2])
    assert seen and not seen & valid and len(seen) == 24


def test_seeds_change_the_run_and_nothing_else_does(dataset: Dataset) -> None:
    recipe = replace(RECIPE, epochs=1)
    first = np.load(fit(dataset, run_plan(dataset, recipe)) / "valid.npy")
    other = np.load(fit(dataset, run_plan(dataset, recipe, seed=1)) / "valid.npy")
    assert (first != other).any()


def test_a_loss_that_is_not_finite_is_tried_once_more_with_half_the_rate(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    real = folds.loop.make_optimizer

    def note(recipe: Recipe, *rest: Any) -> Any:
        rates.append(recipe.learning_rate)
        broken = replace(recipe, learning_rate=float("nan")) if len(rates) == 1 else recipe
        return real(replace(broken, warmup=0.0), *rest)

    monkeypatch.setattr(folds.loop, "make_optimizer", note)
    notes: list[Any] = []
    folder = fit(dataset, run_plan(dataset, RECIPE), notes=notes)
    marker = read_marker(folder)
    assert marker is not None and rates == [RECIPE.learning_rate, RECIPE.learning_rate / 2]
    assert marker["attempts"] == [
        {"failed": "the loss was not finite", "then": {"learning_rate": RECIPE.learning_rate / 2}}
    ]
    assert marker["recipe"]["learning_rate"] == RECIPE.learning_rate / 2
    assert any("tried once more" in str(note) for note in notes)


def test_a_second_failure_is_one_clear_line(dataset: Dataset) -> None:
    recipe = replace(RECIPE, learning_rate=float("inf"), warmup=0.0)
    with pytest.raises(
        TrainingFailed, match="fold 0: the loss was not finite, with half the rate too; try a lower"
    ) as failure:
        fit(dataset, run_plan(dataset, recipe))
    assert "\n" not in str(failure.value)


def test_memory_that_runs_out_is_tried_once_more_with_half_the_batch_and_two_steps(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def small_machine(batches: TrainBatches) -> Any:
        sizes.append(batches.batch_size)
        if batches.batch_size > 4:
            raise MemoryError
        return fed(batches)

    monkeypatch.setattr("folds.loop.fed", small_machine)
    marker = read_marker(fit(dataset, run_plan(dataset, RECIPE)))
    assert marker is not None and sizes == [8, 4]
    assert marker["attempts"][0]["then"] == {"batch_size": 4, "accumulation_steps": 2}


def test_what_fit_is_fed_is_the_batches_of_the_epoch_and_no_thread_that_an_epoch_waits_for(dataset: Dataset) -> None:
    labels = dataset.index_of(dataset.train["label"])
    batches = TrainBatches(
        PixelInputs(ImageStore(PixelSpec(16)), policy(0.5, frozenset({"flip"}))),
        dataset.train["sha"].tolist(),
        np.eye(3, dtype=np.float32)[labels],
        np.ones(len(labels), np.float32),
        batch_size=7,
        seed=1,
    )
    taken = fed(batches)
    for epoch in (4, 2):
        batches.start_epoch(epoch)
        found = list(taken)
        assert len(found) == len(batches) > 1
        for number, batch in enumerate(found):
            for ours, theirs in zip(batch, batches[number], strict=True):
                assert ours.dtype.name == theirs.dtype.name and (np.asarray(ours) == theirs).all()
    assert taken.options().autotune.enabled is False


def test_inner_rows_choose_the_epoch_and_classes_may_be_weighted(dataset: Dataset) -> None:
    folder = fit(dataset, run_plan(dataset, replace(RECIPE, inner_valid=0.25, class_weights=True)))
    history, marker = json.loads((folder / "history.json").read_text()), read_marker(folder)
    assert len(history["inner_loss"]) == RECIPE.epochs
    assert marker is not None and marker["recipe"]["class_weights"] is True


def test_an_edited_fold_table_stops_training(dataset: Dataset) -> None:
    path = dataset.folder / "folds.csv"
    path.write_text(path.read_text().replace(",0", ",1", 1))
    with pytest.raises(Refused, match=r"folds\.csv was edited"):
        fit(dataset, run_plan(dataset))


def test_batches_depend_on_seed_epoch_and_row_only(dataset: Dataset) -> None:
    shas = dataset.train["sha"].tolist()
    targets, weights = np.eye(len(shas), dtype=np.float32), np.ones(len(shas), np.float32)

    def batches() -> TrainBatches:
        move = policy(0.7, frozenset({"flip", "rotate"}))
        inputs = PixelInputs(ImageStore(PixelSpec(16)), move)
        return TrainBatches(inputs, shas, targets, weights, batch_size=10, seed=3, mixing=Mixing(0.2, 0.5))

    one, other = batches(), batches()
    one.start_epoch(5)
    other[1]
    other.start_epoch(2)
    other.start_epoch(5)
    assert len(one) == 3
    for ours, theirs in zip(one[2], other[2], strict=True):
        assert (ours == theirs).all()
    one.mixing = Mixing()
    rows = np.concatenate([one[i][1].argmax(axis=1) for i in range(3)])
    assert len(set(rows.tolist())) == 30
