"""Where studies are kept: a journal file that survives power cuts, or any storage URL of Optuna with heartbeats."""

from __future__ import annotations

import os
import re
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comp import typed
from comp.console import relative, warn
from comp.errors import BadInput, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    import optuna
    from optuna.storages.journal import JournalFileSymlinkLock

HEARTBEAT_SECONDS, GRACE_SECONDS = 60, 180  # of a storage URL; a worker that is silent for longer counts as dead
CONNECT_SECONDS = 10
STALE_LOCK_SECONDS = 3  # Optuna's own lock is held for milliseconds


LOST = 75  # exit status of a worker whose storage does not answer: sysexits.h calls it a temporary failure


def storage_errors() -> tuple[type[Exception], ...]:
    """Return what is raised where a storage that was reached before does not answer any more."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    return optuna.exceptions.StorageInternalError, SQLAlchemyError


@contextmanager
def quiet_optuna() -> Iterator[Any]:
    """Yield the module optuna, told not to print; its experimental parts are used on purpose, at a pinned version."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", "Heartbeat of storage")  # trials are asked for under a lock; the reaper beats
        yield optuna


def open_storage(where: str, heartbeat: tuple[int, int] = (HEARTBEAT_SECONDS, GRACE_SECONDS)) -> Any:
    """Return the storage that a URL or the path of a journal file names; a torn journal is mended first.

    Args:
        where: `postgresql://...`, `sqlite:///...`, or a path.
        heartbeat: Seconds between two signs of life of a worker, and of silence after which it counts as dead.

    Raises:
        BadInput: If the storage cannot be reached, or its driver is not installed.
        Refused: If the journal is damaged before its last line.
    """
    return _open_url(where, heartbeat) if "://" in where else _open_journal(Path(where))


def shown(where: str) -> str:
    """Return a storage as it may be printed: without the password."""
    return without_password(where) if "://" in where else relative(Path(where))


def without_password(text: str) -> str:
    """Return a text with the password of each URL in it replaced by stars."""
    return re.sub(r"(://[^:/@\s]+):[^@\s]+@", r"\1:***@", text)


def command_line() -> str:
    """Return the command that runs, as it may be written down."""
    return without_password(typed.command_line())


def _open_url(url: str, heartbeat: tuple[int, int]) -> Any:
    from sqlalchemy import NullPool
    from sqlalchemy.exc import SQLAlchemyError

    from tuning.reaper import requeue

    interval, grace = heartbeat
    full = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)
    connect = {"connect_args": {"connect_timeout": CONNECT_SECONDS}} if full.startswith("postgresql+psycopg") else {}
    try:
        with quiet_optuna() as optuna:
            return optuna.storages.RDBStorage(
                full,
                engine_kwargs={"poolclass": NullPool, **connect},  # hours may lie between two words
                heartbeat_interval=interval,
                grace_period=grace,
                heartbeat_stale_trial_callback=requeue,
            )
    except ImportError as error:
        raise BadInput(
            f"STORAGE={shown(url)}: its driver is not installed; for PostgreSQL: "
            "make env, then .venv/bin/python -m pip install 'psycopg[binary]'"
        ) from error
    except (SQLAlchemyError, ValueError, OSError, RuntimeError) as error:
        raise BadInput(
            f"STORAGE={shown(url)}: cannot be reached ({in_one_line(error)}); is the server running?"
        ) from error


def in_one_line(error: Exception) -> str:
    """Return the first line of what a storage says is wrong, without passwords."""
    said = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return without_password(said)[:200]


def _open_journal(path: Path) -> Any:
    with quiet_optuna() as optuna:
        journal = optuna.storages.journal
        lock = _lock(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()  # mends a torn end
            lock.release()
            return optuna.storages.JournalStorage(journal.JournalFileBackend(str(path), lock_obj=lock))
        except ValueError as error:  # json's error is one
            raise Refused(
                f"journal {relative(path)} is damaged before its last line ({error}); put a whole copy back, or move it "
                "away and begin the study anew: finished folds are kept beside it and not trained again"
            ) from error
        except OSError as error:
            raise BadInput(
                f"STORAGE={relative(path)}: no journal can be kept there ({error.strerror or error}); name a file in a "
                "folder that can be written, or a URL such as postgresql://..."
            ) from error


def mend(path: Path) -> int:
    """Cut a journal's torn last line off, which would lock the study for ever; return the bytes cut. Call it under the lock."""
    if not path.is_file():
        return 0
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if not size or _byte_at(file, size - 1) == b"\n":
            return 0
        end = size
        while end and _byte_at(file, end - 1) != b"\n":
            end -= 1
        file.truncate(end)
        os.fsync(file.fileno())
    return size - end


def _byte_at(file: Any, position: int) -> bytes:
    file.seek(position)
    return bytes(file.read(1))


def _lock(path: Path) -> JournalFileSymlinkLock:
    """Return Optuna's own lock, under one of the operating system that ends with its holder.

    Optuna's lock of a process that was killed stays; nobody of ours holds it while we hold the other, so what is found then was
    left behind (or is a dashboard's, for milliseconds) and is taken after 3 seconds, not 30. The journal's end is mended each
    time, because another process may have died in the middle of a line since.
    """
    from filelock import FileLock
    from optuna.storages.journal import JournalFileSymlinkLock

    outer = FileLock(f"{path}.oslock")

    class Lock(JournalFileSymlinkLock):
        def acquire(self) -> bool:
            outer.acquire()
            super().acquire()
            n_cut = mend(path)
            if n_cut:
                warn(
                    f"journal {relative(path)}: its last line was torn, {n_cut} bytes were cut off; what was told before is kept"
                )
            return True

        def release(self) -> None:
            try:
                super().release()
            finally:
                outer.release()

    return Lock(str(path), grace_period=STALE_LOCK_SECONDS)


def load_studies(where: str) -> list[optuna.Study]:
    """Return all studies of a storage, by name.

    Raises:
        BadInput: If it cannot be reached.
    """
    storage = open_storage(where)
    with quiet_optuna() as optuna:
        return [optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage)]
