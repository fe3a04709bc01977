"""Stops a process just before it renames a chosen file into place, so that a test can kill it exactly there.

Python imports this file by itself, in a command and in each of its workers, where this folder stands on PYTHONPATH. It does
nothing unless the environment names a target; the project's own code knows nothing of it.

    PAUSE_BEFORE   regular expression, searched in the absolute path that `os.replace` or `os.rename` is to make
    PAUSE_TIME     which time in one process: 1 (the first) where not given
    PAUSE_FLAG     file that takes the id of the process that stopped; only one process ever stops, until the file says another thing
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import Any


def _stop(flag: str) -> None:
    try:
        descriptor = os.open(flag, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:  # another process has stopped already, or this one did before it was replaced
        return
    os.write(descriptor, str(os.getpid()).encode())
    os.close(descriptor)
    while _content(flag) == str(os.getpid()):
        time.sleep(0.05)


def _content(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()


def _stopping(real: Callable[..., None], pattern: re.Pattern[str], time_to_stop: int, flag: str) -> Callable[..., None]:
    times = 0

    def rename(source: Any, target: Any, **options: Any) -> None:
        nonlocal times
        if pattern.search(os.path.abspath(os.fsdecode(target))):
            times += 1
            if times == time_to_stop:
                _stop(flag)
        real(source, target, **options)

    return rename


if os.environ.get("PAUSE_BEFORE"):
    # pathlib looks both names up in `os` at each call, so Path.replace and Path.rename come by here too
    _given = re.compile(os.environ["PAUSE_BEFORE"]), int(os.environ.get("PAUSE_TIME", "1")), os.environ["PAUSE_FLAG"]
    os.replace = _stopping(os.replace, *_given)
    os.rename = _stopping(os.rename, *_given)
