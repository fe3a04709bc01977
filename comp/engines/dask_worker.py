"""What a Dask worker does with a job: a child process does it, alone with its memory and environment.

This module is shipped whole to the workers, which need not be able to import this project, so it imports nothing of it.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

LOOK_UP = 200  # milliseconds between two looks whether the job is still wanted

BOOTSTRAP = """
import json, os, sys
start = json.loads(sys.stdin.buffer.readline())
os.chdir(start["folder"])
sys.path[:0] = start["path"]
from comp.engines.child import serve
serve(start)
"""


def run_in_child(start: str, key: str, topic: str) -> list[Any]:
    """Return how a job ended: `done` and its result, `error` and what it says, or `died` and how its process ended.

    The process ends when the job is no longer wanted (its command was stopped or died), and when this one dies.

    Args:
        start: JSON of `folder`, `path`, `environment` and `job`, as `comp.engines.child.serve` takes it.
        key: The task's key.
        topic: Where events are told: [key, kind, value], `begun` first.
    """
    from distributed import get_worker

    worker = get_worker()
    worker.log_event(topic, [key, "begun", None])
    told = json.loads(start)
    unseen = _unseen_folder(told)
    if unseen:
        return [
            "error",
            ["BadInput", f"Dask worker {worker.address}: no folder {unseen}; expected the same folders there"],
        ]
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", BOOTSTRAP]
    environment = {**os.environ, **told["environment"]}  # some of it is read when a process starts
    with subprocess.Popen(
        command, bufsize=0, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, env=environment
    ) as child:
        try:
            _give(child, start)
            lines = _lines(child, lambda: _is_wanted(worker, key))
            return _attend(child, lines, lambda kind, value: worker.log_event(topic, [key, kind, value]))
        finally:
            child.kill()


def _unseen_folder(start: dict[str, Any]) -> str | None:
    return next((folder for folder in (start["folder"], start["path"][0]) if not os.path.isdir(folder)), None)


def _is_wanted(worker: Any, key: str) -> bool:
    """Return whether the scheduler still asks for a task that runs; Dask never stops one by itself."""
    task = worker.state.tasks.get(key)
    return task is not None and task.state in ("executing", "long-running")


def _give(child: subprocess.Popen[bytes], start: str) -> None:
    assert child.stdin is not None
    rest = start.encode() + b"\n"
    try:
        while rest:
            rest = rest[os.write(child.stdin.fileno(), rest) :]
    except BrokenPipeError:  # it has ended already; what it said tells why
        return


def _attend(child: subprocess.Popen[bytes], lines: Iterator[bytes], tell: Callable[[str, Any], None]) -> list[Any]:
    last_words = ""
    for line in lines:
        try:
            kind, value = json.loads(line)
        except ValueError:  # the complaint of an interpreter that could not even begin
            last_words = line.decode(errors="replace").strip()[:200]
            continue
        if kind in ("done", "error"):
            return [kind, value]
        tell(kind, value)
    child.kill()
    return ["died", [child.wait(), last_words]]


def _lines(child: subprocess.Popen[bytes], is_wanted: Callable[[], bool]) -> Iterator[bytes]:
    """Yield what a child writes, line by line, until it has ended or its job is not wanted any more."""
    assert child.stdout is not None
    pipe = child.stdout.fileno()
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    text = b""
    while is_wanted():
        if poll.poll(LOOK_UP):
            data = os.read(pipe, 65536)
            if not data:
                return
            *lines, text = (text + data).split(b"\n")
            yield from lines
        elif child.poll() is not None:  # something that it started still holds the pipe
            return
