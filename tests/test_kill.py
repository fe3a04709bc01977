"""Promises 5 and 8 for the whole command: killed anywhere with SIGKILL, disturbed, or twice at once, it ends with the same CSV."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

import comp.decode
from comp.engine import ignore_events
from comp.engines.inline import InlineEngine
from comp.images import ImageStore, PhotoFacts, PixelSpec, cache_images
from comp.store import beside, sweep
from comp.twins import THUMBNAIL
from tests.minis import (
    Command,
    Outcome,
    Pause,
    fold_of,
    forget_csv,
    forget_folds,
    make_mini,
    outcome,
    processes_in,
    results_in,
    snapshot,
    wait_for,
)
from tests.once import Once

GRACE = 2.0  # seconds after which a dead command writes nothing more

Starter = Callable[..., Command]


@dataclass(frozen=True)
class Point:
    """A moment of the job: the rename it stands before, and what is to be forgotten of a finished job to come by there."""

    pause: Pause
    forget: Callable[[Path], object]
    is_in_worker: bool = True


def forget_fold_1(work: Path) -> None:
    forget_folds(work, 1)


def forget_training(work: Path) -> None:
    forget_folds(work, 0, 1)


def forget_pixels(work: Path) -> None:
    forget_csv(work)
    shutil.rmtree(work / "cache")


def forget_all(work: Path) -> None:
    shutil.rmtree(work)


POINTS = {
    # thumbnails are the second of two chunks: the first is in place, the second is not
    "decoding": Point(Pause(r"/images/squash-32px-[^/]+/[0-9a-f]+$"), forget_pixels),
    "decoding first": Point(Pause(r"/images/squash-32px-[^/]+/[0-9a-f]+$"), forget_all),
    "epoch": Point(Pause(r"/fold-1/resume\.npz$", nth=3), forget_fold_1),
    # the other fold is in the middle of an epoch meanwhile: its worker would go on writing
    "epoch of two": Point(Pause(r"/fold-1/resume\.npz$", nth=3), forget_training),
    "marker": Point(Pause(r"/fold-1/done\.json$"), forget_fold_1),
    "csv": Point(Pause(r"/submissions/[0-9a-f]+\.csv$"), forget_csv, is_in_worker=False),
    "index": Point(Pause(r"/images/files/[0-9a-f]+\.json$"), forget_all, is_in_worker=False),
    "folds": Point(Pause(r"/dataset\.json$"), forget_all, is_in_worker=False),
    "probabilities": Point(Pause(r"/fold-1/test\.npy$"), forget_fold_1),
    "weights": Point(Pause(r"/fold-1/model\.weights\.h5$"), forget_fold_1),
    "oof": Point(Pause(r"-s0-[0-9a-f]+/test\.npy$"), forget_fold_1, is_in_worker=False),
    "manifest": Point(Pause(r"/submissions/[0-9a-f]+\.json$"), forget_csv, is_in_worker=False),
}
QUICK = [
    ("decoding", "group"),
    ("decoding", "worker"),
    ("epoch", "worker"),
    ("marker", "group"),
    ("csv", "parent"),
]
SLOW = [
    (name, victim)
    for name, point in POINTS.items()
    for victim in ("group", "parent", "worker")
    if (name, victim) not in QUICK and (victim != "worker" or point.is_in_worker)
]
CASES = [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)]


@dataclass(frozen=True)
class Reference:
    """The job done without disturbance, once for all tests: its raw files, its folder, and what it ended with."""

    data: Path
    work: Path
    outcome: Outcome


@pytest.fixture(scope="session")
def reference(once: Once) -> Reference:
    def do_the_job(home: Path) -> None:
        found = outcome(Command(make_mini(home / "data"), home / "work", jobs=3))
        (home / "outcome.json").write_text(json.dumps(asdict(found)))

    home = once("reference", do_the_job)
    return Reference(home / "data", home / "work", Outcome(**json.loads((home / "outcome.json").read_text())))


@pytest.fixture
def work(reference: Reference, tmp_path: Path) -> Path:
    """Return a copy of the folder in which the job is done, with all that was stored."""
    return Path(shutil.copytree(reference.work, tmp_path / "work"))


@pytest.fixture
def start(reference: Reference, work: Path) -> Iterator[Starter]:
    """Return what starts the command in `work`; whatever is left of it is killed after the test."""
    commands: list[Command] = []

    def start_one(*options: str, jobs: int = 2, pause: Pause | None = None) -> Command:
        commands.append(Command(reference.data, work, *options, jobs=jobs, pause=pause))
        return commands[-1]

    yield start_one
    for command in commands:
        command.clean_up()


def assert_nobody_is_left(work: Path) -> None:
    """Check that no file changes after the grace, and that no process of the command lives on.

    The process that workers are forked from writes nothing, and takes a second of computing to take Keras down.
    """
    end = time.monotonic() + GRACE
    while processes_in(work) and time.monotonic() < end:
        time.sleep(0.05)
    before = snapshot(work)
    wait_for(lambda: not processes_in(work), "the end of all processes of a dead command", patience=15)
    time.sleep(0.3)
    assert snapshot(work) == before


@pytest.mark.parametrize(("name", "victim"), CASES)
def test_killed_anywhere_ends_with_the_same_csv(
    name: str, victim: str, reference: Reference, work: Path, start: Starter
) -> None:
    point = POINTS[name]
    point.forget(work)
    command = start(pause=point.pause)
    paused = command.wait_until_paused()
    assert (paused != command.process.pid) is point.is_in_worker
    if victim == "worker":
        os.kill(paused, signal.SIGKILL)
    else:
        command.kill(whole_group=victim == "group")
        assert_nobody_is_left(work)
        assert reference.outcome.csv not in command.output
        command = start()
    assert outcome(command) == reference.outcome
    assert ("its worker died" in command.output) is (victim == "worker")
    if victim != "worker":
        assert not half_written(work)


def half_written(work: Path) -> list[Path]:
    """Return what the next run should have swept: unfinished pixels and weights, the large files."""
    return [
        path for place in ("cache/images/squash-*", "runs/mini/*/*/fold-*") for path in work.glob(f"{place}/.*.tmp")
    ]


def test_second_command_waits_says_for_whom_and_takes_the_result(
    reference: Reference, work: Path, start: Starter
) -> None:
    forget_folds(work, 1)
    first = start(pause=POINTS["marker"].pause)
    paused = first.wait_until_paused()
    second = start()
    wait_for(lambda: "waiting for" in second.output or second.process.poll() is not None, "the second command to wait")
    assert second.process.poll() is None, second.output + second.errors
    (line,) = (line for line in second.output.splitlines() if "waiting for" in line)
    assert f"process {paused}" in line
    assert "submit --competition ./mini.py" in line
    first.release()
    assert outcome(first) == reference.outcome
    trained_by_first = results_in(fold_of(work, 1))
    assert outcome(second) == reference.outcome
    assert results_in(fold_of(work, 1)) == trained_by_first


def test_one_job_at_a_time_gives_the_numbers_of_three(reference: Reference, work: Path, start: Starter) -> None:
    """The reference is made with JOBS=3, and every killed command runs with JOBS=2."""
    forget_folds(work, 0, 1)
    assert outcome(start(jobs=1)) == reference.outcome


def test_second_run_trains_nothing_and_ends_with_the_same_line(
    reference: Reference, work: Path, start: Starter
) -> None:
    before = results_in(work / "cache"), results_in(fold_of(work, 0)), results_in(fold_of(work, 1))
    began = time.monotonic()
    command = start()
    assert outcome(command) == reference.outcome
    assert time.monotonic() - began < 10
    assert not [line for line in command.output.splitlines() if line.startswith(("photos:", "training "))]
    assert (results_in(work / "cache"), results_in(fold_of(work, 0)), results_in(fold_of(work, 1))) == before


def test_only_a_fold_with_a_torn_file_is_trained_again(reference: Reference, work: Path, start: Starter) -> None:
    torn, other = fold_of(work, 0) / "valid.npy", results_in(fold_of(work, 1))
    whole = torn.read_bytes()
    torn.write_bytes(whole[:-7])
    command = start()
    assert outcome(command) == reference.outcome
    assert "training 1 folds" in command.output
    assert torn.read_bytes() == whole
    assert results_in(fold_of(work, 1)) == other


def test_edited_folds_are_refused_in_one_line(work: Path, start: Starter) -> None:
    (path,) = work.glob("runs/mini/*/folds.csv")
    header, first, *others = path.read_text().splitlines()
    row_id, fold = first.split(",")
    path.write_text("\n".join([header, f"{row_id},{1 - int(fold)}", *others]) + "\n")
    command = start()
    assert command.wait() == 3
    (line,) = command.errors.splitlines()
    assert line.startswith("error: ")
    assert "folds.csv was edited or torn" in line


@pytest.fixture
def photos(in_folder: Path) -> list[str]:
    """Return the photos below `data` of the current folder."""
    data = make_mini(in_folder / "data")
    return sorted(str(path.relative_to(data)) for path in data.glob("*/*.png"))


def cached(photos: list[str], *specs: PixelSpec) -> list[PhotoFacts]:
    return cache_images(Path("data"), photos, specs, InlineEngine(), ignore_events, Path("cache"))


def test_chunk_of_a_killed_process_is_not_read_before_it_is_in_place(photos: list[str]) -> None:
    """Its number may even be this process' own: in containers the same numbers come again, on a host of the same name."""
    expected = cached(photos, THUMBNAIL)
    (chunk,) = Path("cache").glob("images/squash-32px-*/*")
    unfinished = beside(chunk)
    chunk.rename(unfinished)
    shutil.rmtree("cache/images/files")
    assert not ImageStore(THUMBNAIL, Path("cache")).facts
    assert cached(photos, THUMBNAIL) == expected
    assert (chunk / "rows.npy").is_file()
    assert not unfinished.exists()


