"""Commands as text: the one that was typed, for the manifest, and those that a person might type next."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

from comp.console import relative, say
from submissions.plan import Plan, Settings

FIRST = ("COMP", "DATA", "WEIGHTS", "BACKBONES")
BETTER = {"quick": "standard", "standard": "best"}


def command_line() -> str:
    """Return the command that the person typed, as `make` handed it down, else as Python got it."""
    module = Path(sys.argv[0]).parent.name
    typed = os.environ.get("FOLDBOARD_COMMAND")
    return _in_order(typed) if typed else shlex.join(["python", "-m", module, *sys.argv[1:]])


def _in_order(typed: str) -> str:
    """Return a make command with its variables in the order that they are explained in: make hands them down in its own."""
    words = shlex.split(typed)
    given = dict(word.split("=", 1) for word in words if "=" in word)
    names = sorted(given, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    return " ".join([*(word for word in words if "=" not in word), *(f"{n}={shlex.quote(given[n])}" for n in names)])


def portable(command: str) -> str:
    """Return a command without the places of one machine: a path that leads out of the project is `path/to/<its last part>`."""
    return re.sub(r"(?<![\w./-])(?:\.\./|~/|/)[^\s'\"]*?([^/\s'\"]+)/?(?=[\s'\"]|$)", r"path/to/\1", command)


def show_next(plan: Plan) -> None:
    """Print what to try next, each line a command that goes on from the one that has ended."""
    base = base_command(plan.settings)
    say()
    say("what to try next:")
    if plan.settings.preset in BETTER:
        say(f"  {base} PRESET={BETTER[plan.settings.preset]}    longer training")
    if len(plan.seeds) == 1:
        say(f"  {base}{_preset(plan.settings)} SEEDS=3    how much of a difference is luck")
    if plan.settings.competition == "specimens":
        say("  make submit COMP=rare_species DATA=folder    the same on real photos")
    say()


def base_command(settings: Settings) -> str:
    """Return the `make submit` that names the same competition, data, candidates and weights."""
    given = {
        "COMP": settings.competition if settings.competition != "specimens" else None,
        "DATA": relative(settings.data) if settings.data else None,
        "WEIGHTS": settings.weights,
        "BACKBONES": settings.backbones,
        "FOLDS": settings.folds,
        "GROUP": settings.group,
    }
    words = [f"{name}={shlex.quote(str(value))}" for name, value in given.items() if value is not None]
    return " ".join(["make submit", *words])


def _preset(settings: Settings) -> str:
    return f" PRESET={settings.preset}" if settings.preset != "standard" else ""
