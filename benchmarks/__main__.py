"""Print every speed figure beside its target: `python -m benchmarks [NAME ...]`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.figure import Figure
from comp.console import say, show_table

NAMES = ("decode", "training", "memory", "tuning")


def main(names: list[str]) -> int:
    """Run the benchmarks named, all where none is, and return 1 if a figure misses its target."""
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        say(f"error: no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}")
        return 2
    figures: list[Figure] = []
    for name in names or NAMES:
        say(f"measuring {name}")
        figures += importlib.import_module(f"benchmarks.{name}").measure()
    rows = [[figure.name, figure.shown, figure.target, figure.verdict, figure.how] for figure in figures]
    show_table("", ["figure", "measured", "target", "", "how"], rows)
    return int(any(figure.verdict == "missed" for figure in figures))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main(sys.argv[1:]))
