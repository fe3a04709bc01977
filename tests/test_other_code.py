"""Stored runs of another commit, backbone file or library are taken, and that is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from comp.store import read_json, write_json
from folds.cv import tell_of_other_code
from folds.dataset import Dataset
from tests.made import squares_dataset
from tests.made_runs import finished_run


@pytest.fixture
def dataset(in_folder: Path) -> Dataset:
    return squares_dataset(in_folder / "data")[0]


def change(run: Path, **facts: Any) -> None:
    write_json(run / "run.json", {**read_json(run / "run.json"), **facts})


def test_a_run_of_the_same_code_is_taken_without_a_word(dataset: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    tell_of_other_code([finished_run(dataset)])
    assert capsys.readouterr().out == ""


def test_what_is_another_now_is_said_once_for_all_runs(dataset: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [finished_run(dataset, seed) for seed in range(3)]
    versions = read_json(runs[0] / "run.json")["versions"]
    for run in runs[:2]:
        change(run, versions={**versions, "keras": "3.0.0"})
    change(runs[2], source="0" * 64)
    tell_of_other_code(runs)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"stored {runs[0].name} and 1 more: taken, though made with keras 3.0.0, now ")
    assert lines[1].startswith(f"stored {runs[2].name}: taken, though made with file of scratch_cnn 00000000, now ")
    assert len(lines) == 3 and "delete a run's folder" in lines[2]


def test_runs_from_before_it_was_recorded_and_those_without_a_fold_say_nothing(
    dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    old, begun = finished_run(dataset), finished_run(dataset, 1)
    facts = read_json(old / "run.json")
    del facts["source"]
    write_json(old / "run.json", {**facts, "commit": ""})
    change(begun, commit="abcdef")
    for marker in begun.glob("fold-*/done.json"):
        marker.unlink()
    tell_of_other_code([old, begun])
    assert capsys.readouterr().out == ""