def test_chunk_in_use_stays_when_a_slower_command_made_the_same(
    photos: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, made = comp.decode.decode, []

    def be_overtaken(data: bytes) -> comp.decode.Photo:
        monkeypatch.setattr(comp.decode, "decode", real)
        cached(photos, THUMBNAIL, PixelSpec(8))
        made.extend(path.stat().st_ino for path in Path("cache").glob("images/squash-32px-*/*/rows.npy"))
        return real(data)

    monkeypatch.setattr(comp.decode, "decode", be_overtaken)
    cached(photos, THUMBNAIL, PixelSpec(16))
    (pixels,) = Path("cache").glob("images/squash-32px-*/*/rows.npy")
    assert [pixels.stat().st_ino] == made
    assert not list(Path("cache").glob("images/*/.*.tmp"))


def test_leftover_of_a_process_that_nobody_has_buried_is_swept(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE, "its end")
    leftover = beside(tmp_path / "file")
    leftover = leftover.with_name(leftover.name.replace(str(os.getpid()), str(process.pid)))
    for path in (leftover, beside(tmp_path / "file")):
        path.write_text("half")
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [beside(tmp_path / "file")]
    process.wait()


@pytest.mark.slow
def test_killed_at_any_second_ends_with_the_same_csv(reference: Reference, work: Path, start: Starter) -> None:
    forget_all(work)
    for i, seconds in enumerate(np.random.default_rng(5).uniform(1, 8, 14)):
        command = start()
        with suppress(subprocess.TimeoutExpired):
            command.process.wait(timeout=seconds)
            assert outcome(command) == reference.outcome
            forget_folds(work, i % 2)
            continue
        command.kill(whole_group=i % 3 != 0)
        assert_nobody_is_left(work)
    assert outcome(start()) == reference.outcome


@pytest.mark.slow
def test_worker_that_dies_three_times_is_one_line_and_loses_nothing(
    reference: Reference, work: Path, start: Starter
) -> None:
    forget_folds(work, 1)
    command = start(pause=POINTS["marker"].pause)
    for _ in range(3):
        paused = command.wait_until_paused()
        command.flag.unlink()
        os.kill(paused, signal.SIGKILL)
    assert command.wait() == 4
    (line,) = command.errors.splitlines()
    assert "its worker died 3 times" in line
    assert outcome(start()) == reference.outcome


@pytest.mark.slow
def test_four_fits_by_one_worker_or_three_give_the_same_numbers(work: Path, start: Starter) -> None:
    found = []
    for jobs in (1, 3):
        forget_all(work)
        found.append(outcome(start("--seeds", "2", jobs=jobs)))
    assert found[0] == found[1]
    assert len(set(found[0].oof_shas.values())) == 2
