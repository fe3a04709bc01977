"""What the tests of engines share: jobs by name, a listener that remembers, a Dask cluster, and patience."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from comp.engine import Event, Job

PROJECT = Path(__file__).resolve().parents[1]
OF_PROCESSES = ["local", "dask"]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")

CLUSTER = """
import sys
from distributed import LocalCluster
with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
    print(cluster.scheduler_address, flush=True)
    sys.stdin.read()
"""


def job(function: str, label: str = "a job", log: Path | str = os.devnull, **arguments: Any) -> Job:
    return Job(function=f"tests.engine_jobs:{function}", arguments=arguments, label=label, log_path=str(log))


def wait_until(is_so: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if is_alive(pid)}


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Heard(list[Event]):
    """A listener that keeps what it hears."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    def of(self, kind: str) -> list[Any]:
        return [event.value for event in self if event.kind == kind]


@contextmanager
def dask_cluster(folder: Path) -> Iterator[str]:
    """Run a Dask cluster whose workers cannot import this project from where they stand; yield its address."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    pipe = subprocess.PIPE
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-c", CLUSTER], cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=log, text=True
        ) as process,
    ):
        assert process.stdout is not None
        yield process.stdout.readline().strip()
