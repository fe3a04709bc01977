"""Killed with SIGKILL anywhere in an upload, or twice at once: the same command ends with exactly one submission."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from comp import errors
from tests.kaggle_server import TOKEN, Fault, KaggleServer
from tests.uploads import assert_sent_once, make_csv

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture
def server(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    """Run a Kaggle that this process and its children talk to, in an empty folder with a CSV."""
    make_csv(in_folder)
    with KaggleServer() as running:
        for name, value in running.environment(str(in_folder / "home")).items():
            monkeypatch.setenv(name, value)
        yield running


def start(*words: str, pause: str = "", nth: int = 1, flag: str = "flag") -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(PROJECT), *([str(PROJECT / "tests" / "pause")] if pause else [])])
    environment = {**os.environ, "PYTHONPATH": path}
    if pause:
        environment |= {"PAUSE_BEFORE": pause, "PAUSE_TIME": str(nth), "PAUSE_FLAG": flag}
    command = [sys.executable, "-m", "tests.upload_driver", "answer.csv", *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, (out + err).decode()


STEPS = [
    ("ListSubmissions", 0),
    ("GetCompetition", 0),
    ("GetSubmissionLimits", 0),
    ("StartSubmissionUpload", 0),
    ("PUT", 0),
    ("PUT", 1),
    ("GetSubmissionLimits", 1),
    ("CreateSubmission", 0),
    ("GetSubmission", 0),
]
QUICK_STEPS = {("PUT", 1, "kill after"), ("CreateSubmission", 0, "kill"), ("CreateSubmission", 0, "kill after")}
KILLS = [
    pytest.param(*case, marks=[] if case in QUICK_STEPS else [pytest.mark.slow], id=f"{case[0]}-{case[1]}-{case[2]}")
    for case in [(method, earlier, kind) for method, earlier in STEPS for kind in ("kill", "kill after")]
]


@pytest.mark.parametrize(("method", "earlier", "kind"), KILLS)
def test_killed_at_a_call_the_same_command_ends_with_one_submission(
    server: KaggleServer, method: str, earlier: int, kind: str
) -> None:
    server.fail(method, *[Fault("none")] * earlier, Fault(kind))
    process = start()
    server.client_pid = lambda: process.pid
    assert finish(process)[0] == -signal.SIGKILL
    code, told = finish(start())
    assert code == 0, told
    assert_sent_once(server)


def test_killed_after_the_create_while_the_listing_lags_it_is_looked_for(server: KaggleServer) -> None:
    server.fail("CreateSubmission", Fault("kill after"))
    server.state.lists_lag = 2  # one is used up before the create
    process = start()
    server.client_pid = lambda: process.pid
    assert finish(process)[0] == -signal.SIGKILL
    code, told = finish(start())
    assert code == 0, told
    assert "looking for it" in told
    assert_sent_once(server)


@pytest.mark.slow
def test_killed_after_a_create_that_is_never_listed_the_count_keeps_it_from_being_repeated(
    server: KaggleServer,
) -> None:
    server.fail("CreateSubmission", Fault("kill after"))
    server.state.lists_lag = 1000
    process = start()
    server.client_pid = lambda: process.pid
    assert finish(process)[0] == -signal.SIGKILL
    code, told = finish(start())
    assert code == errors.OutcomeUnknown.exit_status, told
    assert server.called("CreateSubmission") == 1


JOURNAL = [("uploading", 1), ("uploaded", 2), ("creating", 3), ("created", 4)]


@pytest.mark.parametrize(
    "nth", [pytest.param(nth, marks=[] if name == "created" else [pytest.mark.slow], id=name) for name, nth in JOURNAL]
)
def test_killed_before_a_step_is_written_down_the_same_command_ends_with_one(
    server: KaggleServer, tmp_path: Path, nth: int
) -> None:
    flag = tmp_path / "flag"
    process = start(pause=r"/uploads/[0-9a-f]+\.json$", nth=nth, flag=str(flag))
    deadline = time.monotonic() + 30
    while not flag.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    assert finish(process)[0] == -signal.SIGKILL
    code, told = finish(start())
    assert code == 0, told
    assert_sent_once(server)


def test_two_at_once_send_one(server: KaggleServer) -> None:
    first, second = start(), start()
    assert [finish(first)[0], finish(second)[0]] == [0, 0]
    assert_sent_once(server)
    assert server.called("CreateSubmission") == 1


@pytest.mark.slow
def test_two_at_once_of_which_one_is_killed_send_one(server: KaggleServer) -> None:
    server.fail("CreateSubmission", Fault("kill after"))
    first = start()
    server.client_pid = lambda: first.pid
    while not server.called("ListSubmissions"):
        time.sleep(0.02)
    second = start()
    assert [finish(first)[0], finish(second)[0]] == [-signal.SIGKILL, 0]
    assert_sent_once(server)


def test_no_credential_is_in_any_output_or_file(server: KaggleServer, in_folder: Path) -> None:
    server.fail("ListSubmissions", Fault("status", 500))
    server.fail("CreateSubmission", Fault("status", 400), Fault("status", 401))
    told = finish(start())[1] + finish(start())[1]
    files = [path for path in in_folder.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert TOKEN not in told + "".join(path.read_text(errors="replace") for path in files)
