"""Private memory (USS) of the processes that decode and train; memory-mapped pages belong to the system and do not count."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure
from benchmarks.photos import write_photos
from comp.engine import Job, Report, ignore_events
from comp.engines.local import LocalEngine
from comp.images import PixelSpec, decode_jobs

SIDE = 224


def decode_and_weigh(report: Report, **arguments: Any) -> float:
    """Decode a chunk and return this worker's largest private memory, in GB."""
    from comp.images import decode_chunk

    decode_chunk(report, **arguments)
    return private_gigabytes()


def train_and_weigh(report: Report) -> float:
    """Train scratch_cnn from the cache as the speed figures do and return this worker's private memory, in GB."""
    from benchmarks.training import measure as train

    train()
    return private_gigabytes()


def private_gigabytes() -> float:
    """Return this process' private memory in GB."""
    import psutil

    return float(psutil.Process(os.getpid()).memory_full_info().uss / 1e9)


def measure() -> list[Figure]:
    """Return the figures."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "photos").mkdir()
        names = write_photos(root / "photos", 2048)
        jobs = [
            Job(function="benchmarks.memory:decode_and_weigh", arguments=job.arguments, label=job.label)
            for job in decode_jobs(root / "photos", names, [PixelSpec(SIDE)], root / "cache")
        ]
        decoding = max(LocalEngine(1).run(jobs, ignore_events))
    training = Job(function="benchmarks.memory:train_and_weigh", arguments={}, label="training", needs_keras=True)
    trained = LocalEngine(1).run([training], ignore_events)[0]
    return [
        Figure("memory of a decoding process", decoding, "GB", f"USS after 2,048 photos at {SIDE} px", at_most=1.5),
        Figure("memory of a training process", trained, "GB", "USS after training scratch_cnn at 128 px", at_most=1.5),
    ]
