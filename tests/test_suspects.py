"""Suspects: planted wrong labels are found first; train and test are told apart only where they differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from comp.engines.inline import InlineEngine
from comp.errors import BadInput
from comp.tables import read_csv
from submissions.separability import separability
from submissions.suspects import find_suspects, newest_csv, suspects
from tests.made import squares_dataset
from tests.made_runs import finished_run, made_matched
from tests.test_stored import submission


def test_planted_wrong_labels_come_first() -> None:
    matched = made_matched((6.0,))
    given = matched.truth.copy()
    planted = np.arange(0, 600, 60)
    given[planted] = (given[planted] + 1) % 6
    ids = [f"row{i:03d}" for i in range(600)]
    found = find_suspects(ids, given, matched.oof[0], matched.classes)
    assert set(found["id"][:10]) == {ids[i] for i in planted}
    assert found["margin"].is_monotonic_decreasing and (found["label"] != found["said"]).all()


def test_a_table_that_agrees_with_every_label_has_no_suspects() -> None:
    matched = made_matched()
    assert find_suspects([str(i) for i in range(600)], matched.truth, np.eye(6)[matched.truth], matched.classes).empty


def test_separability_is_a_coin_toss_for_equal_parts_and_high_for_different_ones() -> None:
    random = np.random.default_rng(3)
    train, test = random.normal(size=(400, 8)), random.normal(size=(200, 8))
    assert abs(separability(train, test) - 0.5) < 0.07
    assert separability(train, test + 1.5) > 0.95


def test_the_list_and_the_sheet_are_written(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset, tables = squares_dataset(in_folder / "data", n_test=12)
    with pytest.raises(BadInput, match="no CSV over fold table"):
        newest_csv(dataset)
    submission(dataset, [finished_run(dataset, skill=0.1)], tables)
    path = suspects(newest_csv(dataset), tables, InlineEngine())
    with Image.open(path) as sheet:
        assert sheet.size[0] > 600
    listed = read_csv(path.with_suffix(".csv"))
    assert 0 < len(listed) < 36 and set(listed["id"]) <= set(dataset.train["id"])
    assert "told apart with AUC" in capsys.readouterr().out
