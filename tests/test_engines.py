"""One contract for all engines: what comes out, is heard and is printed, whatever a job or its worker does."""

from __future__ import annotations

import platform
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from comp.backend import OFFLINE
from comp.engine import Engine, Job, ignore_events, open_engine
from comp.engines import dask, local
from comp.errors import BadInput, FoldboardError, NoSpace, Refused, TrainingFailed
from tests.engine_help import OF_PROCESSES, THREADS, Heard, alive, dask_cluster, job, wait_until

ENGINES = ["inline", *OF_PROCESSES]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a running Dask scheduler."""
    with dask_cluster(tmp_path_factory.mktemp("cluster")) as address:
        yield address


def opened(name: str, request: pytest.FixtureRequest, n_jobs: int = 2) -> Engine:
    return open_engine(request.getfixturevalue("cluster") if name == "dask" else name, n_jobs)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return each engine in turn."""
    return opened(request.param, request)


@pytest.fixture(params=OF_PROCESSES)
def processes(request: pytest.FixtureRequest) -> Engine:
    """Return each engine in turn that gives jobs processes of their own."""
    return opened(request.param, request)


def test_results_come_in_the_order_asked(engine: Engine) -> None:
    jobs = [job("add", a=i, b=0.5, seconds=0.2 if i == 0 else 0.0) for i in range(5)]
    assert engine.run(jobs, ignore_events) == [0.5, 1.5, 2.5, 3.5, 4.5]


def test_no_jobs_are_no_results(engine: Engine) -> None:
    assert engine.run([], ignore_events) == []


def test_events_arrive_in_order_and_done_comes_once(engine: Engine) -> None:
    heard = Heard()
    engine.run([job("tell", "first"), job("tell", "second")], heard)
    for label in ("first", "second"):
        said = [(event.kind, event.value) for event in heard if event.job.label == label]
        assert said == [("progress", 0.25), ("note", "half way"), ("progress", 0.5), ("done", "told")]


def test_arguments_and_results_are_the_same_plain_values_on_every_engine(engine: Engine) -> None:
    values = {"text": "ä\n\u2028", "pair": (1, 2), "none": None, "keys": {1: True}, "big": 2**70, "tiny": 5e-324}
    plain = {**values, "pair": [1, 2], "keys": {"1": True}}
    assert engine.run([job("echo", **values)], ignore_events) == [plain]


def test_a_large_job_and_its_large_result_pass(engine: Engine) -> None:
    values = {"text": "x" * 1_000_000}
    assert engine.run([job("echo", **values)], ignore_events) == [values]


@pytest.mark.parametrize(
    ("function", "kind", "line"),
    [
        ("refuse", Refused, "folds.csv was edited: expected its fingerprint, make it anew"),
        ("fill_disk", NoSpace, "disk full while writing x: free some space"),
    ],
)
def test_a_failure_of_ours_keeps_its_class_and_its_line(
    engine: Engine, function: str, kind: type[FoldboardError], line: str
) -> None:
    with pytest.raises(kind) as caught:
        engine.run([job("add", a=1, b=1), job(function)], ignore_events)
    assert type(caught.value) is kind and str(caught.value) == line


def test_a_failure_stops_the_other_jobs(processes: Engine, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Refused):
        processes.run([job("linger", folder=str(tmp_path)), job("refuse")], ignore_events)
    wait_until(lambda: not alive({int(path.name) for path in tmp_path.iterdir()}), 3)
    assert time.monotonic() - began < 10


def test_a_failure_of_a_class_of_the_job_arrives_as_the_class_of_ours_that_it_is(processes: Engine) -> None:
    with pytest.raises(Refused, match=r"^sealed by the job's own class$"):
        processes.run([job("refuse_in_own_words")], ignore_events)


def test_any_other_failure_names_the_log_which_holds_the_whole_story(processes: Engine, tmp_path: Path) -> None:
    log = tmp_path / "made" / "log.txt"
    with pytest.raises(TrainingFailed) as caught:
        processes.run([job("break_down", "fold 3", log)], ignore_events)
    assert str(caught.value) == f"fold 3 failed with LookupError: no such thing (the whole story is in {log})"
    assert "the last thing before it broke" in log.read_text()
    assert "Traceback" in log.read_text() and 'raise LookupError("no such thing' in log.read_text()


