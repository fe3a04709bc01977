"""Which feature banks running processes work with, so that no other throws them away: a file a process, locked until it ends.

cache/features/.in-use/<process>   the keys of the banks that it named
"""

from __future__ import annotations

import fcntl
import os
import socket
import uuid
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from comp.console import say
from comp.store import disk_full_is_one_line, locked

FOLDER = ".in-use"


@dataclass
class _Held:
    """What this process named: its file, open and locked as long as the process lives, and the keys in it."""

    path: Path
    descriptor: int
    keys: set[str] = field(default_factory=set)


_HELD: dict[Path, _Held] = {}  # by folder of banks


def alone(home: Path) -> AbstractContextManager[None]:
    """Let one process at a time name banks or throw some away.

    Args:
        home: Folder of all banks.
    """
    return locked(home / ".lock", say)


def hold(home: Path, keys: Collection[str]) -> None:
    """Keep banks from being thrown away by other processes until this one ends, however it ends.

    Raises:
        NoSpace: If the disk is full.
    """
    home = home.resolve()
    new = set(keys) - (_HELD[home].keys if home in _HELD else set())
    if not new:
        return
    with alone(home), disk_full_is_one_line(home):
        if home not in _HELD:
            _HELD[home] = _own_file(home / FOLDER)
        os.write(_HELD[home].descriptor, "".join(f"{key}\n" for key in sorted(new)).encode())
        _HELD[home].keys |= new


def _own_file(folder: Path) -> _Held:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # no child inherits it
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return _Held(path, descriptor)


def held_by_others(home: Path) -> set[str]:
    """Return the keys of the banks that other running processes named; the files of those that ended are removed.

    Call it `alone`.
    """
    home = home.resolve()
    held: set[str] = set()
    for path in (home / FOLDER).glob("*"):
        if home in _HELD and path == _HELD[home].path:
            continue
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                held |= set(file.read().split())
            else:
                path.unlink()
    return held
