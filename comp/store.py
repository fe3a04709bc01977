"""How anything is put on disk: written beside, synced, renamed; a marker with the hashes of the outputs last; one lock a job.

A reader that finds a marker whose hashes match finds a whole result; anything else counts as not there.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shlex
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from comp.errors import NoSpace, Refused

MARKER = "done.json"
# Larger files (model weights) are checked by size only when a run is looked up: hashing 500 MB to list a run is too slow.
HASHED_UP_TO = 64 * 1024 * 1024


def sha256_of(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's content, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """Return JSON that is the same text for the same value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def key_of(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON: the key that names what was computed from it."""
    return sha256_of(canonical_json(value).encode())


@contextmanager
def disk_full_is_one_line(where: Path) -> Iterator[None]:
    """Turn the system's "no space left" into one clear line that names the place.

    Raises:
        NoSpace: If the disk or the quota is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise NoSpace(
            f"disk full while writing {where}: free some space (make clean empties cache/) and run the same command "
            "again; what was finished is kept"
        ) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def beside(path: Path) -> Path:
    """Return the name that a file or folder is written under before it is renamed to `path`."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")


def sweep(folder: Path) -> None:
    """Remove what processes of this machine that are dead by now had begun to write into a folder."""
    for path in folder.glob(f".*.{socket.gethostname()}.*.tmp"):
        pid = path.name.split(".")[-2]
        if pid.isdigit() and _is_alive(int(pid)):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    import psutil

    try:
        # an orphan that ended keeps its number until somebody asks how: in a container, that may be for ever
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; on success it is synced and renamed to `path`, on failure it is removed.

    Raises:
        NoSpace: If the disk is full.
    """
    with disk_full_is_one_line(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = beside(path)
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes so that a reader sees the old file or the whole new one, never a part."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8 so that a reader sees the old file or the whole new one."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any, indent: int | None = 1) -> None:
    """Write a value as JSON made to be read by people; with no indent it is one line, written ten times faster."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False, default=str) + "\n")


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array as `.npy`."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)


def read_json(path: Path) -> Any:
    """Return the value of a JSON file of ours.

    Raises:
        Refused: If the file is torn or was edited into something that is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Refused(f"{path} is not whole JSON ({error}): remove it and run the same command again") from error


def write_marker(
    folder: Path, outputs: Iterable[str], facts: dict[str, Any] | None = None, indent: int | None = 1
) -> dict[str, Any]:
    """Write the marker of a finished job: its outputs with size and hash, and the facts that go with them."""
    files = {}
    for name in outputs:
        path = folder / name
        size = path.stat().st_size
        files[name] = {"bytes": size, "sha256": sha256_of_file(path)}
    marker = {**(facts or {}), "files": files}
    write_json(folder / MARKER, marker, indent)
    return marker


def read_marker(folder: Path) -> dict[str, Any] | None:
    """Return a finished job's marker, or None where the job is not finished or an output is torn, edited or gone."""
    try:
        marker = json.loads((folder / MARKER).read_text())
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None
    whole = all(_is_whole(folder / name, facts) for name, facts in marker["files"].items())
    return marker if whole else None


def _is_whole(path: Path, facts: dict[str, Any]) -> bool:
    if not path.is_file() or path.stat().st_size != facts["bytes"]:
        return False
    return bool(facts["bytes"] > HASHED_UP_TO or sha256_of_file(path) == facts["sha256"])


def owner_line() -> dict[str, Any]:
    """Return who holds a lock, in words that another person at the same runs can use."""
    command = os.environ.get("FOLDBOARD_COMMAND") or shlex.join(["python", *sys.argv])
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%H:%M:%S"), "command": command}


@contextmanager
def locked(path: Path, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock file `path`; where another process holds it, say for whom we wait, then wait.

    The lock is the operating system's: it is free again as soon as its holder ends, however it ends.

    Args:
        path: The lock file; its holder is described in `path` + ".owner".
        on_wait: Called once, with a line that names the holder, if the lock is not free.

    Raises:
        NoSpace: If the disk is full.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    with disk_full_is_one_line(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if on_wait:
                on_wait(f"waiting for {_describe_owner(path)}")
            lock.acquire(poll_interval=0.2)
    try:
        with disk_full_is_one_line(path):
            _owner_path(path).write_text(json.dumps(owner_line()))
        yield
    finally:
        _owner_path(path).unlink(missing_ok=True)
        lock.release()


def _owner_path(path: Path) -> Path:
    return path.with_name(path.name + ".owner")


def _describe_owner(path: Path) -> str:
    try:
        owner = json.loads(_owner_path(path).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return "another command on the same runs"
    return f"`{owner['command']}` (process {owner['pid']} on {owner['host']}, since {owner['since']})"
