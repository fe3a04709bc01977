"""Promises 5 and 8 for fits on frozen parts: the same bytes when repeated, resumed, or after another fit of the same worker."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import folds.features
import folds.fit
import folds.loop
from comp.engine import ignore_events
from comp.engines.inline import InlineEngine
from comp.images import CACHE
from comp.spec import Recipe
from comp.store import read_marker
from folds.batches import TrainBatches
from folds.dataset import Dataset
from folds.predict import predict_run
from folds.runs import RunPlan, fold_dir, run_dir
from tests.frozen import ALL_ON, fit, frozen_plan, model_weights, untrained

pytestmark = pytest.mark.usefixtures("float32")

CUT = "block3_pool"
FITS: dict[str, dict[str, Any]] = {
    "probe": {"mixup": 0.2, "ema": 0.9},
    "tail": {"cut": CUT, "pool": "gem", "head": "cosine", **ALL_ON},
    "full": ALL_ON,
}
RESULTS = ("valid.npy", "test.npy", "ids.json")


def results(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in RESULTS}


def fold_of(dataset: Dataset, plan: RunPlan, fold: int = 0) -> Path:
    return fold_dir(run_dir(dataset.folder, plan), fold)


class Killed(Exception):
    """Stands for a kill: it passes through everything."""


def kill_after(monkeypatch: pytest.MonkeyPatch, n_epochs: int) -> None:
    real = folds.loop._Loop.on_epoch_end

    def end(self: Any, epoch: int, logs: Any = None) -> None:
        real(self, epoch, logs)
        if epoch + 1 == n_epochs:
            raise Killed

    monkeypatch.setattr(folds.loop._Loop, "on_epoch_end", end)


@pytest.mark.parametrize("fitted", FITS)
def test_resumed_and_after_another_fit_it_is_the_same_to_the_last_bit(
    dataset: Dataset, weights: Path, monkeypatch: pytest.MonkeyPatch, fitted: str
) -> None:
    plan = frozen_plan(dataset, weights, fitted, **FITS[fitted])  # type: ignore[arg-type]
    expected = results(fit(dataset, plan))
    end = model_weights(fold_of(dataset, plan), plan, weights)
    fold_of(dataset, plan).rename(dataset.folder / "undisturbed")
    with monkeypatch.context() as patch:
        kill_after(patch, 1)
        with pytest.raises(Killed):
            fit(dataset, plan)
    assert read_marker(fold_of(dataset, plan)) is None
    keras.config.set_dtype_policy("mixed_bfloat16")
    fit(dataset, frozen_plan(dataset, weights, "probe", seed=5, epochs=1, head="cosine"))  # by the same worker
    resumed = fit(dataset, plan)
    assert results(resumed) == expected
    assert all((a == b).all() for a, b in zip(model_weights(resumed, plan, weights), end, strict=True))
    assert len(json.loads((resumed / "history.json").read_text())["loss"]) == 3
    before = [np.asarray(weight) for weight in untrained(plan, weights).weights]
    assert all((a != b).any() for a, b in zip(end, before, strict=True))  # the exponent of the pooling too


def test_killed_after_the_last_epoch_the_average_still_predicts(
    dataset: Dataset, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = frozen_plan(dataset, weights, "probe", ema=0.9)
    expected = results(fit(dataset, plan))
    fold_of(dataset, plan).rename(dataset.folder / "undisturbed")
    with monkeypatch.context() as patch:
        kill_after(patch, 3)
        with pytest.raises(Killed):
            fit(dataset, plan)
    assert results(fit(dataset, plan)) == expected


def test_a_tail_starts_from_a_head_that_has_learnt(dataset: Dataset, weights: Path) -> None:
    warm = frozen_plan(dataset, weights, "tail", cut=CUT, epochs=1, head_epochs=60, learning_rate=1e-9, dropout=0.0)
    cold = replace(warm, recipe=replace(warm.recipe, head_epochs=0))
    first, other = (json.loads((fit(dataset, plan) / "history.json").read_text())["loss"][0] for plan in (warm, cold))
    assert first < other - 0.2
    assert not (fold_of(dataset, warm) / "head").exists()


def test_a_head_whose_loss_is_not_finite_starts_anew_at_half_its_rate(
    dataset: Dataset, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = frozen_plan(dataset, weights, "tail", cut=CUT, epochs=1, head_epochs=2)
    seen: list[tuple[float, int]] = []
    real = folds.loop._Loop.on_epoch_end

    def end(self: Any, epoch: int, logs: Any = None) -> None:
        seen.append((self.recipe.learning_rate, epoch))
        real(self, epoch, {"loss": np.nan} if len(seen) == 2 else logs)

    monkeypatch.setattr(folds.loop._Loop, "on_epoch_end", end)
    marker = read_marker(fit(dataset, plan))
    rate, head_rate = plan.recipe.learning_rate, plan.recipe.head_learning_rate
    assert seen == [(head_rate, 0), (head_rate, 1), (head_rate / 2, 0), (head_rate / 2, 1), (rate / 2, 0)]
    then = {"learning_rate": rate / 2, "head_learning_rate": head_rate / 2}
    assert marker is not None and marker["attempts"] == [{"failed": "the loss was not finite", "then": then}]


def test_a_head_that_runs_out_of_memory_has_half_the_batch(
    dataset: Dataset, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, int]] = []
    monkeypatch.setattr(folds.fit, "HEAD_BATCH", 16)

    def small_machine(network: Any, recipe: Recipe, batches: TrainBatches, folder: Path, *rest: Any) -> Any:
        folder.mkdir(parents=True, exist_ok=True)
        sizes.append((batches.batch_size, recipe.accumulation_steps))
        if batches.batch_size > 8:
            raise MemoryError
        return {"loss": [1.0], "inner_loss": [], "seconds": [0.0]}

    monkeypatch.setattr(folds.fit, "train_network", small_machine)
    fit(dataset, frozen_plan(dataset, weights, "tail", cut=CUT, epochs=1, head_epochs=2))
    assert sizes == [(16, 1), (8, 2), (4, 2)]


# test_views shows it of a tail too
@pytest.mark.parametrize("fitted", ["probe", pytest.param("tail", marks=pytest.mark.slow)])
def test_a_finished_fit_answers_where_its_features_were_cleaned_away(
    dataset: Dataset, weights: Path, fitted: str
) -> None:
    extra: dict[str, Any] = {"cut": CUT, "head_epochs": 2} if fitted == "tail" else {}
    plan = frozen_plan(dataset, weights, fitted, epochs=1, **extra)  # type: ignore[arg-type]
    expected = np.mean([np.load(fit(dataset, plan, k) / "test.npy") for k in range(dataset.n_folds)], axis=0)
    shutil.rmtree(CACHE / "features")
    shas, run = dataset.readable_test["sha"].tolist(), run_dir(dataset.folder, plan)
    unknown = [""] * len(shas)
    found = predict_run(run, plan, dataset, shas, unknown, InlineEngine(), ignore_events, CACHE / "answers")
    assert np.abs(found - expected).max() < 1e-6
