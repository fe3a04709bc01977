"""The progress bar adds up jobs, whatever they are called."""

from __future__ import annotations

from comp.console import _summing
from comp.engine import Event, Job


def test_jobs_with_the_same_label_count_each() -> None:
    """With three seeds, or two banks of one backbone, labels repeat."""
    shown: list[float] = []
    notes: list[str] = []
    listen = _summing(shown.append, notes.append)
    one, other = (Job(function="m:f", arguments={"seed": seed}, label="fold 0", size=2.0) for seed in (0, 1))
    for event in (Event(one, "progress", 0.5), Event(other, "progress", 0.5), Event(one, "done", None)):
        listen(event)
    listen(Event(other, "note", "half way"))
    assert shown == [1.0, 2.0, 3.0] and notes == ["half way"]
