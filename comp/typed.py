"""The command that a person typed, for manifests, tuned files and locks."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Protocol

from comp.console import relative


class AsksForRuns(Protocol):
    """What the settings of every command that trains have in common."""

    @property
    def competition(self) -> str: ...
    @property
    def data(self) -> Path | None: ...
    @property
    def weights(self) -> str | None: ...
    @property
    def folds(self) -> int | None: ...
    @property
    def group(self) -> str | None: ...


FIRST = ("COMP", "DATA", "WEIGHTS", "BACKBONES")


def command_line() -> str:
    """Return the command that the person typed, as `make` handed it down, else as Python got it."""
    module = Path(sys.argv[0]).parent.name
    typed = os.environ.get("FOLDBOARD_COMMAND")
    return _in_order(typed) if typed else shlex.join(["python", "-m", module, *sys.argv[1:]])


def _in_order(typed: str) -> str:
    """Return a make command with its variables in the order that they are explained in: make hands them down in its own."""
    try:
        words = shlex.split(typed)
    except ValueError:  # a quote without its other half, in a variable that somebody set by hand: shown as it stands
        return typed
    given = dict(word.split("=", 1) for word in words if "=" in word)
    names = sorted(given, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    return " ".join([*(word for word in words if "=" not in word), *(f"{n}={shlex.quote(given[n])}" for n in names)])


def submit_line(settings: AsksForRuns, backbones: object, preset: str | None = None) -> str:
    """Return the `make submit` of the same competition, data, weights and folds, as a shell reads it; what is None is left out."""
    given = {
        "COMP": settings.competition if settings.competition != "specimens" else None,
        "DATA": relative(settings.data) if settings.data else None,
        "WEIGHTS": settings.weights,
        "BACKBONES": backbones,
        "PRESET": preset,
        "FOLDS": settings.folds,
        "GROUP": settings.group,
    }
    words = [f"{name}={shlex.quote(str(value))}" for name, value in given.items() if value is not None]
    return " ".join(["make submit", *words])


def portable(command: str) -> str:
    """Return a command without the places of one machine: a path that leads out of the project is `path/to/<its last part>`."""
    return re.sub(r"(?<![\w./-])(?:\.\./|~/|/)[^\s'\"]*?([^/\s'\"]+)/?(?=[\s'\"]|$)", r"path/to/\1", command)
