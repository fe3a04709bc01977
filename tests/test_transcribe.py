"""Promises of one fold that reads transcripts: resumed it is the same, alone a row is what it is among others, nothing leaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import folds.loop
from comp.errors import BadInput, Refused
from comp.registry import load_backbone
from comp.spec import Candidate, Recipe
from comp.store import read_json, read_marker
from folds.cv import write_run
from folds.dataset import Dataset
from folds.fit import MODEL
from folds.oof import check_fold
from folds.runs import RunPlan, fold_dir, run_dir
from folds.strips import padded
from folds.train import fit_fold, gather
from folds.transcribe import (
    Reader,
    as_labels,
    fresh_reader,
    in_columns,
    make_reader,
    stride_of,
    unknown_characters,
)
from tests.words import HEIGHT, words_dataset, words_plan

RESULTS = ("valid.npy", "test.npy", "ids.json")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Work in one folder for the whole file: its pictures, its fold table and one fitted fold are made once."""
    folder = tmp_path_factory.mktemp("words")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def dataset(home: Path) -> Dataset:
    return words_dataset(home / "data")[0]


@pytest.fixture(scope="module")
def fitted(dataset: Dataset) -> tuple[RunPlan, Path]:
    """Return a plan and the folder of its fold 0, trained without disturbance."""
    plan = words_plan(dataset)
    return plan, fit(dataset, plan)


def fit(dataset: Dataset, plan: RunPlan, fold: int = 0) -> Path:
    write_run(dataset.folder, plan)
    run = run_dir(dataset.folder, plan)
    fit_fold(lambda kind, value: None, str(run), fold, "cache")
    return fold_dir(run, fold)


def test_a_fold_s_outputs_are_frames_beside_ids_lengths_and_alphabet(
    dataset: Dataset, fitted: tuple[RunPlan, Path]
) -> None:
    folder, ids = fitted[1], read_json(fitted[1] / "ids.json")
    assert ids["classes"] == dataset.classes == ["", *sorted(set("".join(dataset.train["label"])))]
    for name in ("valid", "test"):
        values = np.load(folder / f"{name}.npy")
        assert values.shape == (sum(ids[f"{name}_lengths"]), len(dataset.classes)) and values.dtype == np.float32
        assert np.allclose(values.sum(axis=1), 1, atol=1e-4) and len(ids[name]) == len(ids[f"{name}_lengths"])
    marker = read_marker(folder)
    assert marker is not None and marker["alphabet"] == dataset.classes and marker["unknown_characters"] == {}
    check_fold("run", marker, ids, dataset, 0)
    with pytest.raises(Refused, match="leak"):
        check_fold("run", {**marker, "trained_on_folds": [0, 1]}, ids, dataset, 0)


def test_pages_never_straddle_folds(dataset: Dataset) -> None:
    assert dataset.train.groupby("group")["fold"].nunique().max() == 1
    assert sorted(set(dataset.train["fold"])) == [0, 1, 2]


class Killed(Exception):
    """Stands for a kill: it passes through everything."""