@pytest.mark.parametrize(
    ("function", "what"),
    [
        ("exit_early", "SystemExit: a library gave up"),
        ("return_unplain", "TypeError: .*JSON"),
        ("report_wrongly", "ValueError: event 'done'"),
        ("not_there", "AttributeError: .*not_there"),
    ],
)
def test_a_job_that_misbehaves_fails_at_once_and_is_not_tried_again(
    processes: Engine, function: str, what: str
) -> None:
    heard = Heard()
    with pytest.raises(TrainingFailed, match=what):
        processes.run([job(function)], heard)
    assert not heard


def test_inline_raises_what_happened_for_the_debugger() -> None:
    with pytest.raises(LookupError):
        open_engine("inline").run([job("break_down")], ignore_events)


def test_chatter_lands_in_the_log_of_its_job_only(
    processes: Engine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["one", "two", "three", "four"]
    processes.run([job("chatter", log=tmp_path / word, word=word) for word in words], ignore_events)
    assert capfd.readouterr() == ("", "")
    for word in words:
        lines = (tmp_path / word).read_text(encoding="utf-8").splitlines()
        said = ["print {} äöü", "stderr {}", "descriptor one {}", "descriptor two {}", "child {}", "no end {}"]
        assert sorted(lines) == sorted(line.format(word) for line in said)


def test_a_log_that_cannot_be_written_is_one_line(processes: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingFailed, match=r"a job failed with (NotADirectory|FileExists)Error"):
        processes.run([job("add", log=tmp_path / "file" / "log.txt", a=1, b=1)], ignore_events)


def test_a_job_finds_nothing_to_read(processes: Engine) -> None:
    assert processes.run([job("read_input")], ignore_events) == [["", ""]]


def test_a_job_stands_where_its_command_stands(processes: Engine, in_folder: Path) -> None:
    [seen] = processes.run([job("surroundings", log="logs/log.txt")], ignore_events)
    assert Path(seen["folder"]).samefile(in_folder) and (in_folder / "logs/log.txt").exists()


def test_threads_are_fixed_and_the_backend_is_ours(processes: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    monkeypatch.setenv(OFFLINE, "1")
    [seen] = processes.run([job("surroundings")], ignore_events)
    assert [seen["environment"][name] for name in THREADS] == ["1"] * 4
    assert seen["environment"]["KERAS_BACKEND"] == "jax" and seen["environment"][OFFLINE] == "1"
    assert seen["environment"]["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has other ways")
def test_memory_that_a_worker_had_once_is_not_asked_for_again(processes: Engine) -> None:
    [faults] = processes.run([job("faults_of_large_arrays")], ignore_events)
    assert faults < 1000, f"{faults} pages asked for; 20 arrays of 64 MB have 320,000"


@pytest.mark.parametrize("how", ["kill", "exit", "crash"])
def test_a_worker_that_dies_is_replaced_and_its_job_tried_again(processes: Engine, tmp_path: Path, how: str) -> None:
    heard = Heard()
    dying = job("die", "fold 1", tmp_path / "log.txt", times=2, tally=str(tmp_path / "tally"), how=how)
    assert processes.run([dying, *[job("add", a=i, b=0) for i in range(3)]], heard) == [3, 0, 1, 2]
    ending = {"kill": "killed by SIGKILL", "exit": "exit status 7", "crash": "killed by SIGSEGV"}[how]
    assert heard.of("note") == [f"fold 1: its worker died ({ending}), trying again"] * 2
    assert Counter(event.job.label for event in heard if event.kind == "done") == {"fold 1": 1, "a job": 3}
    assert len(set((tmp_path / "tally").read_text().split())) == 3
    assert how != "crash" or "Segmentation fault" in (tmp_path / "log.txt").read_text()


def test_a_job_that_always_kills_its_worker_fails_after_three_tries(processes: Engine, tmp_path: Path) -> None:
    tally, heard = tmp_path / "tally", Heard()
    with pytest.raises(TrainingFailed) as caught:
        processes.run([job("die", "fold 2", times=9, tally=str(tally)), job("add", a=1, b=1)], heard)
    assert str(caught.value) == (
        "fold 2: its worker died 3 times (last: killed by SIGKILL); its output is in /dev/null; "
        "if memory ran out, try JOBS=1"
    )
    assert len(tally.read_text().split()) == 3 and len(heard.of("note")) == 2
    assert heard.of("done") == [2]


def test_results_do_not_depend_on_the_number_of_workers() -> None:
    jobs = [job("add", a=i, b=0.1, seconds=0.01 * (i % 3)) for i in range(7)]
    assert (
        open_engine("local", 1).run(jobs, ignore_events)
        == open_engine("local", 3).run(jobs, ignore_events)
        == open_engine("inline").run(jobs, ignore_events)
    )


def test_local_workers_are_used_again_unless_a_job_is_fresh() -> None:
    common, fresh = job("surroundings"), Job(**{**vars(job("surroundings")), "is_fresh": True})
    seen = open_engine("local", 1).run([common, common, fresh, common, fresh, fresh], ignore_events)
    pids = [found["pid"] for found in seen]
    assert pids[0] == pids[1] == pids[2] and len(set(pids[2:])) == 4 - 1 and pids[3] == pids[4] != pids[5]


def test_nothing_is_left_after_a_run() -> None:
    jobs, this = [job("surroundings")] * 6, psutil.Process()
    open_engine("local", 1).run(jobs[:1], ignore_events)  # the resource tracker of multiprocessing stays
    before, descriptors = set(this.children(recursive=True)), this.num_fds()
    seen = open_engine("local", 3).run(jobs, ignore_events)
    assert not alive({found["pid"] for found in seen})
    assert set(this.children(recursive=True)) == before and this.num_fds() == descriptors
    assert not [child for child in before if child.status() == psutil.STATUS_ZOMBIE]


def test_a_worker_that_dies_before_it_gets_its_job_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    given, give = [], local._Worker.give

    def give_late(worker: local._Worker, index: int, given_job: Job) -> None:
        given.append(index)
        if len(given) == 1:
            worker.process.kill()
            worker.process.join()
        give(worker, index, given_job)

    monkeypatch.setattr(local._Worker, "give", give_late)
    assert open_engine("local", 1).run([job("add", a=1, b=1)], ignore_events) == [2]


def test_a_worker_that_died_while_idle_costs_no_try(tmp_path: Path) -> None:
    heard = Heard()
    jobs = [
        job("linger", folder=str(tmp_path), seconds=0),
        job("kill_another_and_itself", folder=str(tmp_path), tally=str(tmp_path / "tally")),
    ]
    assert open_engine("local", 2).run(jobs, heard) == [None, 2]
    assert len([note for note in heard.of("note") if "died" in note]) == 1


@pytest.mark.parametrize("n_jobs", [0, -1])
def test_less_than_one_job_at_once_is_refused(n_jobs: int) -> None:
    with pytest.raises(BadInput, match=f"^JOBS={n_jobs}: expected a whole number from 1 on$"):
        open_engine("local", n_jobs)


def test_an_unknown_engine_is_one_line_that_names_the_known() -> None:
    with pytest.raises(BadInput, match=r"^ENGINE=ray: expected local, inline, or the address"):
        open_engine("ray")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "tcp://127.0.0.1", "http://127.0.0.1:9", "tls://127.0.0.1:9"])
def test_no_scheduler_is_one_line(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "ANSWER_WITHIN", 0.3)
    with pytest.raises(BadInput, match=f"^ENGINE={address}: expected tcp://host:port of a Dask scheduler") as caught:
        open_engine(address)
    assert "\n" not in str(caught.value)


def test_no_dask_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(BadInput, match="pip install distributed"):
        open_engine("tcp://127.0.0.1:8786")
