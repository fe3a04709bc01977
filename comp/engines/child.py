"""What each process does that an engine runs jobs in: prints to logs, answers in plain values, ends with its parent."""

from __future__ import annotations

import errno
import faulthandler
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TextIO

from comp import errors
from comp.backend import prepare_environment
from comp.engine import Job, call
from comp.errors import FoldboardError, NoSpace, TrainingFailed

Send = Callable[[str, Any], None]


def isolate(alive: int) -> None:
    """Cut this process off from the terminal and tie its life to its parent's.

    It reads nothing, prints nothing, does not hear Ctrl-C (that reaches the whole group; the parent decides), and
    leaves at once when the parent is gone, however it went.

    Args:
        alive: Descriptor of a pipe on which nothing is ever sent and whose other end only the parent holds.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    # Made anew, because they may have been closed, hold text of the parent, or refuse letters in the C locale.
    sys.stdout, sys.stderr = _text_stream(1), _text_stream(2)
    faulthandler.enable()  # a crash in a library leaves its stack in the job's log
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()


def _text_stream(descriptor: int) -> TextIO:
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _end_with_parent(alive: int) -> None:
    with suppress(OSError):
        os.read(alive, 1)
    os._exit(1)


def come_with_keras() -> None:
    """Import Keras where it is not imported yet; where it cannot be, the job that needs it tells why."""
    with suppress(Exception):
        importlib.import_module("keras")


def answer(job: Job, send: Send) -> tuple[str, Any]:
    """Do a job, with all that it prints going to its log.

    Args:
        send: Takes the job's events; never called after the return, nor by two threads at once.

    Returns:
        `done` and the result, or `error` and what `as_error` makes an exception of.
    """
    reporter = _Reporter(send)
    try:
        _send_output_to(job.log_path)
        return "done", call(job, reporter)
    except FoldboardError as error:
        return "error", _as_plain(error)
    except BaseException as error:  # a library that calls sys.exit has failed too, its worker has not died
        with suppress(OSError):
            traceback.print_exc()
        return "error", _as_plain(_in_one_line(job, error))
    finally:
        reporter.close()
        _flush()


class _Reporter:
    """Passes on what a job says, from whichever of its threads, until it is over."""

    def __init__(self, send: Send) -> None:
        self._send: Send | None = send
        self._lock = threading.Lock()

    def __call__(self, kind: str, value: Any) -> None:
        with self._lock:
            if self._send is not None:
                self._send(kind, value)

    def close(self) -> None:
        with self._lock:
            self._send = None


def _send_output_to(log_path: str) -> None:
    os.makedirs(os.path.dirname(log_path) or ".", exist_ok=True)
    with open(log_path, "ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a full disk, or a job that closed it
            stream.flush()


def _in_one_line(job: Job, error: BaseException) -> FoldboardError:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(
            f"{job.label}: disk full: free some space (make clean empties cache/) and run the same command again; "
            "what was finished is kept"
        )
    lines = str(error).strip().splitlines() or ["no message"]
    return TrainingFailed(
        f"{job.label} failed with {type(error).__name__}: {lines[0][:200]} (the whole story is in {job.log_path})"
    )


def _as_plain(error: FoldboardError) -> list[str]:
    known = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    return [known.__name__, str(error)]


def as_error(plain: list[str]) -> FoldboardError:
    """Return the error that an `answer` told of: its class and its line."""
    kind, line = plain
    error: FoldboardError = getattr(errors, kind)(line)
    return error


def serve(start: Mapping[str, Any]) -> None:
    """Do one job and end: standard input stays open as long as the parent lives, standard output takes JSON lines.

    Args:
        start: `environment` (variables to set) and `job` (the attributes of a Job).
    """
    os.environ.update(start["environment"])
    prepare_environment()
    job = Job(**start["job"])
    with open(os.dup(1), "w", encoding="utf-8") as messages:

        def send(kind: str, value: Any) -> None:
            print(json.dumps([kind, value]), file=messages, flush=True)

        isolate(os.dup(0))
        if job.needs_keras:
            come_with_keras()
        send(*answer(job, send))
