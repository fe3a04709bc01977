"""`make bench`: the lab's tracks through the same harness as `make submit`, one table of what came out beside what was published.

    runs/bench/<UTC>.csv     track, competition, kind, candidate, metric, score, low, high, seconds, rows, csv
    runs/bench/<UTC>.json    preset, machine, date, command: what a table needs to be read

`kind` is `candidate` and `ensemble` (out-of-fold), or `test` (the CSV against labels that were known and opened at the end).
The track of an embedded sample says that it is one, and so stands beside nothing that was published.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from textwrap import fill
from typing import Any

from comp.console import relative, say, show_table
from comp.errors import BadInput, FoldboardError
from comp.machine import trains_on_gpu
from comp.store import read_json, write_json, write_text
from comp.tracks import TRACKS, Entry, Track
from folds.runs import RUNS
from submissions.available import Place, candidates_of, find_place
from submissions.bench_table import by_track, place_of
from submissions.plan import Settings
from submissions.submit import submit

MISSING = 3  # exit status: TRACKS named a competition without data, or nothing ran
FAILED = 4
LONGEST_CANDIDATE = 30  # about, in characters
SAMPLE = " (embedded sample)"  # behind the track's name


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the CSV: a score with its interval.

    Attributes:
        kind: `candidate`, `ensemble` or `test`.
        seconds: Of a candidate, the work of its folds summed over jobs; of all else, the whole command, with what work it
            found stored.
        rows: Rows that are scored.
        csv: The submission that it belongs to.
    """

    track: str
    competition: str
    kind: str
    candidate: str
    metric: str
    score: float
    low: float | None
    high: float | None
    seconds: float
    rows: int
    csv: str


@dataclass(frozen=True)
class Outcome:
    """What a bench came to: its rows, where they are written, and the exit status."""

    rows: list[Row]
    path: Path | None
    status: int


def bench(asked: str | None, settings: Settings) -> Outcome:
    """Run the tracks that are asked for, or all, as far as their data are there; without any data, the embedded samples.

    What has no data is left out by name. A track that fails is told, and the others run. The CSV is written anew after each, so
    that nothing that ends the command loses what was scored. What tuning found is left out: a track is the same for everyone.

    Args:
        asked: What TRACKS says: tracks or competitions.
        settings: What the person gave besides; competition, data and candidates are the tracks' own.

    Raises:
        BadInput: If TRACKS names what there is not, or the preset is unknown.
    """
    from folds.presets import check_preset

    check_preset(settings.preset)
    tracks = chosen_tracks(asked)
    found = [(track, entry, find_place(entry, settings)) for track in tracks for entry in track.entries]
    runnable = [(track, entry, place) for track, entry, place in found if place.folder]
    _tell_left_out(found)
    is_lacking = asked is not None and any(not _has_any(track, runnable) for track in tracks)
    if not runnable and asked is None:
        say("no data at all: the embedded samples stand in; scikit-learn's digits are in the place of MNIST")
        runnable = [(track, track.sample, Place()) for track in tracks if track.sample]
    once = {entry.competition: (track, entry, place) for track, entry, place in runnable}
    path = RUNS / "bench" / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.csv"
    rows, n_failed = _run_all(list(once.values()), settings, path)
    if rows:
        show(rows)
    status = FAILED if n_failed else MISSING if is_lacking or not rows else 0
    return Outcome(rows, path if rows else None, status)


def chosen_tracks(asked: str | None) -> list[Track]:
    """Return the tracks of TRACKS in its order, each once; a competition's name takes its track with that competition alone.

    Raises:
        BadInput: If a name is neither.
    """
    if asked is None:
        return list(TRACKS)
    by_name = {track.name: track for track in TRACKS}
    known = [*by_name, *(entry.competition for track in TRACKS for entry in track.entries)]
    chosen = []
    for word in dict.fromkeys(asked.replace(",", " ").split()):
        alone = [
            replace(track, entries=(entry,)) for track in TRACKS for entry in track.entries if entry.competition == word
        ]
        if word not in known:
            raise BadInput(f"TRACKS={asked}: no track is called {word!r}; known: {', '.join(dict.fromkeys(known))}")
        chosen.append(by_name[word] if word in by_name else alone[0])
    if not chosen:
        raise BadInput(f"TRACKS is empty: name some of {', '.join(dict.fromkeys(known))}")
    return chosen


def _has_any(track: Track, runnable: Sequence[tuple[Track, Entry, Place]]) -> bool:
    return any(one is track for one, _, _ in runnable)


def _tell_left_out(found: Sequence[tuple[Track, Entry, Place]]) -> None:
    for track, entry, place in found:
        if not place.folder:
            say(f"track {track.name}: {entry.competition} left out: {place.why_not}")


