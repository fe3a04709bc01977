"""The README's table of tuned recipes, written by a command from the files that `make tune` leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comp.errors import BadInput
from comp.marks import Marks, markdown
from comp.store import read_json
from comp.typed import portable

MARKS = Marks("<!-- tuning: written by `python -m tuning results` -->", "<!-- end of tuning -->")
RATES = ("strength", "learning_rate")
COLUMNS = (
    "candidate",
    "trials",
    "time",
    "best strength, learning rate",
    "default",
    "best trial, 95 % interval",
    "paired difference (rows only)",
    "taken",
    "command",
)


def tuned_table(files: Sequence[Path]) -> str:
    """Return Markdown: a row for each tuned file, the best of its search against the default over folds the search never saw.

    Raises:
        BadInput: If a file is not there, or none that `make tune` wrote.
    """
    return markdown(COLUMNS, _rows(files))


def write_tuned_table(readme: Path, files: Sequence[Path]) -> Path:
    """Put the table between its two marks in a Markdown file and return the file's path.

    Rows of candidates that none of the files tuned stay: a search takes its time, and another machine may have made it.

    Raises:
        BadInput: If a file is not there, or none that `make tune` wrote, or the Markdown file lacks the marks.
    """
    rows = _rows(files)
    candidates = {row[0] for row in rows}
    return MARKS.write(
        readme, markdown(COLUMNS, [row for row in MARKS.rows(readme, COLUMNS) if row[0] not in candidates] + rows)
    )


def _rows(files: Sequence[Path]) -> list[list[str]]:
    return [_row(_read(file)) for file in files]


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise BadInput(f"{file} is not there; expected a file below tuned/ that make tune wrote")
    facts: dict[str, Any] = read_json(file)
    if not {"finalists", "default", "trials"} <= set(facts):
        raise BadInput(f"{file}: expected a file below tuned/ that make tune wrote, got keys {', '.join(facts)[:60]}")
    if not facts["finalists"]:
        raise BadInput(f"{file}: its study has no finished trial but the default; make tune again with more TRIALS")
    return facts


def _row(facts: Mapping[str, Any]) -> list[str]:
    first, default = facts["finalists"][0], facts["default"]
    settings = {**facts["default_recipe"], **first["changes"]}
    changes = (
        f"{first['better_than_default_by']:+.4f} ({first['difference_low']:+.4f} to {first['difference_high']:+.4f})"
    )
    return [
        facts["candidate"],
        f"{facts['trials']['complete']} complete, {facts['trials']['pruned']} pruned",
        _time(facts),
        ", ".join(f"{settings[name]:.2g}" for name in RATES),
        f"{facts['metric']} {default['score']:.4f}",
        f"{first['score']:.4f} ({first['low']:.4f} to {first['high']:.4f})",
        changes,
        "tuned" if facts["changes"] else "default",
        f"`{portable(facts['command'])}`",
    ]


def _time(facts: Mapping[str, Any]) -> str:
    """Return how long the command took and on what; empty where its file does not say (an older one)."""
    if "seconds" not in facts:
        return ""
    more = "" if facts["in_one_go"] else " and more: it went on"
    bank = "features computed too" if facts["features_computed"] else "features stored"
    return f"{facts['seconds'] / 60:.0f} min{more}, {bank}; {facts['machine']}"
