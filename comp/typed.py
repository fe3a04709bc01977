"""The command that a person typed, for manifests, tuned files and locks."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

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


def make_line(target: str, given: Mapping[str, object]) -> str:
    """Return the make command of a target with its variables as a shell reads them; those that are None are left out."""
    words = [f"{name}={shlex.quote(str(value))}" for name, value in given.items() if value is not None]
    return " ".join(["make", target, *words])


def portable(command: str) -> str:
    """Return a command without the places of one machine: a path that leads out of the project is `path/to/<its last part>`."""
    return re.sub(r"(?<![\w./-])(?:\.\./|~/|/)[^\s'\"]*?([^/\s'\"]+)/?(?=[\s'\"]|$)", r"path/to/\1", command)
