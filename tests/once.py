"""What is made once a session, however many workers of pytest-xdist there are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

Once = Callable[
    [str, Callable[[Path], object]], Path
]  # the fixture `once`: a name and what fills its folder, to the folder


def filled_once(home: Path, name: str, fill: Callable[[Path], object]) -> Path:
    """Return a folder below the session's own, filled by the worker that comes first; the others wait."""
    folder, marker = home / name, home / f"{name}.filled"
    with FileLock(home / f"{name}.lock"):
        if not marker.is_file():
            shutil.rmtree(folder, ignore_errors=True)  # left by a worker that failed
            folder.mkdir()
            fill(folder)
            marker.touch()
    return folder
