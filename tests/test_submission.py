"""Promise 9: a CSV is checked before anyone sees it; truths of grading: the answers score 1, the sample does not."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score
from typer.testing import CliRunner

import submissions.grade
from comp.errors import BadInput, Refused
from comp.spec import Candidate, Recipe
from comp.store import sha256_of_file
from comp.tables import read_csv
from folds.dataset import Dataset
from folds.oof import Predictions
from submissions.check import check_file, check_frame
from submissions.cli import app
from submissions.grade import grade, grade_line, graded
from submissions.plan import Settings, make_plan
from submissions.submit import Line, seconds_in_all, seconds_side_by_side, train_all
from submissions.write import (
    _of_the_work,
    check_out,
    copy_to,
    make_frame,
    make_submission,
    template_classes,
    template_ids,
    with_prior,
    write_submission,
)
from tests.homes import FACTS
from tests.made import CLASSES, SQUARES, make_squares, squares_dataset

IDS = ["036", "037", "038", "039", "040", "041"]
TRUTH = ["amber", "blue", "coral", "amber", "blue", "coral"]


def table(answers: list[str], ids: list[str] = IDS) -> pd.DataFrame:
    return pd.DataFrame({"id": ids, "colour": answers}, dtype=str)


def predictions(test: np.ndarray, ids: list[str] = IDS) -> Predictions:
    return Predictions(["a"], np.ones((1, 3), np.float32) / 3, ids, test.astype(np.float32), list(CLASSES))


BAD_LABELS = {
    "columns": (table(TRUTH).rename(columns={"colour": "color"}), "its columns are"),
    "extra column": (table(TRUTH).assign(x="1"), "its columns are"),
    "order": (table(TRUTH, IDS[::-1]), "line 2: its id is '041', expected '036'"),
    "missing row": (table(TRUTH[:-1], IDS[:-1]), "5 rows, expected 6"),
    "double id": (table(TRUTH, ["036", *IDS[:-1]]), "line 3"),
    "foreign label": (table(["amber", "green", *TRUTH[2:]]), "line 3 (id 037): 'green'"),
    "empty label": (table([*TRUTH[:-1], ""]), "line 7 (id 041): ''"),
}


@pytest.mark.parametrize("kind", BAD_LABELS)
def test_the_first_bad_row_is_named(kind: str) -> None:
    frame, words = BAD_LABELS[kind]
    with pytest.raises(Refused) as refusal:
        check_frame(frame, SQUARES, IDS, CLASSES, "x.csv")
    assert words in str(refusal.value) and "x.csv" in str(refusal.value)


ONE = replace(SQUARES, submission="probability", positive="blue")
ALL = replace(SQUARES, submission="probabilities")


@pytest.mark.parametrize("bad", ["1.2", "-0.1", "nan", "inf", "", "high"])
def test_probabilities_are_numbers_between_0_and_1(bad: str) -> None:
    with pytest.raises(Refused, match=r"line 4 \(id 038\)"):
        check_frame(table(["0.5", "1", bad, "0", "0.1", "0.2"]), ONE, IDS, CLASSES, "x.csv")
    frame = pd.DataFrame({"id": IDS, "amber": ["0.5"] * 6, "blue": ["0.25"] * 6, "coral": ["0.25"] * 6}, dtype=str)
    check_frame(frame, ALL, IDS, CLASSES, "x.csv")
    frame.loc[2, "blue"] = bad
    with pytest.raises(Refused, match=r"line 4 \(id 038\).*sum is 1"):
        check_frame(frame, ALL, IDS, CLASSES, "x.csv")


def test_every_kind_that_is_written_passes_its_own_check(random: np.random.Generator) -> None:
    probabilities = random.dirichlet(np.ones(3) / 20, 6)
    for competition in (SQUARES, ONE, ALL):
        check_frame(make_frame(competition, IDS, probabilities, CLASSES), competition, IDS, CLASSES, "x.csv")
    assert make_frame(SQUARES, IDS, np.eye(3)[[0, 1, 2, 0, 1, 2]], CLASSES)["colour"].tolist() == TRUTH


def test_csv_and_manifest_stand_side_by_side_under_the_hash(in_folder: Path) -> None:
    dataset, tables = squares_dataset(in_folder / "data")
    frame = make_submission(tables, dataset, predictions(np.eye(3)[[0, 1, 2, 0, 1, 2]]))
    path = write_submission(frame, dataset, SQUARES, {"metric": "macro_f1"})
    check_file(path, SQUARES, IDS, CLASSES)
    manifest = json.loads(path.with_suffix(".json").read_text())
    assert manifest["sha256"] == sha256_of_file(path) and path.stem == manifest["sha256"][:8]
    assert manifest["competition"] == "squares" and manifest["metric"] == "macro_f1"
    assert read_csv(path)["colour"].tolist() == TRUTH
    out = copy_to(path, in_folder / "my answers" / "final.csv")
    assert out.read_bytes() == path.read_bytes() and out.with_suffix(".json").is_file()


def test_ids_follow_the_sample_submission_and_unreadable_rows_get_the_prior(in_folder: Path) -> None:
    sample = in_folder / "data" / "sample_submission.csv"
    dataset, tables = squares_dataset(in_folder / "data")
    tables = replace(tables, sample=read_csv(sample).iloc[::-1].reset_index(drop=True))
    assert template_ids(tables, dataset) == IDS[::-1]
    found = with_prior(predictions(np.eye(3)[[1, 1, 1, 1, 1]], IDS[1:]), IDS[::-1], dataset)
    assert (found[:5] == np.eye(3)[1]).all() and found[5].tolist() == pytest.approx([1 / 3] * 3)


def test_columns_of_probabilities_follow_the_sample_submission(in_folder: Path) -> None:
    dataset, tables = squares_dataset(in_folder / "data")
    order = ["coral", "amber", "blue"]
    sample = pd.DataFrame({"id": IDS, **dict.fromkeys(order, "0.3")}, dtype=str)
    tables = replace(tables, competition=ALL, sample=sample)
    frame = make_submission(tables, dataset, predictions(np.eye(3)[[0, 1, 2, 0, 1, 2]]))
    assert frame.columns.tolist() == ["id", *order] and template_classes(tables, dataset) == order
    told = [frame.columns[1:][row] for row in frame[order].astype(float).to_numpy().argmax(axis=1)]
    assert told == TRUTH
    assert template_classes(replace(tables, sample=None), dataset) == list(CLASSES)
    with pytest.raises(Refused, match=r"sample_submission.csv: expected a column for each of the 3 classes .* 'blue'"):
        template_classes(replace(tables, sample=sample.drop(columns="blue")), dataset)


def test_a_class_that_is_lost_with_photos_that_cannot_be_read_is_told_before_training(in_folder: Path) -> None:
    folder = make_squares(in_folder / "data")
    train = read_csv(folder / "train.csv")
    for path in train["photo"][train["colour"] == "coral"]:
        (folder / path).write_bytes(b"broken")
    pd.DataFrame({"id": IDS, **dict.fromkeys(CLASSES, "0.3")}).to_csv(folder / "sample_submission.csv", index=False)
    (in_folder / "mine.py").write_text(FACTS.replace('submission="label"', 'submission="probabilities"'))
    with pytest.raises(Refused, match=r"sample_submission.csv: expected a column for each of the 2 classes .* 'coral'"):
        train_all(Settings(competition="./mine.py", data=folder, preset="quick", engine="inline"))
    assert not list(in_folder.glob("runs/*/*/mlp*"))


@pytest.fixture
def home(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(in_folder / "me"))
    return in_folder


def test_where_the_csv_is_wanted_is_looked_at_before_all_else(home: Path) -> None:
    (home / "folder.csv").mkdir()
    (home / "taken").write_text("a file")
    for out, words in (
        (".", "it is a folder; expected a file, such as OUT=answers.csv"),
        ("folder.csv", "it is a folder"),
        ("answers.json", "ends in .csv"),
        ("answers", "ends in .csv"),
        ("taken/x.csv", "taken is a file"),
        ("taken/more/x.csv", "taken is a file"),
    ):
        with pytest.raises(BadInput, match=re.escape(words)) as refusal:
            check_out(Path(out))
        assert str(refusal.value).startswith(f"OUT={out}: ") and "\n" not in str(refusal.value)
        with pytest.raises(BadInput, match=re.escape(words)):
            make_plan(Settings(competition="specimens", data=home / "nowhere", out=Path(out)))
        ended = CliRunner().invoke(app, ["predict", "--images", "nowhere", "--out", out])
        assert isinstance(ended.exception, BadInput) and words in str(ended.exception)
    assert check_out(Path("~/new/x.CSV")) == home / "me" / "new" / "x.CSV"
    assert check_out(Path("x.csv")) == Path("x.csv") and not (home / "me").exists()


def test_a_folder_that_may_not_be_written_into_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    monkeypatch.setattr("os.access", lambda path, mode: asked.append(path) or False)  # root may write anywhere
    with pytest.raises(BadInput, match=r"OUT=to hand in/x.csv: nothing can be written into"):
        check_out(Path("to hand in/x.csv"))
    assert asked == [home]


def test_out_is_expanded_in_the_plan(home: Path) -> None:
    make_squares(home / "data")
    (home / "mine.py").write_text(FACTS)
    plan = make_plan(Settings(competition="./mine.py", data=home / "data", preset="quick", out=Path("~/x.csv")))
    assert plan.settings.out == home / "me" / "x.csv"


def test_the_answers_score_one_and_the_sample_does_not(tmp_path: Path) -> None:
    table(TRUTH).assign(Usage="Private").to_csv(tmp_path / "answers.csv", index=False)
    table(TRUTH[::-1], IDS[::-1]).to_csv(tmp_path / "perfect.csv", index=False)
    table(["amber"] * 6).to_csv(tmp_path / "sample.csv", index=False)
    perfect = grade(tmp_path / "perfect.csv", tmp_path / "answers.csv", SQUARES)
    assert grade_line(perfect) == "macro_f1=1.0000 accuracy=1.0000 n=6"
    assert (
        grade_line(grade(tmp_path / "sample.csv", tmp_path / "answers.csv", SQUARES))
        == "macro_f1=0.1667 accuracy=0.3333 n=6"
    )


BAD_TO_GRADE = {
    "missing row": (
        table(TRUTH[:5], IDS[:5]),
        "bad.csv: it has 5 ids, the answers have 6; the first that is missing is '041', in line 7",
    ),
    "row twice": (table(TRUTH, [IDS[0], *IDS[:-1]]), "bad.csv, line 3: id '036' is there twice, first in line 2"),
    "row more": (table([*TRUTH, "blue"], [*IDS, "041"]), "bad.csv, line 8: id '041' is there twice, first in line 7"),
    "foreign row": (table(TRUTH, [*IDS[:-1], "x"]), "bad.csv, line 7: id 'x' is none of the 6 ids"),
    "empty label": (table([*TRUTH[:-1], ""]), "bad.csv, line 7 (id 041): '' is none"),
    "no ids": (table(TRUTH).rename(columns={"id": "Id"}), "bad.csv: it has no column 'id'"),
}


@pytest.mark.parametrize("kind", BAD_TO_GRADE)
def test_grading_refuses_a_malformed_file_by_its_first_bad_row(in_folder: Path, kind: str) -> None:
    frame, words = BAD_TO_GRADE[kind]
    table(TRUTH).to_csv("answers.csv", index=False)
    frame.to_csv("bad.csv", index=False)
    with pytest.raises(Refused) as refusal:
        grade(Path("bad.csv"), Path("answers.csv"), SQUARES)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


BAD_ANSWERS = {
    "row twice": (table(TRUTH, [IDS[0], *IDS[:-1]]), "answers.csv, line 3: id '036' is there twice, first in line 2"),
    "empty label": (table(["amber", "", *TRUTH[2:]]), "answers.csv, line 3 (id 037): its colour is empty"),
    "no labels": (table(TRUTH).drop(columns="colour"), "answers.csv: it has no column 'colour'"),
}


@pytest.mark.parametrize("kind", BAD_ANSWERS)
def test_grading_refuses_answers_that_are_none(in_folder: Path, kind: str) -> None:
    frame, words = BAD_ANSWERS[kind]
    frame.to_csv("answers.csv", index=False)
    table(TRUTH).to_csv("good.csv", index=False)
    with pytest.raises(BadInput) as refusal:
        grade(Path("good.csv"), Path("answers.csv"), SQUARES)
    assert words in str(refusal.value)


def test_a_label_that_no_answer_has_is_held_against_the_fold_tables_that_are_here(in_folder: Path) -> None:
    table(["amber", "coral"], IDS[:2]).to_csv("answers.csv", index=False)
    table(["amber", "blue"], IDS[:2]).to_csv("told.csv", index=False)
    table(["amber", "asdf"], IDS[:2]).to_csv("odd.csv", index=False)
    paths = Path("told.csv"), Path("answers.csv")
    before = grade(*paths, SQUARES)
    assert grade(Path("odd.csv"), Path("answers.csv"), SQUARES)["accuracy"] == 0.5, "nothing tells the classes"
    squares_dataset(in_folder / "data")
    assert grade(*paths, SQUARES) == before, "and no number depends on what lies here"
    with pytest.raises(Refused, match=r"odd.csv, line 3 \(id 037\): 'asdf' is none of the 3 classes"):
        grade(Path("odd.csv"), Path("answers.csv"), SQUARES)


def test_grades_are_their_numbers_whichever_of_them_the_answers_hold(in_folder: Path) -> None:
    competition = replace(SQUARES, metric="qwk", also=())
    table(["0", "1", "4", "10", "0", "1"]).to_csv("answers.csv", index=False)
    table(["0", "4", "4", "4", "1", "1"]).to_csv("told.csv", index=False)
    every = list(range(11))
    expected = cohen_kappa_score([0, 1, 4, 10, 0, 1], [0, 4, 4, 4, 1, 1], labels=every, weights="quadratic")
    assert grade(Path("told.csv"), Path("answers.csv"), competition)["qwk"] == pytest.approx(expected)
    table(["0", "1", "4", "many", "0", "1"]).to_csv("answers.csv", index=False)
    with pytest.raises(BadInput, match="class 'many' is no number"):
        grade(Path("told.csv"), Path("answers.csv"), competition)


def test_a_file_is_checked_once_for_score_and_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = submissions.grade.check_frame, []
    monkeypatch.setattr(submissions.grade, "check_frame", lambda *words: (calls.append(1), real(*words))[1])
    found = graded(table(TRUTH), IDS, TRUTH, SQUARES, "x.csv")
    assert found.scores() == {"macro_f1": 1.0, "accuracy": 1.0, "n": 6} and found.score_interval() == (1.0, 1.0)
    assert len(calls) == 1


def test_a_class_that_the_answers_happen_to_lack_is_no_error(tmp_path: Path) -> None:
    table(["amber", "coral"], IDS[:2]).to_csv(tmp_path / "answers.csv", index=False)
    told = pd.DataFrame({"id": IDS[:2], "coral": ["0.2", "0.7"], "blue": ["0.1", "0.2"], "amber": ["0.7", "0.1"]})
    told.to_csv(tmp_path / "told.csv", index=False)
    competition = replace(SQUARES, submission="probabilities", metric="log_loss")
    scores = grade(tmp_path / "told.csv", tmp_path / "answers.csv", competition)
    assert scores["accuracy"] == 1 and scores["log_loss"] == pytest.approx(-np.log(0.7))
    told.drop(columns="coral").to_csv(tmp_path / "told.csv", index=False)
    with pytest.raises(Refused, match="its columns are"):
        grade(tmp_path / "told.csv", tmp_path / "answers.csv", competition)
    table(["amber", "coral"], IDS[:2]).rename(columns={"colour": "color"}).to_csv(tmp_path / "told.csv", index=False)
    with pytest.raises(Refused, match="its columns are"):
        grade(tmp_path / "told.csv", tmp_path / "answers.csv", SQUARES)


def test_a_repetition_leaves_the_time_of_the_work(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"runs": [{"key": "k"}], "command": "make submit", "command_seconds": 171.0, "jobs": 2}')
    again = {"runs": [{"key": "k"}], "command": "make submit OUT=x", "command_seconds": 1.4, "jobs": 1}
    assert _of_the_work(path, again) == {"command": "make submit", "command_seconds": 171.0, "jobs": 2}
    assert _of_the_work(path, {**again, "runs": [{"key": "other"}]}) == {}
    assert _of_the_work(tmp_path / "none.json", again) == {}


def test_work_that_was_stored_counts_as_time(
    dataset: Dataset, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that was killed after half an hour, and goes on for seven seconds, took more than these."""
    (in_folder / "mine.py").write_text(FACTS)
    plan = make_plan(Settings(competition="./mine.py", data=in_folder / "data", jobs=2))
    (run,) = plan.runs(dataset.data8)
    lines = [Line("a", {}, 3600.0, run), Line("mean of seeds", {}, 3600.0), Line("ensemble", {}, 3600.0)]
    assert dataset.n_folds == 3, "two rounds of 1200 s"
    assert seconds_in_all(plan, dataset, lines, 7.04) == 2400.0
    assert seconds_in_all(plan, dataset, lines, 3000.04) == 3000.0
    elsewhere = replace(plan, settings=replace(plan.settings, engine="tcp://host:1"))
    assert seconds_in_all(elsewhere, dataset, lines, 7.04) == 7.0, "how many jobs it has is not known"
    monkeypatch.setattr("submissions.submit.seconds_of_bank", lambda bank, cache_dir: 100.0)
    (choice,) = plan.choices
    probe = replace(choice, candidate=Candidate("vgg16", "tiny", "probe", 32), recipe=Recipe(pixels=32, views=3))
    assert seconds_in_all(replace(plan, choices=[probe]), dataset, lines, 7.04) == 2400.0 + 150.0


def test_five_folds_of_two_workers_take_three_rounds() -> None:
    assert seconds_side_by_side([10.0] * 5, 2) == 30.0
    assert seconds_side_by_side([3.0, 30.0, 3.0, 24.0], 2) == 30.0, "the longest are begun first"
    assert seconds_side_by_side([], 2) == 0.0


def test_more_rows_than_a_track_s_minutes_are_made_for_are_told_in_the_plan(dataset: Dataset, in_folder: Path) -> None:
    (in_folder / "mine.py").write_text(FACTS)
    asked = Settings(competition="./mine.py", data=in_folder / "data", backbones="scratch_cnn:tiny:scratch")
    whole, half = make_plan(asked), make_plan(replace(asked, most_rows=len(dataset.train) // 2))
    (before,), (after,) = whole.choices, half.choices
    assert after.recipe.epochs == before.recipe.epochs // 2 and not whole.notes
    (note,) = half.notes
    assert f"{after.recipe.epochs} epochs, not {before.recipe.epochs}" in note
