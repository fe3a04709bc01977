"""Who runs jobs: this machine's worker processes by default; engines only decide where, never what comes out.

A job is a function by name and plain arguments. It is idempotent: it finds its own result if that is whole, else it
makes it, so an engine may run it again at any time, anywhere that sees the same folders.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from comp.errors import BadInput, TrainingFailed

TRIES = 3  # a job whose worker died is tried again, twice


@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work that a worker can do knowing nothing else.

    Attributes:
        function: `package.module:function`; called as `function(report, **arguments)` and returns plain JSON values.
        arguments: Plain JSON values.
        label: What a person calls it.
        needs_keras: Whether its worker should come with Keras imported.
        is_fresh: Whether its worker ends with it (memory grows over fits in one process).
        log_path: File that takes whatever libraries print meanwhile.
        size: Units of progress it counts for.
    """

    function: str
    arguments: Mapping[str, Any]
    label: str
    needs_keras: bool = False
    is_fresh: bool = False
    log_path: str = os.devnull
    size: float = 1.0


@dataclass(frozen=True)
class Event:
    """What a job said while it ran: `progress` (a share 0..1), `note` (a line for the person) or `done` (its result)."""

    job: Job
    kind: str
    value: Any = field(default=None)


Report = Callable[[str, Any], None]
Listener = Callable[[Event], None]


class Engine(Protocol):
    """Runs jobs somewhere, each until it has succeeded once, and gives back their results in the order asked."""

    def run(self, jobs: Sequence[Job], listener: Listener) -> list[Any]:
        """Return each job's result, in order.

        Raises:
            FoldboardError: The first failure that a job reports itself.
            TrainingFailed: If a job's worker died in each of its tries.
        """
        ...


def ignore_events(event: Event) -> None:
    """Listen to nothing."""


def call(job: Job, report: Report) -> Any:
    """Import a job's function and call it here.

    Arguments and result take the way through JSON on every engine, so that none changes what comes out.

    Raises:
        TypeError: If an argument or the result is not a plain JSON value.
        ValueError: If the job reports something else than `progress` or `note`.
    """
    module_name, _, function_name = job.function.partition(":")
    Path(job.log_path).parent.mkdir(parents=True, exist_ok=True)
    function = getattr(importlib.import_module(module_name), function_name)
    return _plain(function(_checked(report), **_plain(dict(job.arguments))))


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _checked(report: Report) -> Report:
    def tell(kind: str, value: Any) -> None:
        if kind not in ("progress", "note"):
            raise ValueError(f"event {kind!r}: expected progress or note")
        report(kind, float(value) if kind == "progress" else str(value))

    return tell


def how_it_ended(exit_code: int | None) -> str:
    """Return how a process ended, in words: the signal that killed it, or its exit status."""
    if exit_code is None or exit_code >= 0:
        return f"exit status {exit_code}"
    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:  # a real-time signal has no name
        return f"killed by signal {-exit_code}"


def died(job: Job, how: str, n_tries: int) -> Event:
    """Return the note that a job's worker died and the job is tried again.

    Raises:
        TrainingFailed: If it has been tried often enough.
    """
    if n_tries >= TRIES:
        raise TrainingFailed(
            f"{job.label}: its worker died {n_tries} times (last: {how}); its output is in {job.log_path}; "
            "if memory ran out, try JOBS=1"
        )
    return Event(job, "note", f"{job.label}: its worker died ({how}), trying again")


def n_cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_engine(name: str = "local", n_jobs: int | None = None) -> Engine:
    """Return the engine of that name: `local`, `inline`, or the address of a running Dask scheduler.

    Args:
        name: `local` for worker processes, `inline` for this process, `tcp://host:port` for a Dask cluster that sees
            the same folders.
        n_jobs: Jobs side by side; where None, the number of cores, or all that the cluster has room for.

    Raises:
        BadInput: If there is no such engine, no scheduler answers there, or fewer than one job is asked for.
    """
    if n_jobs is not None and n_jobs < 1:
        raise BadInput(f"JOBS={n_jobs}: expected a whole number from 1 on")
    if name == "local":
        from comp.engines.local import LocalEngine

        return LocalEngine(n_jobs or n_cores())
    if name == "inline":
        from comp.engines.inline import InlineEngine

        return InlineEngine()
    if "://" in name:
        from comp.engines.dask import DaskEngine

        return DaskEngine(name, n_jobs)
    raise BadInput(f"ENGINE={name}: expected local, inline, or the address of a Dask scheduler (tcp://host:port)")
