"""Engine of this machine: worker processes that are replaced when they die, and end when their parent dies."""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
import types
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from comp.backend import can_fork_after_import, prepare_environment
from comp.engine import Event, Job, Listener, died, how_it_ended
from comp.engines.child import answer, as_error, come_with_keras, isolate

PROJECT = Path(__file__).resolve().parents[2]


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
            _stop(self.workers)

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
        for worker in [worker for worker in self.workers if worker.has_died_idle()]:
            self._dismiss(worker)
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
            raise as_error(value)
        if kind == "done":
            self.results[worker.job_index] = value
            worker.job_index = None
            if job.is_fresh:
                self._dismiss(worker)
        self.listener(Event(job, kind, value))

    def _bury(self, worker: _Worker) -> None:
        assert worker.job_index is not None
        index = worker.job_index
        self._dismiss(worker)
        note = died(self.jobs[index], how_it_ended(worker.process.exitcode), self.tries[index])
        self.waiting.appendleft(index)
        self.listener(note)

    def _dismiss(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        _stop([worker])


class _Worker:
    """One worker process with the two pipes that tie it to this one."""

    def __init__(self, needs_keras: bool) -> None:
        self.needs_keras = needs_keras
        self.job_index: int | None = None
        _open_standard_streams()
        prepare_environment()
        context = _context(needs_keras)
        self.messages, theirs = context.Pipe()
        alive_theirs, self.alive = context.Pipe(duplex=False)
        arguments = (theirs, alive_theirs, needs_keras, dict(os.environ))
        self.process = context.Process(target=_work, args=arguments, daemon=True)
        with _without_main_module():
            _start(self.process, context)
        theirs.close()
        alive_theirs.close()

    def give(self, job_index: int, job: Job) -> None:
        self.job_index = job_index
        try:
            self.messages.send(job)
        except OSError:  # it died just now; that is noticed through the closed pipe
            return

    def has_died_idle(self) -> bool:
        # an idle worker says nothing, so its pipe is only ever ready because it was closed
        return self.job_index is None and self.messages.poll()


def _stop(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.process.kill()
    for worker in workers:
        worker.process.join()
        worker.messages.close()
        worker.alive.close()


def _context(needs_keras: bool) -> Any:
    resource_tracker.ensure_running()  # it lifts the mask that _interrupts_held sets, so it comes first
    if not (needs_keras and can_fork_after_import()):
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["comp.engines.preload"])
    with _project_on_path(), _interrupts_held():
        multiprocessing.forkserver.ensure_running()
    return context


def _start(process: Any, context: Any) -> None:
    if context.get_start_method() == "spawn":
        with _interrupts_held():
            process.start()
    else:  # the fork server ignores Ctrl-C already, and while it imports Keras this process should hear it
        process.start()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start a child that Ctrl-C cannot reach before it has learnt to ignore it: children inherit the mask."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _without_main_module() -> Iterator[None]:
    """Keep children from running the person's script again, as multiprocessing would for what is defined there."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _project_on_path() -> Iterator[None]:
    """Let the fork server find what it preloads: up to Python 3.13.0 it is not told sys.path (gh-117378)."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(PROJECT) if before is None else f"{PROJECT}{os.pathsep}{before}"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _open_standard_streams() -> None:
    """Fill descriptors 0 to 2 where they are closed, else a pipe would get such a number and a worker overwrite it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _work(messages: Connection, alive: Connection, needs_keras: bool, environment: Mapping[str, str]) -> None:
    """Be a worker: take jobs until the pipe closes."""
    isolate(alive.fileno())
    os.environ.clear()  # a forked worker has that of the fork server's first hour
    os.environ.update(environment)
    if needs_keras:
        come_with_keras()
    while True:
        try:
            job = messages.recv()
        except (EOFError, OSError):
            return
        messages.send(answer(job, lambda kind, value: messages.send((kind, value))))
