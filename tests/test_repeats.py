"""REPEATS=2: other folds of the same rows, a hold-out that stays held out, and scores of one model and of averaged models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from comp.errors import BadInput
from comp.images import PixelSpec
from comp.tables import read_tables
from comp.twins import no_twins
from folds.assign import HOLDOUT
from folds.dataset import Dataset, make_dataset
from folds.oof import score
from folds.runs import repeat_mark
from submissions.plan import Plan, Settings, make_plan
from submissions.repeats import Assignment, other_assignment, repeat_facts, show_spreads, spreads
from submissions.stored import view_dataset
from tests.homes import FACTS, new_home, submit
from tests.made import SQUARES, make_squares, read_all
from tests.made_runs import finished_run, told


def planned(folder: Path, n_test: int = 6) -> tuple[Plan, Dataset, Dataset]:
    """Return a plan over made squares, its fold table and the second one."""
    make_squares(folder / "data", n_rows=60, n_test=n_test)
    (folder / "mine.py").write_text(FACTS)
    plan = make_plan(Settings(competition="./mine.py", data=folder / "data", repeats=2))
    tables = read_tables(replace(SQUARES, n_folds=2), folder / "data")
    photos = read_all(tables, [PixelSpec(16), PixelSpec(32, channels=1)])
    first = make_dataset(tables, photos, no_twins(len(tables.train)), 2)
    plan = replace(plan, tables=tables, competition=tables.competition)
    return plan, first, other_assignment(plan, photos, first, 1)


@pytest.mark.parametrize("n_test", [6, 0])
def test_a_second_assignment_deals_the_same_rows_anew_and_no_held_out_row_is_trained_on(
    in_folder: Path, n_test: int
) -> None:
    _, first, second = planned(in_folder, n_test)
    assert first.data8 != second.data8 and first.classes == second.classes
    one, other = (made.in_folds.set_index("id")["fold"] for made in (first, second))
    assert sorted(one.index) == sorted(other.index) and (one != other[one.index]).any()
    held = set(first.train["id"][first.train["fold"] == HOLDOUT])
    assert bool(held) is (n_test == 0) and not held & set(second.train["id"])


def test_a_repetition_is_never_what_a_command_looks_at(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, first, second = planned(in_folder)
    finished_run(first)
    finished_run(second)
    assert repeat_mark(second.folder).is_file()
    assert view_dataset("squares").data8 == first.data8 and capsys.readouterr().out == ""
    assert view_dataset("squares", second.data8).data8 == second.data8


def test_averaged_tables_are_matched_by_id_and_score_better_than_one_model(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, first, second = planned(in_folder)
    random = np.random.default_rng(3)
    done = [Assignment(one, {"a": told(one.truth, 0.8, 3, random)}) for one in (first, second)]
    (found,) = spreads(done, "accuracy")
    assert found.scores == [score(one.dataset, one.oof["a"], "accuracy").value for one in done]
    row_of = {row_id: row for row, row_id in enumerate(second.in_folds["id"])}
    moved = done[1].oof["a"][[row_of[row_id] for row_id in first.in_folds["id"]]]
    hits = ((done[0].oof["a"] + moved).argmax(axis=1) == first.truth).mean()
    assert found.averaged == pytest.approx(hits) and found.averaged > found.mean
    assert found.deviation == pytest.approx(abs(found.scores[0] - found.scores[1]) / np.sqrt(2))
    shown = show_spreads(done, plan)
    out = capsys.readouterr().out
    for words in ("folds 2026", "folds 2027", "one model", "mean of 2 models", "a test row gets the mean of 2"):
        assert words in out
    facts = repeat_facts(done, shown)["repeats"]
    assert facts["data8"] == [first.data8, second.data8] and facts["fold_seeds"] == [2026, 2027]


@pytest.mark.slow
def test_repeats_do_the_job_again_and_the_csv_stays_that_of_the_first(tmp_path: Path) -> None:
    done = submit(new_home(tmp_path), "--repeats", "2")
    assert done.returncode == 0, done.stderr
    for words in (
        "then the whole job again over 1 more, fold seed 2027",
        "again over another fold assignment",
        "mean of 2",
    ):
        assert words in done.stdout
    path = tmp_path / done.stdout.splitlines()[-1]
    repeats = json.loads(path.with_suffix(".json").read_text())["repeats"]
    assert len(set(repeats["data8"])) == 2 and path.parts[-3] == repeats["data8"][0]
    assert {"ensemble", "mlp:tiny:scratch:16px"} == set(repeats["scores"])
    assert submit(tmp_path).stdout.splitlines()[-1] == done.stdout.splitlines()[-1]


def test_fewer_repeats_than_one_are_refused(in_folder: Path) -> None:
    make_squares(in_folder / "data")
    (in_folder / "mine.py").write_text(FACTS)
    with pytest.raises(BadInput, match="REPEATS=-1: expected a whole number from 1 on"):
        make_plan(Settings(competition="./mine.py", data=in_folder / "data", repeats=-1))
