"""Print every speed figure beside its target: `python -m benchmarks [NAME ...]`."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from benchmarks.figure import Figure
from comp.console import run, say, show_table

NAMES = ("decode", "training", "memory", "ensembles", "tuning")
ON_REAL_PHOTOS = ("guide", "options")  # half an hour each, and only where DATA and WEIGHTS are named


def main(words: list[str]) -> int:
    """Run the benchmarks named, all that need no photos where none is, and return 1 if a figure misses its target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join((*NAMES, *ON_REAL_PHOTOS)))
    parser.add_argument("--data", help="folder of real photos, for guide and options (DATA)")
    parser.add_argument("--weights", help="folder of pre-trained weights, for guide and options (WEIGHTS)")
    options = parser.parse_args(words)
    names = options.names
    known = (*NAMES, *ON_REAL_PHOTOS)
    unknown = sorted(set(names) - set(known))
    if unknown:
        say(f"error: no benchmark {unknown[0]!r}; there are {', '.join(known)}")
        return 2
    figures: list[Figure] = []
    for name in names or NAMES:
        say(f"measuring {name}")
        figures += _measure(name, options)
    rows = [[figure.name, figure.shown, figure.target, figure.verdict, figure.how] for figure in figures]
    show_table("", ["figure", "measured", "target", "", "how"], rows)
    return int(any(figure.verdict == "missed" for figure in figures))


def _measure(name: str, options: argparse.Namespace) -> list[Figure]:
    module = importlib.import_module(f"benchmarks.{name}")
    found: list[Figure] = module.measure(options.data, options.weights) if name in ON_REAL_PHOTOS else module.measure()
    return found


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    run(lambda: sys.exit(main(sys.argv[1:])))
