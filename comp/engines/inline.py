"""Engine that runs jobs one after the other in this process: for notebooks, debuggers and tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comp.backend import prepare_environment
from comp.engine import Event, Job, Listener, call


class InlineEngine:
    """Runs each job here, in order; library chatter goes where this process' output goes."""

    def run(self, jobs: Sequence[Job], listener: Listener) -> list[Any]:
        """Return each job's result, in order; a job's error is raised as it is: a debugger stops where it happened."""
        prepare_environment()
        return [self._run_one(job, listener) for job in jobs]

    def _run_one(self, job: Job, listener: Listener) -> Any:
        result = call(job, lambda kind, value: listener(Event(job, kind, value)))
        listener(Event(job, "done", result))
        return result
