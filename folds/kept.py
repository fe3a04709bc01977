"""Which feature banks stay: those that running processes work with, then those named last, as many as CACHE_GB holds.

cache/features/.in-use/<process>   the keys of the banks that it named; locked until it ends
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import uuid
from collections.abc import Collection
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from comp.console import say
from comp.images import CACHE
from comp.store import beside, disk_full_is_one_line, locked, sweep, write_json
from folds.banks import FOLDER, BankSpec

IN_USE = ".in-use"
NAMED = "bank.json"  # its mtime tells when a plan last named the bank


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
            _HELD[home] = _own_file(home / IN_USE)
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
    for path in (home / IN_USE).glob("*"):
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


def mark_used(spec: BankSpec, cache_dir: Path) -> None:
    """Note that a plan names the bank now: the oldest bank is thrown away first."""
    path = spec.folder(cache_dir) / NAMED
    if path.is_file():
        os.utime(path)
    else:
        write_json(path, spec.key_parts())


def trim(limit_bytes: float, keep: Collection[str], cache_dir: Path = CACHE) -> int:
    """Throw away the banks used longest ago until all fit; return the bytes freed.

    Those whose keys are kept stay, and those that another running process named; where these alone are too many, that is said.
    """
    home = cache_dir / FOLDER
    if not home.is_dir():
        return 0
    with alone(home):
        sweep(home)
        keep = {*keep, *held_by_others(home)}
        banks = sorted((path for path in home.glob("[!.]*") if path.is_dir()), key=_last_named)
        sizes = {folder: _bytes_in(folder) for folder in banks}
        freed, total = 0, sum(sizes.values())
        for folder, n_bytes in sizes.items():
            if total - freed <= limit_bytes:
                break
            if folder.name not in keep:
                _throw_away(folder)
                freed += n_bytes
    if total - freed > limit_bytes:
        say(
            f"stored features take {(total - freed) / 1e9:.1f} GB, more than CACHE_GB={limit_bytes / 1e9:g}: "
            "this plan and other running commands need them"
        )
    return freed


def _throw_away(folder: Path) -> None:
    """Remove a bank; it is renamed first, so that it is there whole or not at all."""
    rubbish = beside(folder)  # swept where this process is killed meanwhile
    shutil.rmtree(rubbish, ignore_errors=True)  # of a killed process that had this one's number: containers
    with suppress(FileNotFoundError):
        folder.rename(rubbish)
    shutil.rmtree(rubbish, ignore_errors=True)


def _last_named(folder: Path) -> float:
    """Return when a plan last named a bank; 0 for what is no whole bank."""
    with suppress(FileNotFoundError):
        return (folder / NAMED).stat().st_mtime
    return 0.0


def _bytes_in(folder: Path) -> int:
    """Return the bytes of the files in a folder; one that is gone before it is looked at has none."""
    n_bytes = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                n_bytes += os.lstat(os.path.join(path, name)).st_size
    return n_bytes
