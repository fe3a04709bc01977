"""Engine on an existing Dask cluster that sees the same folders: child processes of its workers do the jobs."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import pickle
import shlex
import sys
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from comp.backend import KEPT_MEMORY, OFFLINE, backend_name
from comp.engine import Event, Job, Listener, died, how_it_ended
from comp.engines import dask_worker
from comp.engines.child import as_error
from comp.errors import BadInput

PROJECT = Path(__file__).resolve().parents[2]
ANSWER_WITHIN = 5.0  # seconds that a scheduler may take to answer
TOPIC = "foldboard"  # one for all commands: a scheduler keeps topics for ever, and a bounded number of events of each
LOST = "its Dask worker was lost"


class DaskEngine:
    """Has the workers of a Dask cluster run jobs; each `run` connects anew and leaves nothing behind."""

    def __init__(self, address: str, n_jobs: int | None = None) -> None:
        """Make sure that a scheduler answers.

        Args:
            address: `tcp://host:port` of the scheduler.
            n_jobs: Jobs side by side; all that the cluster has room for where None.

        Raises:
            BadInput: If `distributed` is not installed, or no scheduler answers.
        """
        self.address, self.n_jobs = address, n_jobs
        _refuse_unless_scheduler(address)

    def run(self, jobs: Sequence[Job], listener: Listener) -> list[Any]:
        """Return each job's result, in order.

        Raises:
            FoldboardError: The first failure that a job reports itself, or that the scheduler is gone.
            TrainingFailed: If a job's worker died in each of its tries.
        """
        with _connected(self.address) as client:
            return _Dispatch(client, jobs, listener, self.n_jobs or len(jobs)).run()


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    from distributed import Client

    with _silent(), Client(address, timeout=ANSWER_WITHIN, set_as_default=False) as client:
        yield client


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what `distributed` logs from the terminal: it ends as our one line."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _refuse_unless_scheduler(address: str) -> None:
    """Ask who answers: a client of `distributed` 2026.8 hangs when it is given anything but a scheduler."""
    line = f"ENGINE={address}: expected tcp://host:port of a Dask scheduler that runs"
    if importlib.util.find_spec("distributed") is None:
        raise BadInput(f"{line}, and the package distributed, which is not installed (pip install distributed)")
    with ThreadPoolExecutor(1) as thread:  # a notebook has a loop of its own running in this one
        try:
            kind = thread.submit(asyncio.run, asyncio.wait_for(_who_answers(address), ANSWER_WITHIN)).result()
        except (TimeoutError, MemoryError) as error:  # other servers' words are read as the size of a message
            raise BadInput(f"{line}; none answered within {ANSWER_WITHIN:g} s") from error
        except Exception as error:  # whatever a wrong address or another kind of server leads to
            raise BadInput(f"{line}; {_first_line(error)}") from error
    if kind != "Scheduler":
        raise BadInput(f"{line}; a {kind} answered")


async def _who_answers(address: str) -> str:
    from distributed.core import rpc
    from distributed.security import Security

    connection_args = Security().get_connection_args("client")
    async with rpc(address, timeout=ANSWER_WITHIN, connection_args=connection_args) as server:
        return str((await server.identity())["type"])


class _Dispatch:
    """The state of one `run`: what waits, which task stands for which job, what came out.

    Dask holds an exception against a task's `retries`, and a dead worker against `allowed-failures` of every task that
    lay on it, begun or not. Neither is a count of tries, so tries are counted here: a child that died is an ordinary
    answer and its job is submitted again under a new key; a repetition by Dask itself shows as a second `begun` of one
    key, and is stopped there when it would be one too many.
    """

    def __init__(self, client: Any, jobs: Sequence[Job], listener: Listener, n_at_once: int) -> None:
        self.client, self.jobs, self.listener, self.n_at_once = client, jobs, listener, n_at_once
        self.waiting = deque(range(len(jobs)))
        self.n_died = [0] * len(jobs)
        self.results: list[Any] = [None] * len(jobs)
        self.tasks: dict[str, _Task] = {}
        self.inbox: SimpleQueue[Sequence[Any]] = SimpleQueue()

    def run(self) -> list[Any]:
        shipped = _shipped_whole()
        self.client.subscribe_topic(TOPIC, lambda event: self.inbox.put(event[1]))
        if self.jobs and not self.client.nthreads():
            self.listener(Event(self.jobs[0], "note", "the Dask cluster has no workers yet: waiting for one"))
        while self.waiting or self.tasks:
            while self.waiting and len(self.tasks) < self.n_at_once:
                self._submit(shipped, self.waiting.popleft())
            self._take(*self.inbox.get())
        self.client.unsubscribe_topic(TOPIC)
        return self.results

    def _submit(self, shipped: Callable[..., Any], index: int) -> None:
        key = f"foldboard-{uuid.uuid4().hex}"  # one that the scheduler cannot know: never a result of its memory
        future = self.client.submit(shipped, json.dumps(_start(self.jobs[index])), key, TOPIC, key=key, pure=False)
        self.tasks[key] = _Task(index, future)
        future.add_done_callback(lambda _: self.inbox.put([key, "over", None]))

    def _take(self, key: str, kind: str, value: Any) -> None:
        task = self.tasks.get(key)
        if task is None:  # another command's, or the last words of a try that was given up
            return
        if kind == "over":
            del self.tasks[key]
            self._end(task.index, *_answer_of(task.future))
        elif kind == "begun":
            if task.has_begun:
                self._count_death(task.index, LOST)
            task.has_begun = True
        else:
            self.listener(Event(self.jobs[task.index], kind, value))

    def _end(self, index: int, kind: str, value: Any) -> None:
        if kind == "error":
            raise as_error(value)
        if kind == "died":
            self._count_death(index, value)
            self.waiting.appendleft(index)
        else:
            self.results[index] = value
            self.listener(Event(self.jobs[index], "done", value))

    def _count_death(self, index: int, how: str) -> None:
        self.n_died[index] += 1
        self.listener(died(self.jobs[index], how, self.n_died[index]))


@dataclass
class _Task:
    """One try of a job, or several of them where Dask repeats it by itself."""

    index: int
    future: Any
    has_begun: bool = False


def _answer_of(future: Any) -> tuple[str, Any]:
    """Return how a task ended, and let go of it: a result that stays in a worker is computed again if that dies."""
    from distributed import CancelledError, KilledWorker

    try:
        kind, value = future.result()
    except KilledWorker:
        return "died", LOST
    except CancelledError:
        return "error", ["FoldboardError", "the Dask scheduler is gone: the same command goes on when one runs again"]
    except Exception as error:  # Dask's own: a job's error comes as an answer
        return "error", [
            "TrainingFailed",
            f"a task failed on the Dask cluster with {type(error).__name__}: {_first_line(error)}",
        ]
    finally:
        future.release()
    if kind == "died":
        exit_code, last_words = value
        return kind, how_it_ended(exit_code) + (f", saying {last_words}" if last_words else "")
    return kind, value


def _start(job: Job) -> dict[str, Any]:
    """Return all that a child must know to do a job as it would be done here."""
    command = os.environ.get("FOLDBOARD_COMMAND") or shlex.join(["python", *sys.argv])
    return {
        "folder": os.getcwd(),
        "path": _own_path(),
        "environment": {
            "KERAS_BACKEND": backend_name(),
            "FOLDBOARD_COMMAND": command,
            OFFLINE: os.environ.get(OFFLINE, ""),
            "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", KEPT_MEMORY),
        },
        "job": {**vars(job), "arguments": dict(job.arguments)},
    }


def _own_path() -> list[str]:
    """Return where modules are looked for, this project first; the worker's Python has its own libraries."""
    folders = [PROJECT, *(Path(folder).absolute() for folder in sys.path)]
    of_python = (sys.prefix, sys.base_prefix)
    own = [folder for folder in folders if folder == PROJECT or not any(map(folder.is_relative_to, of_python))]
    return list(dict.fromkeys(map(str, own)))


def _shipped_whole() -> Callable[..., Any]:
    """Return what workers run, with its code inside: a worker need not be able to import this project."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(dask_worker)
    try:
        code = cloudpickle.dumps(dask_worker.run_in_child)
    finally:
        cloudpickle.unregister_pickle_by_value(dask_worker)

    def task(*arguments: str) -> Any:
        return pickle.loads(code)(*arguments)

    return task


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
