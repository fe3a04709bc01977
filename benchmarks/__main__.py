"""Print every speed figure beside its target: `python -m benchmarks [NAME ...]`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figure import Figure
from comp.console import run, say, show_table
from comp.marks import Marks, markdown

NAMES = ("decode", "training", "memory", "ensembles", "tuning")
ON_REAL_PHOTOS = ("guide", "options")  # half an hour each, and only where DATA and WEIGHTS are named
COLUMNS = ("figure", "measured", "target", "", "how")


def main(words: list[str]) -> int:
    """Run the benchmarks named, all that need no photos where none is, and return 1 if a figure misses its target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join((*NAMES, *ON_REAL_PHOTOS)))
    parser.add_argument("--data", help="folder of real photos, for guide and options (DATA)")
    parser.add_argument("--weights", help="folder of pre-trained weights, for guide and options (WEIGHTS)")
    parser.add_argument("--readme", type=Path, help="Markdown file with marks for each figure measured (README)")
    options = parser.parse_args(words)
    known = (*NAMES, *ON_REAL_PHOTOS)
    unknown = sorted(set(options.names) - set(known))
    if unknown:
        say(f"error: no benchmark {unknown[0]!r}; there are {', '.join(known)}")
        return 2
    names = options.names or NAMES
    if options.readme:
        for name in names:
            marks_of(name).check(options.readme)
    figures: list[Figure] = []
    for name in names:
        say(f"measuring {name}")
        found = _measure(name, options)
        if options.readme:
            marks_of(name).write(options.readme, table_of(found))
        figures += found
    show_table("", COLUMNS, [row_of(figure) for figure in figures])
    return int(any(figure.verdict == "missed" for figure in figures))


def marks_of(name: str) -> Marks:
    """Return the marks that the figures of a benchmark stand between in a Markdown file."""
    return Marks(f"<!-- {name}: written by `make perf ARGS={name} README=README.md` -->", f"<!-- end of {name} -->")


def row_of(figure: Figure) -> list[str]:
    """Return the cells that show a figure."""
    return [figure.name, figure.shown, figure.target, figure.verdict, figure.how]


def table_of(figures: Sequence[Figure]) -> str:
    """Return figures as a Markdown table; without targets there is no column for them."""
    rows = [row_of(figure) for figure in figures]
    kept = [i for i in range(len(COLUMNS)) if any(row[i] not in ("", "none") for row in rows)]
    return markdown([COLUMNS[i] for i in kept], [[row[i] for i in kept] for row in rows])


def _measure(name: str, options: argparse.Namespace) -> list[Figure]:
    module = importlib.import_module(f"benchmarks.{name}")
    found: list[Figure] = module.measure(options.data, options.weights) if name in ON_REAL_PHOTOS else module.measure()
    return found


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    run(lambda: sys.exit(main(sys.argv[1:])))
