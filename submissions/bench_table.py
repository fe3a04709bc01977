"""The README's table of benchmark tracks, written by a command from what `make bench` wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comp.errors import BadInput
from comp.marks import Marks, markdown
from comp.store import read_json
from comp.tables import read_csv
from comp.tracks import TRACKS, Published
from comp.typed import portable
from folds.presets import PRESETS

MARKS = Marks("<!-- bench: written by `make bench` -->", "<!-- end of bench -->")
COLUMNS = (
    "track",
    "candidate, or who published",
    "score, 95 % interval",
    "rows",
    "time",
    "preset, machine, date, or the catch",
)


def bench_tables(files: Sequence[Path], readme: Path | None = None) -> str:
    """Return Markdown: a row for each candidate, ensemble and test score, what was published under its track's, then commands.

    Rows of other tracks and presets that stand in the README stay, with their commands: they take hours, and each tells its date.

    Raises:
        BadInput: If a file lacks its facts beside it, or the README its marks.
    """
    runs = {str(file): _read(file) for file in files}
    every = [{**row, "file": file} for file, (rows, _) in runs.items() for row in rows]
    lines = {name: [_row(group, runs[group[0]["file"]][1]) for group in groups] for name, groups, _ in by_track(every)}
    commands = dict.fromkeys(f"`{portable(facts['command'])}`" for _, facts in runs.values())
    if readme is not None:
        scored = {_place_and_preset(row) for rows in lines.values() for row in rows}
        standing = [row for row in MARKS.rows(readme, COLUMNS) if _stands(row) and _place_and_preset(row) not in scored]
        for row in standing:
            lines.setdefault(row[0].split(":")[0], []).append(row)
        commands = dict.fromkeys([*_commands_of(readme, standing), *commands])
    presets, table = list(PRESETS), []
    for name in sorted(lines, key=_order):
        table += sorted(lines[name], key=lambda row: presets.index(_place_and_preset(row)[1]))
        table += _published_rows(name)
    return "\n".join([markdown(COLUMNS, table), "", f"Written from {', '.join(commands)}."])


def _published_rows(track: str) -> list[list[str]]:
    return [
        [track, f"published: {one.source}", one.score, "", "", f"the catch: {one.catch}"]
        for one in _published().get(track, ())
    ]


def _published() -> dict[str, tuple[Published, ...]]:
    return {track.name: track.published for track in TRACKS}


def _commands_of(readme: Path, rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the commands below the README's table that may have written some of its rows: those of their presets."""
    presets = {_place_and_preset(row)[1] for row in rows}
    below = MARKS.between(readme).rpartition("\nWritten from ")[2]
    return [command for command in re.findall(r"`make bench[^`]*`", below) if _preset_of(command) in presets]


def _order(track: str) -> int:
    names = [track.name for track in TRACKS]
    return names.index(track) if track in names else len(names)


def _place_and_preset(row: Sequence[str]) -> tuple[str, str]:
    return row[0], row[-1].split(",")[0]


def _preset_of(command: str) -> str:
    found = re.search(r"PRESET=(\w+)", command)
    return found[1] if found else "quick"


def _stands(row: Sequence[str]) -> bool:
    """Return whether a row of the README is a score of ours, of a track that there still is."""
    return row[0].split(":")[0] in {track.name for track in TRACKS} and _place_and_preset(row)[1] in PRESETS


def by_track(
    rows: Sequence[dict[str, Any]],
) -> list[tuple[str, list[list[dict[str, Any]]], tuple[Published, ...]]]:
    """Return each track's name in the order of the rows, its rows, those of one candidate together, and what was published of it.

    Nothing was published of an embedded sample.
    """
    published = _published()
    names = dict.fromkeys(row["track"] for row in rows)
    return [(name, _grouped([row for row in rows if row["track"] == name]), published.get(name, ())) for name in names]


def place_of(row: dict[str, Any]) -> str:
    """Return what tables call a row's track, with its competition where that has another name."""
    return str(row["track"]) if row["track"] == row["competition"] else f"{row['track']}: {row['competition']}"


def _read(file: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    facts_path = file.with_suffix(".json")
    if not facts_path.is_file():
        raise BadInput(
            f"{facts_path} is not there: the table is read from a CSV of `make bench` and the facts beside it"
        )
    facts: dict[str, Any] = read_json(facts_path)
    return [{str(name): value for name, value in row.items()} for row in read_csv(file).to_dict("records")], facts


def _grouped(rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the rows in their order, those of one candidate of one file together: each has one row a metric."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(name, "") for name in ("file", "competition", "kind", "candidate")), []).append(
            row
        )
    return list(groups.values())


def _row(group: Sequence[dict[str, Any]], facts: dict[str, Any]) -> list[str]:
    first = group[0]
    names = {"candidate": first["candidate"], "ensemble": "**ensemble**", "test": "**ensemble**, test labels"}
    seconds, is_job = float(first["seconds"]), first["kind"] == "candidate"
    return [
        place_of(first),
        names[first["kind"]],
        "<br>".join(_score(row) for row in group),
        f"{int(first['rows']):,}",
        f"{seconds / 60:.1f} min{' of training' if is_job else ''}",
        f"{facts['preset']}, {facts['machine']}, {facts['date']}",
    ]


def _score(row: dict[str, Any]) -> str:
    ends = f" ({float(row['low']):.3f} to {float(row['high']):.3f})" if row["low"] and row["high"] else ""
    return f"{row['metric']} {float(row['score']):.4f}{ends}"


def write_bench_table(readme: Path, files: Sequence[Path]) -> Path:
    """Put the table between the two marks of a Markdown file, where rows of other tracks and presets stay; return its path.

    Raises:
        BadInput: If the file lacks the marks.
    """
    return MARKS.write(readme, bench_tables(files, readme))
