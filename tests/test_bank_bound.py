"""The bound on stored features: the bank used longest ago goes first, never one that the plan names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import submissions.submit
from comp.engines.inline import InlineEngine
from comp.images import CACHE
from folds.dataset import Dataset
from folds.features import View, Wanted, banks_of, extraction_jobs, trim
from tests.frozen import fill, frozen_plan
from tests.test_features import bank


def banks_on_disk(*sizes: int) -> list[str]:
    """Write banks, the one used longest ago first; return their keys."""
    keys = []
    for i, n_bytes in enumerate(sizes):
        spec = bank(view=View(2 + i, 0.5))
        folder = spec.folder(CACHE)
        (folder / "chunk").mkdir(parents=True)
        (folder / "chunk" / "rows.npy").write_bytes(bytes(n_bytes))
        (folder / "bank.json").write_text(json.dumps({}))
        os.utime(folder / "bank.json", (1_000_000 + i, 1_000_000 + i))
        keys.append(spec.key)
    return keys


def left() -> set[str]:
    return {path.name for path in (CACHE / "features").iterdir()}


@pytest.mark.usefixtures("in_folder")
def test_the_bank_used_longest_ago_goes_first_and_no_more_than_needed() -> None:
    first, second, third = banks_on_disk(1000, 1000, 1000)
    assert trim(3100, ()) == 0 and left() == {first, second, third}
    assert trim(2100, ()) == 1002 and left() == {second, third}
    assert trim(0, ()) == 2004 and not left()


@pytest.mark.usefixtures("in_folder")
def test_what_the_plan_names_is_never_thrown_away() -> None:
    first, *_ = banks_on_disk(1000, 1000, 1000)
    trim(1100, {first})
    assert left() == {first}
    assert trim(0, {first}) == 0 and left() == {first}


@pytest.mark.usefixtures("in_folder")
def test_a_bank_that_a_plan_names_counts_as_used_now() -> None:
    first, _ = banks_on_disk(1000, 1000)
    extraction_jobs([Wanted(bank(view=View(2, 0.5)), ())], CACHE)
    trim(1100, ())
    assert left() == {first}


@pytest.mark.usefixtures("in_folder")
def test_what_a_killed_trim_left_of_a_bank_counts_too() -> None:
    """Its `bank.json` may be what went first; the rest must not lie there for ever."""
    first, second = banks_on_disk(1000, 1000)
    (CACHE / "features" / first / "bank.json").unlink()
    trim(1100, ())
    assert left() == {second}


@pytest.mark.usefixtures("in_folder")
def test_where_there_is_no_bank_there_is_nothing_to_trim() -> None:
    assert trim(0, ()) == 0


def test_what_a_plan_names_is_kept_although_its_runs_are_finished(
    dataset: Dataset, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run over the same photos, another head or seed, needs it."""
    run = frozen_plan(dataset, weights, "probe")
    fill(dataset, run)
    monkeypatch.setattr(submissions.submit, "unfinished_folds", lambda *_: [])
    submissions.submit._extract([run], dataset, InlineEngine(), 0.0)
    assert {bank.key for bank in banks_of(run)} <= left()
