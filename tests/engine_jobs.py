"""Jobs that the tests of engines run: importable in every worker, and nothing in them needs a library."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from comp.engine import Report
from comp.errors import NoSpace, Refused


class Sealed(Refused):
    """A class that only a job knows."""


def add(report: Report, a: float, b: float, seconds: float = 0.0) -> float:
    time.sleep(seconds)
    return a + b


def echo(report: Report, **values: Any) -> dict[str, Any]:
    return values


def tell(report: Report) -> str:
    report("progress", 0.25)
    report("note", "half way")
    report("progress", 0.5)
    return "told"


def report_wrongly(report: Report) -> None:
    report("done", "not for a job to say")


def refuse(report: Report) -> None:
    raise Refused("folds.csv was edited: expected its fingerprint, make it anew")


def refuse_in_own_words(report: Report) -> None:
    raise Sealed("sealed by the job's own class")


def fill_disk(report: Report) -> None:
    raise NoSpace("disk full while writing x: free some space")


def break_down(report: Report) -> None:
    print("the last thing before it broke")
    raise LookupError("no such thing\nand a second line")


def exit_early(report: Report) -> None:
    sys.exit("a library gave up")


def return_unplain(report: Report) -> object:
    return {"callback": add}


def chatter(report: Report, word: str) -> None:
    print(f"print {word} äöü")
    print(f"stderr {word}", file=sys.stderr)
    os.write(1, f"descriptor one {word}\n".encode())
    os.write(2, f"descriptor two {word}\n".encode())
    os.system(f"echo child {word}")
    print(f"no end {word}", end="")


def read_input(report: Report) -> list[str]:
    return [sys.stdin.read(), os.read(0, 10).decode()]


def surroundings(report: Report) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "folder": os.getcwd(),
        "keras": "keras" in sys.modules,
        "main": getattr(sys.modules["__main__"], "__file__", None),
        "environment": dict(os.environ),
        "n_threads": len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else None,
    }


def faults_of_large_arrays(report: Report) -> int:
    """Return how often this process had to ask the kernel for a page while it filled 64 MB twenty times, as steps of a network do."""
    import resource

    def fill(times: int) -> None:
        for n in range(times):
            assert len(bytes([n]) * (1 << 26)) == 1 << 26

    fill(2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    fill(20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def die(report: Report, times: int, tally: str, how: str = "kill") -> int:
    """Kill this process as often as asked, counting in a file; then return the number of tries."""
    with open(tally, "a") as file:
        file.write(f"{os.getpid()}\n")
    n_tries = len(Path(tally).read_text().splitlines())
    if n_tries <= times and how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if n_tries <= times and how == "exit":
        os._exit(7)
    if n_tries <= times:
        ctypes.string_at(0)
    return n_tries


def kill_parent_once(report: Report, tally: str) -> int:
    """Kill the process that this one belongs to, the first time."""
    with open(tally, "a") as file:
        file.write(f"{os.getpid()}\n")
    n_tries = len(Path(tally).read_text().splitlines())
    if n_tries == 1:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return n_tries


def linger(report: Report, folder: str, seconds: float = 60) -> None:
    """Leave this process' number in a folder, then stay."""
    Path(folder, str(os.getpid())).touch()
    report("note", "there")
    time.sleep(seconds)


def kill_another_and_itself(report: Report, folder: str, tally: str) -> int:
    """Kill the worker that left its number and is idle by now, then this one; on the second try only count."""
    n_tries = die(report, 0, tally)
    while n_tries == 1 and not (others := [int(path.name) for path in Path(folder).iterdir() if path.name.isdigit()]):
        time.sleep(0.01)
    if n_tries == 1:
        time.sleep(0.3)
        os.kill(others[0], signal.SIGKILL)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)
    return n_tries
