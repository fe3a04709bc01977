"""Engine of this machine: worker processes that are replaced when they die, and end by themselves when their parent dies."""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

from comp.backend import can_fork_after_import, prepare_environment
from comp.engine import TRIES, Event, Job, Listener, call
from comp.errors import FoldboardError, TrainingFailed


class LocalEngine:
    """Keeps up to `n_workers` processes busy; which of them runs which job never changes a result."""

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers

    def run(self, jobs: Sequence[Job], listener: Listener) -> list[Any]:
        """Return each job's result, in order.

        Raises:
            FoldboardError: The first failure that a job reports itself; the other workers are stopped.
            TrainingFailed: If a job's worker died in each of its tries.
        """
        return _Dispatch(jobs, listener, self.n_workers).run()


class _Worker:
    """One worker process with the two pipes that tie it to this one."""

    def __init__(self, needs_keras: bool) -> None:
        self.needs_keras = needs_keras
        context = _context(needs_keras)
        self.messages, theirs = context.Pipe()
        alive_theirs, self._alive = context.Pipe(duplex=False)
        self.process = context.Process(target=_work, args=(theirs, alive_theirs), daemon=True)
        with _quiet_output():
            self.process.start()
        theirs.close()
        alive_theirs.close()
        self.job_index: int | None = None

    def give(self, job_index: int, job: Job) -> None:
        self.job_index = job_index
        try:
            self.messages.send(job)
        except OSError:  # it died while idle; its end is noticed through the closed pipe
            return

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.messages.close()
        self._alive.close()


class _Dispatch:
    """The state of one `run`: what waits, who works, what came out."""

    def __init__(self, jobs: Sequence[Job], listener: Listener, n_workers: int) -> None:
        self.jobs, self.listener, self.n_workers = jobs, listener, n_workers
        self.waiting = deque(range(len(jobs)))
        self.tries = [0] * len(jobs)
        self.results: list[Any] = [None] * len(jobs)
        self.workers: list[_Worker] = []

    def run(self) -> list[Any]:
        try:
            while self.waiting or any(worker.job_index is not None for worker in self.workers):
                self._hand_out()
                self._listen()
            return self.results
        finally:
            for worker in self.workers:
                worker.stop()

    def _hand_out(self) -> None:
        while self.waiting:
            job = self.jobs[self.waiting[0]]
            worker = self._idle_worker(job.needs_keras)
            if worker is None:
                return
            index = self.waiting.popleft()
            self.tries[index] += 1
            worker.give(index, job)

    def _idle_worker(self, needs_keras: bool) -> _Worker | None:
        idle = [worker for worker in self.workers if worker.job_index is None]
        for worker in idle:
            if worker.needs_keras == needs_keras:
                return worker
        if len(self.workers) >= self.n_workers:
            if not idle:
                return None
            self._dismiss(idle[0])
        self.workers.append(_Worker(needs_keras))
        return self.workers[-1]

    def _listen(self) -> None:
        busy = {worker.messages: worker for worker in self.workers if worker.job_index is not None}
        for connection in wait(list(busy)):
            worker = busy[connection]
            try:
                kind, value = worker.messages.recv()
            except (EOFError, OSError):
                self._bury(worker)
            else:
                self._take(worker, kind, value)

    def _take(self, worker: _Worker, kind: str, value: Any) -> None:
        assert worker.job_index is not None
        job = self.jobs[worker.job_index]
        if kind == "error":
            raise value
        if kind == "done":
            self.results[worker.job_index] = value
            worker.job_index = None
            if job.is_fresh:
                self._dismiss(worker)
        self.listener(Event(job, kind, value))

    def _bury(self, worker: _Worker) -> None:
        assert worker.job_index is not None
        index, job = worker.job_index, self.jobs[worker.job_index]
        self._dismiss(worker)
        how = f"exit status {worker.process.exitcode}"
        if self.tries[index] >= TRIES:
            raise TrainingFailed(
                f"{job.label}: its worker died {TRIES} times (last {how}); its output is in {job.log_path}; "
                "if memory ran out, try JOBS=1"
            )
        self.waiting.appendleft(index)
        self.listener(Event(job, "note", f"{job.label}: its worker died ({how}), trying again"))

    def _dismiss(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        worker.stop()


def _context(needs_keras: bool) -> Any:
    prepare_environment()
    if not (needs_keras and can_fork_after_import()):
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["comp.engines.preload"])
    with _quiet_output():
        multiprocessing.forkserver.ensure_running()
    return context


@contextmanager
def _quiet_output() -> Iterator[None]:
    """Keep what libraries print while a child starts away from the terminal: children inherit these two streams."""
    saved = [os.dup(1), os.dup(2)]
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        for descriptor, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)


def _work(messages: Connection, alive: Connection) -> None:
    """Be a worker: take jobs until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    while True:
        try:
            job = messages.recv()
        except EOFError:
            return
        messages.send(_answer(job, messages))


def _end_with_parent(alive: Connection) -> None:
    """Leave at once when the parent is gone: nothing sends on this pipe, so it only ever ends."""
    try:
        alive.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


def _answer(job: Job, messages: Connection) -> tuple[str, Any]:
    with _output_to(job.log_path):
        try:
            return "done", call(job, lambda kind, value: messages.send((kind, value)))
        except FoldboardError as error:
            return "error", error
        except Exception as error:
            traceback.print_exc()
            return "error", TrainingFailed(
                f"{job.label} failed with {type(error).__name__}: {_first_line(error)} (the whole story is in {job.log_path})"
            )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else "no message"


@contextmanager
def _output_to(log_path: str) -> Iterator[None]:
    os.makedirs(os.path.dirname(log_path) or ".", exist_ok=True)
    with open(log_path, "ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    yield
