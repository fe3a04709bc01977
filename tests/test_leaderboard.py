"""The local leaderboard and the tables: sorted by what was judged nested, ties with the top marked, Kaggle's scores beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import classification_report

from comp.errors import BadInput
from comp.metrics import metric
from comp.store import sha256_of_file
from comp.tables import read_csv
from folds.dataset import Dataset
from submissions.leaderboard import leaderboard, medal_of, show_leaderboard
from submissions.stored import read_manifest, rebuild
from submissions.tables import by_class, by_condition, score_tables
from submissions.verify import verify
from tests.made import SQUARES, squares_dataset
from tests.made_runs import finished_run, made_matched
from tests.test_stored import submission


@pytest.fixture
def dataset(in_folder: Path) -> Dataset:
    return squares_dataset(in_folder / "data")[0]


def test_runs_and_csvs_stand_by_cv_and_what_the_top_does_not_beat_is_marked(in_folder: Path) -> None:
    dataset, tables = squares_dataset(in_folder / "data")
    good, poor = finished_run(dataset, skill=6.0), finished_run(dataset, skill=-2.0, backbone="mlp_mixer")
    file = submission(dataset, [good], tables)
    entries = leaderboard(dataset, SQUARES)
    assert [one.kind for one in entries] == ["CSV", "run", "run"] and entries[-1].name == poor.name
    assert [one.is_tied for one in entries] == [True, True, False]
    assert entries[1].seconds == 6.0 and entries[0].low <= entries[0].cv <= entries[0].high
    path = show_leaderboard(entries, dataset, SQUARES)
    assert read_csv(path)["name"].tolist() == [one.name for one in entries] and verify(file)


def test_a_csv_whose_runs_are_gone_keeps_its_score(in_folder: Path) -> None:
    dataset, tables = squares_dataset(in_folder / "data")
    runs = [finished_run(dataset, seed) for seed in range(2)]
    submission(dataset, runs[:1], tables)
    (runs[0] / "predictions.json").unlink()
    found = {one.kind: one for one in leaderboard(dataset, SQUARES)}
    assert found["CSV"].draws is None and found["CSV"].cv > 0 and found["CSV"].parameters == 0


def test_a_csv_whose_runs_are_gone_is_not_compared_and_the_best_that_is_marks_the_rest(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, tables = squares_dataset(in_folder / "data")
    gone = finished_run(dataset, skill=9.0)
    submission(dataset, [gone], tables)
    (gone / "predictions.json").unlink()
    good, poor = finished_run(dataset, 1, skill=5.0), finished_run(dataset, 2, skill=-2.0)
    entries = leaderboard(dataset, SQUARES)
    assert [one.kind for one in entries] == ["CSV", "run", "run"]
    assert [(one.name, one.is_tied) for one in entries[1:]] == [(good.name, True), (poor.name, False)]
    assert entries[0].draws is None and not entries[0].is_tied
    show_leaderboard(entries, dataset, SQUARES)
    out = " ".join(capsys.readouterr().out.split())
    assert "the best one whose runs are here does not beat" in out and "not compared: 1 whose runs are gone" in out


def test_a_csv_is_ranked_by_the_metric_that_the_competition_has_now(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, tables = squares_dataset(in_folder / "data")
    runs = [finished_run(dataset, seed) for seed in range(2)]
    file = submission(dataset, runs, tables)
    now = replace(SQUARES, metric="log_loss")
    table = rebuild(read_manifest(file), "the CSV").predictions.oof
    entries = leaderboard(dataset, now)
    found = next(one for one in entries if one.kind == "CSV")
    assert found.cv == pytest.approx(metric("log_loss").function(dataset.truth, table)) and found.low < found.cv
    assert [one.cv for one in entries] == sorted(one.cv for one in entries) and found.parameters == 2000
    (runs[0] / "predictions.json").unlink()
    assert [one.kind for one in leaderboard(dataset, now)] == ["run"]
    assert f"{file.name} (" in (out := capsys.readouterr().out) and "is left out: its score is macro_f1" in out


def test_kaggle_s_scores_and_medals_stand_beside_them(in_folder: Path) -> None:
    dataset, tables = squares_dataset(in_folder / "data")
    sha = sha256_of_file(submission(dataset, [finished_run(dataset)], tables))
    events = [("created", "", ""), ("scored", "0.81", ""), ("scored", "", "0.93")]
    ledger = pd.DataFrame([{"event": e, "sha256": sha, "public_score": a, "private_score": b} for e, a, b in events])
    ledger.to_csv(in_folder / "ledger.csv", index=False)
    medals = {"gold": 0.95, "silver": 0.9, "bronze": 0.8, "median": 0.5}
    entries = leaderboard(dataset, replace(SQUARES, medals=medals), in_folder / "ledger.csv")
    found = next(one for one in entries if one.kind == "CSV")
    assert (found.public, found.private, found.medal) == ("0.81", "0.93", "silver")


def test_medals_go_by_the_direction_of_the_metric() -> None:
    lines = {"gold": 0.04, "silver": 0.05, "bronze": 0.06, "median": 0.12}
    told = [medal_of(lines, value, metric("log_loss")) for value in (0.03, 0.05, 0.1, 0.2)]
    assert told == ["gold", "silver", "median", "below median"] and medal_of({}, 0.1, metric("log_loss")) == ""


def test_nothing_to_show_is_one_clear_line(dataset: Dataset) -> None:
    with pytest.raises(BadInput, match="no finished run of squares"):
        leaderboard(dataset, SQUARES)


def test_the_table_by_class_equals_scikit_learn() -> None:
    matched = made_matched((0.7,))
    table = by_class(matched.truth, matched.oof[0], matched.classes, matched.condition).set_index("class")
    report = classification_report(
        matched.truth, matched.oof[0].argmax(axis=1), target_names=matched.classes, output_dict=True, zero_division=0
    )
    for name in matched.classes:
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score"), ("rows", "support")):
            assert table.loc[name, ours] == pytest.approx(report[name][theirs])
    assert table["f1"].is_monotonic_increasing and set(table["condition"]) == {"arthropoda", "chordata"}


def test_the_table_by_phylum_scores_each_by_itself() -> None:
    matched = made_matched((0.7,))
    table = by_condition(matched.truth, matched.oof[0], matched.condition, metric("accuracy"))
    hits = matched.oof[0].argmax(axis=1) == matched.truth
    for one in table.to_dict("records"):
        inside = matched.condition == one["condition"]
        assert one["accuracy"] == pytest.approx(hits[inside].mean()) and one["classes"] == 3
        assert one["low"] <= one["accuracy"] <= one["high"]
    assert np.isclose((table["accuracy"] * table["rows"]).sum() / 600, hits.mean())


def test_the_tables_of_a_csv_are_shown_and_written(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset, tables = squares_dataset(in_folder / "data")
    path = score_tables(submission(dataset, [finished_run(dataset)], tables))
    assert set(read_csv(path)["class"]) == set(dataset.classes)
    assert "told worst" in capsys.readouterr().out
