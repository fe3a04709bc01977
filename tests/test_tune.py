"""make tune end to end on made squares: workers and commands are killed, nothing is lost, the count is exact, the plan takes it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from comp.console import STOPPED
from comp.store import read_json
from tests.made import make_squares
from tests.postgres import find_programs, server
from tuning.storage import load_studies

PROJECT = Path(__file__).resolve().parents[1]
COMPETITION = """\
from dataclasses import replace
from tests.made import SQUARES
COMPETITION = replace(SQUARES, epochs_scale={epochs_scale}, n_folds=2, space={space})
"""


class Tuning:
    """A folder with a made competition, in which `python -m tuning tune` is started, killed and started again."""

    def __init__(self, folder: Path, epochs_scale: float = 0.1) -> None:
        self.folder = folder
        make_squares(folder / "data", n_rows=24, noise=100.0)
        self.file = folder / "squares.py"
        self.file.write_text(COMPETITION.format(epochs_scale=epochs_scale, space={}))
        self.commands: list[subprocess.Popen[str]] = []

    def start(self, n_trials: int, *more: str, jobs: int = 1) -> subprocess.Popen[str]:
        """Start the command in a group of its own."""
        words = [
            "--competition",
            str(self.file),
            "--data",
            "data",
            "--backbones",
            "scratch_cnn:tiny",
            "--preset",
            "quick",
        ]
        command = subprocess.Popen(
            [sys.executable, "-m", "tuning", "tune", *words, "--jobs", str(jobs), "--trials", str(n_trials), *more],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self.commands.append(command)
        return command

    def trials(self) -> list[Any]:
        """Return the trials of the one study, none where there is no study yet."""
        journals = list(self.folder.glob("runs/squares/*/tuning/*/study.journal"))
        studies = load_studies(str(journals[0])) if journals else []
        return studies[0].get_trials(deepcopy=False) if studies else []

    def states(self) -> list[str]:
        """Return the states of the trials, sorted."""
        return sorted(trial.state.name for trial in self.trials())

    def wait_for(self, what: Callable[[], Any], seconds: float = 120) -> Any:
        """Return what a function finds, as soon as it finds something."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = what()
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError("it did not come")

    def running_owner(self) -> int | None:
        """Return the process that runs a trial which has trained an epoch already."""
        checkpoints = list(self.folder.glob("runs/squares/*/*/fold-*/resume.npz"))
        running = [trial for trial in self.trials() if trial.state.name == "RUNNING" and "owner" in trial.user_attrs]
        return int(running[0].user_attrs["owner"]["pid"]) if running and checkpoints else None


@pytest.fixture
def tuning(tmp_path: Path) -> Iterator[Tuning]:
    """Return a made competition of short fits; whatever was started there ends with the test."""
    made = Tuning(tmp_path)
    yield made
    end(made)


@pytest.fixture
def long_tuning(tmp_path: Path) -> Iterator[Tuning]:
    """Return the same with fits of many epochs, so that there is time to kill them."""
    made = Tuning(tmp_path, epochs_scale=20.0)
    yield made
    end(made)


def end(tuning: Tuning) -> None:
    for command in tuning.commands:
        if command.poll() is None:
            command.kill()
        command.communicate()


@pytest.mark.slow
def test_finished_study_is_counted_exactly_and_its_recipe_is_taken(tuning: Tuning) -> None:
    command = tuning.start(3, jobs=2)
    out, errors = command.communicate(timeout=280)
    assert command.returncode == 0, errors
    path = tuning.folder / out.splitlines()[-1]
    found = read_json(path)
    assert (found["candidate"], found["trials"]) == (
        "scratch_cnn:tiny:scratch:16px",
        {"complete": 3, "pruned": 0, "failed": 0},
    )
    assert tuning.trials()[0].user_attrs["is_default"] and tuning.trials()[0].user_attrs["changes"] == {}
    assert found["decided_over"]["data8"] != found["data8"]
    assert len(found["finalists"]) == 2 and found["changes"] in [{}, *(f["changes"] for f in found["finalists"])]


