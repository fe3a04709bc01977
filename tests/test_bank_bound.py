"""The bound on stored features: the bank used longest ago goes first, never one that the plan or another running command names."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import folds.banks
import submissions.submit
from comp.engines.inline import InlineEngine
from comp.images import CACHE
from folds.banks import View, Wanted, banks_of
from folds.dataset import Dataset
from folds.features import extraction_jobs
from folds.kept import trim
from tests.frozen import fill, frozen_plan
from tests.minis import PROJECT
from tests.test_features import bank
from tuning.setup import Settings, Subject
from tuning.space import Knob, Space
from tuning.tune import _trim


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
    return {path.name for path in (CACHE / "features").glob("[!.]*")}


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


ANOTHER = """\
import sys
from pathlib import Path
from folds.kept import hold
hold(Path("cache/features"), sys.argv[1:2])
hold(Path("cache/features"), sys.argv[2:])
print("held", flush=True)
input()
"""


@contextmanager
def another_command(*keys: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that works with banks; it is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", ANOTHER, *keys],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stdin
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()


@pytest.mark.usefixtures("in_folder")
def test_what_another_running_command_names_stays_until_it_ends_and_the_bound_that_is_not_kept_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second, third, fourth = banks_on_disk(1000, 1000, 1000, 1000)
    with another_command(first, third):
        assert trim(500, {fourth}) == 1002 and left() == {first, third, fourth}
        (line,) = capsys.readouterr().out.splitlines()
        assert "more than CACHE_GB=5e-07" in line and "other running commands need them" in line
        assert second not in left()
    assert trim(1100, ()) == 2004 and left() == {fourth}
    assert not list((CACHE / "features" / ".in-use").iterdir()) and not capsys.readouterr().out


@pytest.mark.usefixtures("in_folder")
def test_a_plan_names_its_banks_for_all_other_commands_before_it_looks_into_them() -> None:
    first, *_ = banks_on_disk(1000, 1000)
    extraction_jobs([Wanted(bank(view=View(2, 0.5)), ())], CACHE)
    (named,) = (CACHE / "features" / ".in-use").iterdir()
    assert named.read_text().split() == [first]
    command = [sys.executable, "-c", "from folds.kept import trim; trim(0, ())"]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(PROJECT)}, check=True, capture_output=True)
    assert left() == {first}


@pytest.mark.usefixtures("in_folder")
def test_files_that_vanish_while_they_are_counted_count_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = banks_on_disk(1000, 1000)
    walk = os.walk

    def vanishing(folder: Path) -> Iterator[Any]:
        for found in walk(folder):
            if first in str(folder):
                shutil.rmtree(folder, ignore_errors=True)
            yield found

    monkeypatch.setattr(os, "walk", vanishing)
    assert trim(1100, ()) == 0 and left() == {second}


@pytest.mark.usefixtures("in_folder")
def test_a_bank_that_vanishes_while_it_is_looked_into_lacks_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    banks_on_disk(1000)
    wanted = Wanted(bank(view=View(2, 0.5)), ("a", "b", "a"))

    def gone(folder: Path) -> None:
        shutil.rmtree(folder)
        raise FileNotFoundError(folder / "chunk" / "done.json")

    monkeypatch.setattr(folds.banks, "ChunkStore", gone)
    assert wanted.missing(CACHE) == ["a", "b"]


@pytest.mark.usefixtures("in_folder")
def test_what_a_killed_command_was_throwing_away_is_thrown_away() -> None:
    (first,) = banks_on_disk(1000)
    folder = CACHE / "features" / first
    folder.rename(folder.with_name(f".{first}.{socket.gethostname()}.999999999.tmp"))
    trim(5000, ())
    assert {path.name for path in folder.parent.iterdir() if path.is_dir()} <= {".in-use"}


def test_a_study_keeps_the_banks_of_all_its_trials_those_of_a_tail_s_head_too(dataset: Dataset, weights: Path) -> None:
    run = frozen_plan(dataset, weights, "tail", cut="block2_pool", head_epochs=2)
    fill(dataset, run)
    before = left()
    knob = Knob(name="strength", kind="choice", choices=(run.recipe.strength,))
    subject = Subject(
        candidate=run.candidate, recipe=run.recipe, precision="float32", weights=None, space=Space((knob,))
    )
    session = SimpleNamespace(settings=Settings(cache_gb=0.0), ground=SimpleNamespace(dataset=dataset))
    _trim(session, subject, run)  # type: ignore[arg-type]
    assert left() == before and len(before) == 2 * len(banks_of(run))


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