def _run_all(runnable: Sequence[tuple[Track, Entry, Place]], settings: Settings, path: Path) -> tuple[list[Row], int]:
    rows: list[Row] = []
    n_failed = 0
    for number, (track, entry, place) in enumerate(runnable, start=1):
        say(f"\n[{number}/{len(runnable)}] track {_called(track, entry)}, {entry.competition}: {track.title}")
        try:
            rows += _run(track, entry, place, settings)
        except FoldboardError as error:  # one track's trouble is no reason to lose the others
            n_failed += 1
            say(f"track {track.name}: {entry.competition} failed: {' '.join(str(error).split())}")
        if rows:
            _write(rows, path, settings)
    return rows, n_failed


def _called(track: Track, entry: Entry) -> str:
    return f"{track.name}{SAMPLE if entry is track.sample else ''}"


def _run(track: Track, entry: Entry, place: Place, settings: Settings) -> list[Row]:
    """Return a row for each score of one competition, from the manifest of the CSV that the harness wrote."""
    candidates, notes = candidates_of(entry, settings)
    for note in notes:
        say(note)
    own = replace(
        settings,
        competition=entry.competition,
        data=place.folder,
        backbones=candidates,
        folds=settings.folds or entry.folds.get(settings.preset),
        allow_missing=True,
        tuned="no",
        most_rows=0 if trains_on_gpu() else entry.rows,
    )
    return rows_of(_called(track, entry), submit(own))


def rows_of(track: str, path: Path) -> list[Row]:
    """Return the scores that the manifest beside a CSV records: of each run, of the ensemble, and on known test labels."""
    manifest: dict[str, Any] = read_json(path.with_suffix(".json"))
    common: dict[str, Any] = {"track": track, "competition": manifest["competition"], "csv": relative(path)}
    n_train, metric, seconds = manifest["n_train"], manifest["metric"], manifest["command_seconds"]
    rows = []
    for run in manifest["runs"]:
        facts = {"candidate": name_of(run), "seconds": run["seconds"], "rows": n_train}
        rows += _scored({**common, **facts, "kind": "candidate"}, {metric: run["cv"], **run.get("also", {})})
    facts = {"candidate": manifest["ensemble"].get("method", "ensemble"), "seconds": seconds, "rows": n_train}
    rows += _scored({**common, **facts, "kind": "ensemble"}, {metric: manifest["cv"], **manifest.get("also", {})})
    test = manifest.get("test") or {}
    told = {name: {"score": round(score, 6)} for name, score in test.items() if name not in ("n", "low", "high")}
    if metric in told:
        told[metric] |= {end: test[end] for end in ("low", "high") if end in test}
    return rows + _scored({**common, **facts, "rows": test.get("n", 0), "kind": "test"}, told)


def _scored(common: dict[str, Any], scores: dict[str, dict[str, float]]) -> list[Row]:
    return [
        Row(**common, metric=name, score=found["score"], low=found.get("low"), high=found.get("high"))
        for name, found in scores.items()
    ]


def name_of(run: dict[str, Any]) -> str:
    """Return a run of a manifest as a candidate is written."""
    parts = [run["backbone"], run["variant"], run["fit"], f"{run['pixels']}px" if run["pixels"] else None]
    return ":".join(str(part) for part in parts if part)


def _write(rows: Sequence[Row], path: Path, settings: Settings) -> None:
    import pandas as pd

    from comp.machine import machine_class
    from comp.typed import command_line

    table = pd.DataFrame([asdict(row) for row in rows])
    facts = {
        "preset": settings.preset,
        "machine": machine_class(settings.jobs),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "command": command_line(),
    }
    write_json(path.with_suffix(".json"), facts)
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def show(rows: Sequence[Row]) -> None:
    """Print one table: the scores of each track, then what others published of the same task, with the source and the catch."""
    lines = []
    for track, groups, published in by_track([asdict(row) for row in rows]):
        for group in groups:
            first = group[0]
            lines.append(
                [
                    place_of(first),
                    first["candidate"] if first["kind"] == "candidate" else f"{first['kind']} ({first['candidate']})",
                    "\n".join(f"{row['metric']} {row['score']:.4f}" for row in group),
                    "\n".join("" if row["low"] is None else f"{row['low']:.4f} to {row['high']:.4f}" for row in group),
                    f"{first['seconds']:.0f}",
                    f"{first['rows']:,}",
                ]
            )
        for one in published:
            source = fill(f"published: {one.source}", LONGEST_CANDIDATE, break_long_words=False)
            lines.append([track, source, one.score, f"the catch: {one.catch}", "", ""])
    say()
    columns = ["track", "candidate", "score", "95 % interval", "seconds", "rows"]
    show_table("tracks: out-of-fold, and on test labels where they are known", columns, lines, n_left=4, whole=1)
