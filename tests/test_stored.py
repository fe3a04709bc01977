"""What lies on disk: a CSV is made again bit by bit or refused; predictions of other tools come in by the same checks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from comp.engine import ignore_events
from comp.engines.inline import InlineEngine
from comp.errors import BadInput, FoldboardError, Refused
from comp.metrics import metric
from comp.spec import Competition
from comp.tables import read_csv
from folds.cv import train_runs, write_run
from folds.dataset import Dataset
from folds.oof import read_predictions, score
from submissions.combine import combine
from submissions.compare import compare_runs, runs_named
from submissions.methods import show_methods
from submissions.outside import add_run, outside_runs
from submissions.stored import find_dataset, finished_runs, key_of_run, read_manifest, view_dataset
from submissions.tables import score_tables
from submissions.verify import verify
from submissions.write import facts_of_format, make_submission, write_submission
from tests.made import CLASSES, RECIPE, SQUARES, run_plan, squares_dataset
from tests.made_runs import finished_run


@pytest.fixture
def dataset(in_folder: Path) -> Dataset:
    return squares_dataset(in_folder / "data")[0]


def submission(
    dataset: Dataset, runs: list[Path], tables: Any, competition: Competition = SQUARES, phylum: str = "auto"
) -> Path:
    combined = combine(competition, dataset, {run.name: read_predictions(run) for run in runs}, phylum)
    found = score(dataset, combined.predictions.oof, "macro_f1")
    manifest = {
        "metric": "macro_f1",
        "cv": {"score": round(found.value, 6), "low": found.low, "high": found.high},
        "runs": [{"backbone": "scratch_cnn", "folder": run.as_posix(), "key": key_of_run(run)} for run in runs],
        "ensemble": combined.facts(),
        "format": facts_of_format(competition),
    }
    return write_submission(make_submission(tables, dataset, combined.predictions), dataset, competition, manifest)


@pytest.fixture
def written(in_folder: Path) -> tuple[Dataset, Path, list[Path]]:
    dataset, tables = squares_dataset(in_folder / "data")
    runs = [finished_run(dataset, seed, 0.8) for seed in range(3)]
    return dataset, submission(dataset, runs, tables), runs


def test_a_csv_is_made_again_from_its_manifest(written: tuple[Dataset, Path, list[Path]]) -> None:
    dataset, file, _runs = written
    found = verify(file)
    assert found.sha256.startswith(file.stem) and found.n_runs == 3 and found.n_rows == len(dataset.test)


def test_a_csv_whose_columns_follow_the_sample_is_made_again(in_folder: Path) -> None:
    dataset, tables = squares_dataset(in_folder / "data")
    wide = replace(SQUARES, submission="probabilities")
    order = ["coral", "amber", "blue"]
    sample = pd.DataFrame({"id": dataset.test["id"], **dict.fromkeys(order, "0.3")}, dtype=str)
    runs = [finished_run(dataset)]
    file = submission(dataset, runs, replace(tables, competition=wide, sample=sample), wide)
    assert read_csv(file).columns.tolist() == ["id", *order]
    assert verify(file).n_rows == len(dataset.test)
    sorted_file = submission(dataset, runs, replace(tables, competition=wide, sample=None), wide)
    assert sorted_file != file and verify(sorted_file).n_rows == len(dataset.test)


@pytest.mark.parametrize("name", ["", "answers", "answers.json", "runs", "answers.csv.zip"])
def test_what_is_no_csv_by_its_name_is_one_line(in_folder: Path, name: str) -> None:
    (in_folder / "answers.json").write_text('{"sha256": "0", "competition": "squares"}')
    for command in (verify, score_tables, read_manifest, lambda file: show_methods(file, None)):
        with pytest.raises(BadInput, match=rf"^FILE={name}: expected a CSV that this project wrote"):
            command(Path(name))


@pytest.mark.parametrize("content", ['["a"]', '{"preset": "quick"}', "3"])
def test_a_file_beside_that_is_no_manifest_is_one_line(in_folder: Path, content: str) -> None:
    (in_folder / "data.json").write_text(content)
    (in_folder / "data.csv").write_text("id,colour\n1,amber\n")
    with pytest.raises(BadInput, match=r"data.json is no manifest"):
        verify(Path("data.csv"))


def test_a_csv_that_is_gone_is_one_line(written: tuple[Dataset, Path, list[Path]]) -> None:
    written[1].unlink()
    with pytest.raises(BadInput, match=r"\.csv is gone, only its manifest is here"):
        verify(written[1])


def change_manifest(change: Callable[[dict[str, Any]], None]) -> Callable[[Path, list[Path]], None]:
    def spoil(file: Path, runs: list[Path]) -> None:
        manifest = json.loads(file.with_suffix(".json").read_text())
        change(manifest)
        file.with_suffix(".json").write_text(json.dumps(manifest))

    return spoil


def edit_csv(file: Path, runs: list[Path]) -> None:
    file.write_text(file.read_text().replace("amber", "coral", 1))


def shuffle_run(file: Path, runs: list[Path]) -> None:
    np.save(runs[0] / "oof.npy", np.load(runs[0] / "oof.npy")[::-1])


def swap_runs(manifest: dict[str, Any]) -> None:
    manifest["runs"][0]["folder"], manifest["runs"][1]["folder"] = (
        manifest["runs"][1]["folder"],
        manifest["runs"][0]["folder"],
    )


SPOILED: dict[str, tuple[Callable[[Path, list[Path]], None], str]] = {
    "edited CSV": (edit_csv, "was edited"),
    "changed run": (shuffle_run, "was changed"),
    "run gone": (lambda file, runs: (runs[1] / "predictions.json").unlink(), "is not there"),
    "other run": (change_manifest(swap_runs), "another one now"),
    "other rule": (
        change_manifest(lambda manifest: manifest["ensemble"].update(blend="mean", weights=[-1.0, 0.2, 0.1])),
        "made again its hash",
    ),
    "flattering score": (change_manifest(lambda manifest: manifest["cv"].update(score=0.99)), "says 0.990000"),
    "old manifest": (change_manifest(lambda manifest: manifest.pop("format")), "does not say how"),
    "no manifest": (lambda file, runs: file.with_suffix(".json").unlink(), "is not there"),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_what_was_changed_is_refused_in_one_line(written: tuple[Dataset, Path, list[Path]], kind: str) -> None:
    _dataset, file, runs = written
    spoil, words = SPOILED[kind]
    spoil(file, runs)
    with pytest.raises(FoldboardError) as failure:
        verify(file)
    assert words in str(failure.value) and "\n" not in str(failure.value)


def csvs(dataset: Dataset, run: Path, folder: Path, with_folds: bool = True) -> tuple[Path, Path]:
    """Write a run as another tool would: shuffled rows, columns in another order."""
    found = read_predictions(run)
    oof = pd.DataFrame(found.oof.astype(float), columns=found.classes).assign(id=found.oof_ids)
    if with_folds:
        oof["fold"] = dataset.in_folds["fold"]
    test = pd.DataFrame(found.test.astype(float), columns=found.classes).assign(id=found.test_ids)
    oof.sample(frac=1, random_state=1).to_csv(folder / "oof.csv", index=False)
    test[["coral", "id", "blue", "amber"]].to_csv(folder / "test.csv", index=False)
    return folder / "oof.csv", folder / "test.csv"


@pytest.mark.parametrize(("with_folds", "words"), [(True, "declared"), (False, "unverified")])
def test_outside_predictions_come_back_as_they_were(
    dataset: Dataset, in_folder: Path, with_folds: bool, words: str
) -> None:
    run = finished_run(dataset)
    admitted = add_run("mine", *csvs(dataset, run, in_folder, with_folds), dataset, "id")
    ours, theirs = read_predictions(run), read_predictions(admitted.folder)
    assert admitted.folds == words and np.allclose(ours.oof, theirs.oof) and np.allclose(ours.test, theirs.test)
    assert outside_runs(dataset, "mine") == {"outside-mine": admitted.folder}
    assert add_run("mine", *csvs(dataset, run, in_folder, with_folds), dataset, "id") == admitted
    with pytest.raises(BadInput, match="there are mine"):
        outside_runs(dataset, "yours")


def doubled(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.iloc[:1]])


def with_value(frame: pd.DataFrame, value: object) -> pd.DataFrame:
    frame = frame.astype({"amber": object})
    frame.iloc[4, frame.columns.get_loc("amber")] = value
    return frame


BAD: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "missing row": (lambda frame: frame.iloc[1:], "expected 36 ids, got 35"),
    "row twice": (doubled, "expected 36 ids, got 37"),
    "foreign row": (lambda frame: frame.assign(id=["x", *frame["id"][1:]]), "expected 36 ids"),
    "renamed class": (lambda frame: frame.rename(columns={"amber": "red"}), "'amber'"),
    "class missing": (lambda frame: frame.drop(columns="amber"), "'amber'"),
    "another column": (lambda frame: frame.assign(note="x"), "'note'"),
    "no ids": (lambda frame: frame.rename(columns={"id": "name"}), "no column 'id'"),
    "NaN": (lambda frame: with_value(frame, "nan"), "line 6"),
    "text": (lambda frame: with_value(frame, "high"), "line 6"),
    "negative": (lambda frame: with_value(frame, -0.2), "lowest -0.2"),
    "other folds": (lambda frame: frame.assign(fold=(frame["fold"] + 1) % 3), "was predicted as a row of fold"),
}


@pytest.mark.parametrize("kind", BAD)
def test_outside_predictions_that_do_not_fit_are_refused(dataset: Dataset, in_folder: Path, kind: str) -> None:
    oof, test = csvs(dataset, finished_run(dataset), in_folder)
    spoil, words = BAD[kind]
    spoil(pd.read_csv(oof, dtype={"id": str})).to_csv(oof, index=False)
    with pytest.raises(FoldboardError) as failure:
        add_run("mine", oof, test, dataset, "id")
    assert words in str(failure.value) and "\n" not in str(failure.value)
    assert not list(dataset.folder.glob("outside-*"))


def test_a_fold_that_looks_trained_on_is_refused_unless_trusted(dataset: Dataset, in_folder: Path) -> None:
    oof, test = csvs(dataset, finished_run(dataset, skill=-3.0), in_folder)
    frame = pd.read_csv(oof, dtype={"id": str})
    truth = dict(zip(dataset.in_folds["id"], dataset.in_folds["label"], strict=True))
    rows = frame["fold"] == 1
    for name in CLASSES:
        frame.loc[rows, name] = [float(truth[row_id] == name) for row_id in frame["id"][rows]]
    frame.to_csv(oof, index=False)
    with pytest.raises(Refused, match=r"fold 1 has accuracy 1.000.*looks trained on"):
        add_run("mine", oof, test, dataset, "id")
    assert add_run("mine", oof, test, dataset, "id", is_trusted=True).folder.is_dir()


def test_grades_are_their_numbers_wherever_runs_are_scored(dataset: Dataset) -> None:
    grades = ("0", "10", "2")  # as they are sorted
    labels = dataset.train["label"].map(dict(zip(CLASSES, grades, strict=True)))
    dataset = replace(
        dataset, train=dataset.train.assign(label=labels), facts={**dataset.facts, "classes": list(grades)}
    )
    runs = [finished_run(dataset, 0, 0.5, backbone) for backbone in ("scratch_cnn", "mlp_mixer")]
    tables = [read_predictions(run).oof for run in runs]
    expected = [metric("qwk", grades).function(dataset.truth, table) for table in tables]
    assert [score(dataset, table, "qwk").value for table in tables] == pytest.approx(expected)
    assert expected != pytest.approx([metric("qwk").function(dataset.truth, table) for table in tables])
    found = compare_runs(dataset, *(run.name for run in runs), "qwk")
    assert (found.a, found.b) == pytest.approx(tuple(expected))
    combined = combine(replace(SQUARES, metric="qwk"), dataset, {runs[0].name: read_predictions(runs[0])}, "no")
    assert combined.choice.chosen.naive == pytest.approx(expected[0])


def test_names_of_runs_mean_all_seeds_of_one_recipe(dataset: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [finished_run(dataset, seed, skill=0.5 + seed / 10) for seed in range(2)]
    other = [finished_run(dataset, seed, 5.0, "mlp_mixer") for seed in range(2)]
    assert runs_named(dataset, "scratch_cnn:tiny") == runs and runs_named(dataset, runs[0].name) == runs
    assert compare_runs(dataset, "scratch_cnn", "mlp_mixer", "accuracy").gain > 0
    assert "rows and seeds" in capsys.readouterr().out
    for a, b, words in (
        ("vgg16", "mlp_mixer", "means no finished run"),
        (runs[0].name, "scratch_cnn", "both mean"),
        (":", other[0].name, "no finished run"),
    ):
        with pytest.raises(BadInput, match=words):
            compare_runs(dataset, a, b, "accuracy")


def test_two_recipes_of_one_candidate_are_compared_over_their_seeds_by_runs_in_full(
    dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    one = [finished_run(dataset, seed) for seed in range(2)]
    other = [finished_run(dataset, seed, 4.0, recipe=replace(RECIPE, dropout=0.4)) for seed in range(3)]
    with pytest.raises(BadInput, match=r"means runs of 2 recipes.*name one run of a recipe in full"):
        runs_named(dataset, "scratch_cnn")
    assert compare_runs(dataset, one[1].name, other[0].name, "accuracy").n_seeds == (2, 3)
    out = capsys.readouterr().out
    assert "seeds found: 2 of A's recipe, 3 of B's" in out and "(rows and seeds)" in out


def test_a_run_that_only_a_search_trained_counts_once_a_plan_uses_it(dataset: Dataset) -> None:
    plan = run_plan(dataset, backbone="scratch_cnn")
    write_run(dataset.folder, plan, is_trial=True)
    run = finished_run(dataset)
    assert finished_runs(dataset.folder) == []
    train_runs([plan], dataset, InlineEngine(), ignore_events)
    assert finished_runs(dataset.folder) == [run]
    write_run(dataset.folder, plan, is_trial=True)  # a trial that takes a plan's run leaves it the plan's
    assert finished_runs(dataset.folder) == [run]


def test_the_fold_table_is_found_or_asked_for(dataset: Dataset, in_folder: Path) -> None:
    assert find_dataset("squares").folder == dataset.folder
    squares_dataset(in_folder / "more", n_test=9)
    with pytest.raises(BadInput, match="several fold tables"):
        find_dataset("squares")
    finished_run(dataset)
    assert find_dataset("squares").data8 == dataset.data8
    with pytest.raises(BadInput, match="no fold table 12345678 of squares"):
        find_dataset("squares", "12345678")


def test_what_only_looks_takes_the_fold_table_of_the_newest_run(
    dataset: Dataset, in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = squares_dataset(in_folder / "more", n_test=9)[0]
    for table in (other, dataset):
        done = finished_run(table) / "done.json"
        os.utime(done, ns=(1, 1 if table is other else 2))
    assert view_dataset("squares").data8 == dataset.data8 and other.data8 in capsys.readouterr().out
    assert view_dataset("squares", other.data8).data8 == other.data8
    with pytest.raises(BadInput, match="several fold tables"):
        find_dataset("squares")