def test_killed_worker_loses_nothing(long_tuning: Tuning) -> None:
    tuning = long_tuning
    command = tuning.start(1)
    os.kill(tuning.wait_for(tuning.running_owner), signal.SIGKILL)
    tuning.wait_for(lambda: "FAIL" in tuning.states() and len(tuning.states()) == 2)
    first, second = tuning.trials()
    assert second.user_attrs["again"] == first.number
    assert second.user_attrs["is_default"]
    tuning.wait_for(tuning.running_owner)
    assert command.poll() is None


@pytest.mark.slow
def test_killed_command_takes_its_workers_along_and_goes_on_from_the_last_epoch(long_tuning: Tuning) -> None:
    tuning = long_tuning
    command = tuning.start(1)
    worker = tuning.wait_for(tuning.running_owner)
    command.kill()
    tuning.wait_for(lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE)
    assert tuning.states() == ["RUNNING"]
    (checkpoint,) = tuning.folder.glob("runs/squares/*/*/fold-*/resume.npz")
    n_bytes = checkpoint.stat().st_size
    tuning.start(1)
    tuning.wait_for(lambda: tuning.states() == ["FAIL", "RUNNING"])
    assert checkpoint.stat().st_size >= n_bytes > 0
    assert len(list(tuning.folder.glob("runs/squares/*/scratch_cnn-*"))) == 1


@pytest.mark.slow
def test_second_interrupt_stops_at_once_and_the_trial_waits(long_tuning: Tuning) -> None:
    tuning = long_tuning
    command = tuning.start(1)
    tuning.wait_for(tuning.running_owner)
    command.send_signal(signal.SIGINT)
    time.sleep(1)
    assert command.poll() is None
    command.send_signal(signal.SIGINT)
    out, errors = command.communicate(timeout=30)
    assert (command.returncode, errors.splitlines()) == (130, [STOPPED])
    assert "finishing the folds in work" in out
    assert tuning.states() == ["FAIL", "WAITING"]
    assert tuning.trials()[1].user_attrs["tries"] == 0


@pytest.mark.slow
def test_minutes_are_kept_to_and_nothing_is_lost(long_tuning: Tuning) -> None:
    command = long_tuning.start(2, "--minutes", "0.25")
    began = time.monotonic()
    out, errors = command.communicate(timeout=120)
    assert command.returncode == 0, errors
    assert time.monotonic() - began < 60
    assert "the same command goes on" in out
    assert "RUNNING" not in long_tuning.states()


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--trials", "0"], "TRIALS=0"),
        (["--minutes", "0"], "MINUTES=0"),
        (["--pruner", "best"], "PRUNER=best: expected median or asha"),
        (["--storage", "postgresql://me:secret@127.0.0.1:1/none"], "cannot be reached"),
    ],
)
def test_bad_input_is_one_line(tuning: Tuning, more: list[str], line: str) -> None:
    command = tuning.start(1, *more)
    _, errors = command.communicate(timeout=100)
    assert command.returncode == 2
    assert line in errors and len(errors.splitlines()) == 1 and "secret" not in errors


def test_show_tells_states_as_json(tuning: Tuning) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tuning", "show", "--json", "--competition", str(tuning.file)],
        cwd=tuning.folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == []


@pytest.mark.slow
def test_interrupt_ends_after_the_fold(tuning: Tuning) -> None:
    command = tuning.start(50)
    tuning.wait_for(lambda: [trial for trial in tuning.trials() if trial.intermediate_values])
    command.send_signal(signal.SIGINT)
    out, errors = command.communicate(timeout=100)
    assert (command.returncode, errors.splitlines()) == (130, [STOPPED])
    assert "finishing the folds in work" in out
    assert "RUNNING" not in tuning.states() and not list(tuning.folder.glob("runs/squares/*/*/fold-*/resume.npz"))


@pytest.mark.slow
def test_two_workers_share_a_study_in_postgresql(tuning: Tuning) -> None:
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL here: initdb and pg_ctl are on no path")
    with server(programs) as url:
        command = tuning.start(2, "--storage", url, jobs=2)
        out, errors = command.communicate(timeout=280)
        assert command.returncode == 0, errors
        found = read_json(tuning.folder / out.splitlines()[-1])
    assert found["trials"] == {"complete": 2, "pruned": 0, "failed": 0}
    assert "secret" not in out and "secret" not in json.dumps(found)