@pytest.mark.slow
def test_resumed_it_is_the_same_to_the_last_bit(
    dataset: Dataset, fitted: tuple[RunPlan, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, folder = fitted
    kept = folder.rename(dataset.folder / "undisturbed")
    real = folds.loop._Loop.on_epoch_end

    def end(self: Any, epoch: int, logs: Any = None) -> None:
        real(self, epoch, logs)
        if epoch == 0:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(folds.loop._Loop, "on_epoch_end", end)
        with pytest.raises(Killed):
            fit(dataset, plan)
    assert read_marker(folder) is None
    fit(dataset, plan)
    assert {name: (folder / name).read_bytes() for name in RESULTS} == {
        name: (kept / name).read_bytes() for name in RESULTS
    }
    assert len(json.loads((folder / "history.json").read_text())["loss"]) == plan.recipe.epochs


def test_a_row_alone_is_what_it_is_among_others(dataset: Dataset, fitted: tuple[RunPlan, Path]) -> None:
    fold = gather(fitted[1].parent, 0, Path("cache"), "")
    network = fresh_reader(fold, dataset.classes)
    network.load_weights(fitted[1] / MODEL)
    reader, shas = Reader(network, fold.inputs), dataset.train["sha"].tolist()[:9]
    together, lengths = reader(shas)
    ends = np.cumsum([0, *lengths])
    for row in (0, 4, 8):
        alone, _ = reader([shas[row]])
        assert np.allclose(alone, together[ends[row] : ends[row + 1]], atol=1e-5)


@pytest.mark.parametrize("variant", ["tiny", "lstm"])
def test_what_is_right_of_a_strip_does_not_matter_and_is_blank(variant: str) -> None:
    keras.utils.set_random_seed(1)
    recipe = Recipe(pixels=16, width=4, dropout=0.0)
    reader = make_reader(Candidate("crnn", variant, "scratch", 16), recipe, 5, 1)
    assert stride_of(reader) == 4
    strips = [np.random.default_rng(0).integers(0, 256, (16, width, 1)).astype(np.uint8) for width in (41, 90)]
    alone, together = (reader(list(padded(some)), training=False) for some in (strips[:1], strips))
    alone, together = np.asarray(alone), np.asarray(together)
    assert alone.shape == (1, 12, 5) and together.shape == (2, 24, 5)
    assert np.allclose(alone[0, :11], together[0, :11], atol=1e-4)
    assert (together[0, 11:].argmax(axis=1) == 0).all() and together[0, 11:, 0].min() > 20


def test_gru_and_lstm_are_different_and_others_are_refused() -> None:
    sizes = {
        variant: load_backbone("crnn").build(16, variant, width=4, has_widths=True).count_params()
        for variant in ("gru", "lstm")
    }
    assert sizes["lstm"] > sizes["gru"]
    with pytest.raises(BadInput, match="crnn: expected strips of 16 px or more, got 12 px"):
        load_backbone("crnn").build(12, "tiny")
    with pytest.raises(BadInput, match="it reads no transcripts; name one that does: BACKBONES=crnn"):
        make_reader(Candidate("scratch_cnn", "tiny", "scratch", 16), Recipe(), 5, 1)


def test_labels_are_places_in_the_alphabet_and_strangers_are_counted() -> None:
    alphabet = ["", "a", "b", "é"]
    assert as_labels(["ab", "", "bxé", "e\u0301"], alphabet).tolist() == [[1, 2], [0, 0], [2, 3], [3, 0]]
    assert unknown_characters(["axx", "by", "e\u0301"], alphabet) == {"x": 2, "y": 1}


def test_columns_are_matched_by_character() -> None:
    frames = np.array([[0.5, 0.25, 0.25]], np.float32)
    assert in_columns(frames, ["", "b", "a"], ["", "a", "b", "c"]).tolist() == [[0.5, 0.25, 0.25, 0.0]]
    assert in_columns(frames, ["", "c", "a"], ["", "a", "b", "c"]).tolist() == [[0.5, 0.25, 0.0, 0.25]]


@pytest.mark.slow
def test_one_batch_can_be_learnt_by_heart(dataset: Dataset) -> None:
    """Step and loss lead where they should: the words of one batch are read without a mistake in the end."""
    from comp.backend import step_of_any_width
    from comp.ctc import greedy

    fold = gather(run_dir(dataset.folder, words_plan(dataset)), 0, Path("cache"), "")
    texts, shas = dataset.train["label"].tolist()[:6], dataset.train["sha"].tolist()[:6]
    keras.utils.set_random_seed(1)
    reader = make_reader(fold.candidate, Recipe(pixels=HEIGHT, width=16, dropout=0.0), len(dataset.classes), 1)
    reader.compile(keras.optimizers.Adam(0.01), keras.losses.CTC(), jit_compile=False)
    reader.optimizer.build(reader.trainable_variables)
    taken, labels = padded(fold.inputs.seen(shas)), as_labels(texts, dataset.classes)
    step = step_of_any_width(reader, 1, labels.shape[1])
    for _ in range(120):
        step(taken, labels)
    frames, lengths = Reader(reader, fold.inputs)(shas)
    parts = np.split(frames, np.cumsum(lengths)[:-1])
    assert [greedy(part, dataset.classes) for part in parts] == texts
