"""Promise 5: written beside, synced, renamed; the marker last; one lock a job."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import numpy as np
import pytest

from comp.errors import NoSpace, Refused
from comp.store import (
    beside,
    canonical_json,
    key_of,
    locked,
    read_json,
    read_marker,
    replacing,
    sweep,
    write_array,
    write_bytes,
    write_json,
    write_marker,
)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_bytes(path, b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_bytes(b"half of the new")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoSpace, match=r"disk full while writing .*make clean"), replacing(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux' /dev/full")
def test_the_system_s_own_full_device_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(NoSpace), replacing(tmp_path / "a") as temporary:
        temporary.symlink_to("/dev/full")
        temporary.write_bytes(b"x" * 100_000)


def test_marker_holds_only_while_outputs_are_whole(tmp_path: Path) -> None:
    write_array(tmp_path / "a.npy", np.arange(5))
    write_json(tmp_path / "b.json", {"x": 1})
    write_marker(tmp_path, ["a.npy", "b.json"], {"fold": 3})
    marker = read_marker(tmp_path)
    assert marker is not None and marker["fold"] == 3
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert read_marker(tmp_path) is None
    (tmp_path / "a.npy").write_bytes(content)
    assert read_marker(tmp_path) == marker
    (tmp_path / "b.json").unlink()
    assert read_marker(tmp_path) is None


@pytest.mark.parametrize("text", ["", '{"files": ', "\x00\x01"])
def test_a_torn_marker_counts_as_not_there(tmp_path: Path, text: str) -> None:
    (tmp_path / "done.json").write_text(text)
    assert read_marker(tmp_path) is None


def test_torn_json_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"a": 1')
    with pytest.raises(Refused, match=r"run\.json is not whole JSON"):
        read_json(tmp_path / "run.json")


def test_keys_depend_on_values_not_on_order() -> None:
    assert key_of({"a": 1, "b": [2, 3]}) == key_of({"b": [2, 3], "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 2})
    assert canonical_json({"é": 1.5}) == '{"é":1.5}'


def test_second_holder_waits_and_says_for_whom(tmp_path: Path) -> None:
    lock, said, order = tmp_path / "x.lock", [], []
    with locked(lock):

        def second() -> None:
            with locked(lock, said.append):
                order.append("second")

        thread = threading.Thread(target=second)
        thread.start()
        thread.join(1.0)
        assert thread.is_alive() and not order
        order.append("first done")
    thread.join(10)
    assert order == ["first done", "second"]
    assert len(said) == 1 and f"process {os.getpid()}" in said[0] and "waiting for" in said[0]


def test_a_lock_is_free_when_its_holder_is_killed(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    code = f"from pathlib import Path; from comp.store import locked\nwith locked(Path({str(lock)!r})):\n print('held', flush=True); input()"
    root = Path(__file__).resolve().parents[1]
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root)
    assert child.stdout is not None and child.stdin is not None
    assert child.stdout.readline() == b"held\n"
    child.kill()
    child.wait()
    child.stdout.close()
    child.stdin.close()
    with locked(lock, pytest.fail):
        assert lock.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux' /dev/full")
def test_a_lock_on_a_full_disk_is_one_line_and_free_again(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    (tmp_path / "x.lock.owner").symlink_to("/dev/full")
    with pytest.raises(NoSpace, match=r"disk full while writing .*x\.lock"), locked(lock):
        raise AssertionError("its owner could not be written down")
    with locked(lock, pytest.fail):
        assert (tmp_path / "x.lock.owner").is_file()


def test_a_lock_that_cannot_be_made_on_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(filelock.FileLock, "acquire", full)
    with pytest.raises(NoSpace, match=r"disk full while writing .*x\.lock"), locked(tmp_path / "x.lock"):
        raise AssertionError("there is no lock")


def test_sweep_removes_what_the_dead_began_and_leaves_the_living(tmp_path: Path) -> None:
    mine = beside(tmp_path / "a")
    mine.write_text("x")
    dead = mine.with_name(mine.name.replace(f".{os.getpid()}.", ".999999999."))
    dead.write_text("x")
    (tmp_path / "data.npy").write_text("x")
    sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([mine.name, "data.npy"])
