"""What is left of an engine's processes when a command is killed, interrupted, or begun in an odd place: nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from comp.engine import ignore_events, open_engine
from comp.engines import dask
from comp.errors import BadInput
from tests.engine_help import OF_PROCESSES, PROJECT, THREADS, Heard, alive, dask_cluster, job, wait_until

COMMAND = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from comp.engine import Job, ignore_events, open_engine
engine, folder = open_engine(sys.argv[2], 2), sys.argv[3]
keras = {"needs_keras": "keras" in sys.argv, "is_fresh": True}
if keras["needs_keras"]:
    look = Job(function="tests.engine_jobs:surroundings", arguments={}, label="look", **keras)
    first = engine.run([look], ignore_events)
    os.environ["SET_LATER"] = "seen"
    print(json.dumps(first + engine.run([look], ignore_events)), flush=True)
stay = Job(function="tests.engine_jobs:linger", arguments={"folder": folder}, label="stay", **keras)
engine.run([stay, stay], ignore_events)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a running Dask scheduler."""
    with dask_cluster(tmp_path_factory.mktemp("cluster")) as address:
        yield address


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return what starts a command of a process group of its own that runs jobs which stay; end them all afterwards."""
    begun = []

    def start(engine: str, *words: str, redirect: str = "", waits: bool = True) -> subprocess.Popen[str]:
        run = [sys.executable, "-W", "error", "-c", COMMAND, str(PROJECT), engine, str(tmp_path), *words]
        process = subprocess.Popen(
            ["sh", "-c", f'exec "$@" {redirect}', "sh", *run],
            cwd=tmp_path.parent,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        wait_until(lambda: not waits or len(list(tmp_path.iterdir())) == 2 or process.poll() is not None)
        return process

    yield start
    for process in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def family(process: subprocess.Popen[str], folder: Path) -> set[int]:
    """Return the numbers of all processes that work for a command: its descendants, and where its jobs are."""
    below = {child.pid for child in psutil.Process(process.pid).children(recursive=True)}
    return below | {int(path.name) for path in folder.iterdir()}


@pytest.mark.parametrize("name", OF_PROCESSES)
@pytest.mark.parametrize("is_group", [False, True], ids=["alone", "group"])
def test_no_worker_survives_its_command(
    name: str, is_group: bool, command: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    process = command(request.getfixturevalue("cluster") if name == "dask" else name)
    workers = family(process, tmp_path)
    assert len(workers) >= 2
    (os.killpg if is_group else os.kill)(process.pid, signal.SIGKILL)
    wait_until(lambda: not alive(workers), 2 if name == "local" else 5)  # a scheduler has to tell its workers


@pytest.mark.parametrize("name", OF_PROCESSES)
def test_ctrl_c_stops_a_command_and_its_workers_say_nothing(
    name: str, command: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    process = command(request.getfixturevalue("cluster") if name == "dask" else name)
    workers = family(process, tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT and out == ""
    assert errors.count("Traceback") == 1 and errors.endswith("KeyboardInterrupt\n")
    wait_until(lambda: not alive(workers), 2 if name == "local" else 5)


@pytest.mark.skipif(sys.platform != "linux", reason="signal masks are read from /proc")
def test_a_worker_never_hears_ctrl_c_from_its_first_moment_on(command: Any, tmp_path: Path) -> None:
    process = psutil.Process(command("local", waits=False).pid)
    workers: set[int] = set()
    while len(list(tmp_path.iterdir())) < 2 or not workers:
        workers = {child.pid for child in process.children() if "spawn_main" in " ".join(child.cmdline())}
        assert not {pid for pid in workers if hears_ctrl_c(pid)}


def hears_ctrl_c(pid: int) -> bool:
    facts = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return not (int(facts["SigBlk"], 16) | int(facts["SigIgn"], 16)) >> (signal.SIGINT - 1) & 1


@pytest.mark.parametrize("redirect", ["2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_do_no_harm(redirect: str, command: Any, tmp_path: Path) -> None:
    process = command("local", redirect=redirect)
    assert process.poll() is None and len(list(tmp_path.iterdir())) == 2


@pytest.mark.timeout(60)
def test_workers_with_keras_are_forked_ready_and_leave_with_their_command(command: Any, tmp_path: Path) -> None:
    process = command("local", "keras", redirect="2>&1")
    first, second = json.loads(process.stdout.readline())
    assert first["keras"] and second["keras"] and first["pid"] != second["pid"]
    assert first["environment"]["KERAS_BACKEND"] == "tensorflow"
    assert [first["environment"][name] for name in THREADS] == ["1"] * 4
    assert second["environment"] == {**first["environment"], "SET_LATER": "seen"}
    assert first["environment"].get("PYTHONPATH") == os.environ.get("PYTHONPATH")
    workers = {int(path.name) for path in tmp_path.iterdir()}
    if sys.platform == "linux":
        [server] = {psutil.Process(pid).ppid() for pid in workers}
        assert server != process.pid and "tensorflow" in Path(f"/proc/{server}/maps").read_text()
        assert psutil.Process(server).num_threads() == 1  # what is forked from several threads may hang
    workers = family(process, tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not alive(workers), 2)
    assert process.communicate()[0] == ""


def test_a_script_without_a_guard_is_not_run_again(tmp_path: Path) -> None:
    script = tmp_path / "notebook.py"
    script.write_text(
        "from comp.engine import Job, ignore_events, open_engine\n"
        "print('once')\n"
        "job = Job(function='tests.engine_jobs:surroundings', arguments={}, label='look')\n"
        "print(open_engine('local', 2).run([job] * 2, ignore_events)[0]['main'])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", script], env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("once\nNone\n", "")


def test_a_dask_worker_that_is_lost_costs_one_try(cluster: str, tmp_path: Path) -> None:
    heard = Heard()
    jobs = [job("kill_parent_once", tally=str(tmp_path / "tally")), *[job("add", a=i, b=0) for i in range(4)]]
    assert open_engine(cluster).run(jobs, heard) == [2, 0, 1, 2, 3]
    assert "a job: its worker died (its Dask worker was lost), trying again" in heard.of("note")
    first = int((tmp_path / "tally").read_text().split()[0])
    assert not alive({first})


def test_a_folder_that_dask_workers_do_not_see_is_one_line(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(cluster)
    monkeypatch.setattr(dask, "PROJECT", tmp_path / "not there")
    with pytest.raises(BadInput, match=r"no folder .*not there; expected the same folders there"):
        engine.run([job("add", a=1, b=1)], ignore_events)
