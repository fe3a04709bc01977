"""The README's table of benchmark tracks, written by a command from what `make bench` wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comp.errors import BadInput
from comp.marks import Marks, markdown
from comp.registry import load_competition
from comp.store import read_json
from comp.tables import read_csv
from comp.tracks import TRACKS
from comp.typed import portable

MARKS = Marks("<!-- bench: written by `make bench` -->", "<!-- end of bench -->")
COLUMNS = ("track", "candidate", "ours, 95 % interval", "rows", "time", "preset, machine, date")


def bench_tables(files: Sequence[Path]) -> str:
    """Return Markdown: a table with a row for each candidate, ensemble and test score, then what was published, then commands.

    Raises:
        BadInput: If a file lacks its facts beside it.
    """
    runs = [_read(file) for file in files]
    table = markdown(COLUMNS, [_row(group, facts) for rows, facts in runs for group in _grouped(rows)])
    ran = {row["track"] for rows, _ in runs for row in rows}
    published = [
        [track.name, one.score, one.source, one.catch]
        for track in TRACKS
        for one in (track.published if track.name in ran else ())
    ]
    commands = dict.fromkeys(f"`{portable(facts['command'])}`" for _, facts in runs)
    return "\n".join(
        [
            table,
            "",
            markdown(("track", "published", "source", "catch"), published),
            "",
            f"Written from {', '.join(commands)}.",
        ]
    )


def _read(file: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    facts_path = file.with_suffix(".json")
    if not facts_path.is_file():
        raise BadInput(
            f"{facts_path} is not there: the table is read from a CSV of `make bench` and the facts beside it"
        )
    facts: dict[str, Any] = read_json(facts_path)
    return [{str(name): value for name, value in row.items()} for row in read_csv(file).to_dict("records")], facts


def _grouped(rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the rows in their order, those of one candidate together: each has one row a metric."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in ("track", "competition", "kind", "candidate")), []).append(row)
    return list(groups.values())


def _row(group: Sequence[dict[str, Any]], facts: dict[str, Any]) -> list[str]:
    first = group[0]
    track = first["track"] if first["track"] == first["competition"] else f"{first['track']}: {first['competition']}"
    names = {"candidate": first["candidate"], "ensemble": "**ensemble**", "test": "**ensemble**, test labels"}
    seconds, is_job = float(first["seconds"]), first["kind"] == "candidate"
    return [
        f"{track}{_stands_in(first['competition'])}",
        names[first["kind"]],
        "<br>".join(_score(row) for row in group),
        f"{int(first['rows']):,}",
        f"{seconds / 60:.1f} min{' of jobs' if is_job else ''}",
        f"{facts['preset']}, {facts['machine']}, {facts['date']}",
    ]


def _score(row: dict[str, Any]) -> str:
    ends = f" ({float(row['low']):.3f} to {float(row['high']):.3f})" if row["low"] and row["high"] else ""
    return f"{row['metric']} {float(row['score']):.4f}{ends}"


def _stands_in(competition: str) -> str:
    """Return words that mark an embedded sample as one."""
    return " (embedded sample)" if load_competition(competition).sample else ""


def write_bench_table(readme: Path, files: Sequence[Path]) -> Path:
    """Put the table between the two marks of a Markdown file and return the file's path.

    Raises:
        BadInput: If the file lacks the marks.
    """
    return MARKS.write(readme, bench_tables(files))
