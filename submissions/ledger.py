"""The record of uploads: events appended to runs/ledger.csv and never changed, safe with two writers and a kill -9.

    checked   the CSV passed its check            started   an upload began
    created   Kaggle has the submission           unknown   a create was sent and its reply lost
    scored    a score came, or changed            failed    Kaggle refused the submission, and why

Views show what the last event of a submission says, with what earlier ones knew.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from comp.errors import Refused
from comp.store import disk_full_is_one_line, locked
from folds.runs import RUNS

LEDGER = RUNS / "ledger.csv"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of the ledger; every value is text, empty where it is not known.

    Attributes:
        time: UTC.
        sha256: Hash of the CSV that was handed in.
        runs, weights: Of the ensemble, separated by blanks, in the same order.
        cv, cv_se: Score over the out-of-fold table, and its standard error.
        lb_se: The standard error that a score over the test rows has, by their number; the public part has a larger one.
        tag: What the submission's description ends with, so that it can be found again.
        reference: Kaggle's number of the submission.
    """

    time: str = ""
    event: str = ""
    competition: str = ""
    slug: str = ""
    file: str = ""
    sha256: str = ""
    manifest: str = ""
    runs: str = ""
    weights: str = ""
    metric: str = ""
    cv: str = ""
    cv_se: str = ""
    lb_se: str = ""
    commit: str = ""
    message: str = ""
    tag: str = ""
    reference: str = ""
    status: str = ""
    public_score: str = ""
    private_score: str = ""
    error: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Return what is equal for all events of one submission: competition and tag."""
        return self.competition, self.tag or self.sha256


COLUMNS = [field.name for field in fields(Event)]


def append(event: Event, path: Path = LEDGER) -> Event:
    """Append an event, stamped with the time, and return it; when this returns, it is on disk.

    Lines of two writers never mix, and a line that a power cut tore is closed, not continued.

    Raises:
        Refused: If the file is there and is no ledger.
        NoSpace: If the disk is full.
    """
    stamped = replace(event, time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    line = _as_line([value.replace("\r", " ").replace("\n", " ") for value in asdict(stamped).values()])
    with disk_full_is_one_line(path), locked(path.with_name(f".{path.name}.lock")):
        size = path.stat().st_size if path.is_file() else 0
        if size:
            _check_header(path)
        head = "" if _ends_with_newline(path, size) else "\n"
        _write(path, (head if size else _as_line(COLUMNS)) + line)
    return stamped


def _as_line(values: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue()


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        data = text.encode()
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _ends_with_newline(path: Path, size: int) -> bool:
    if not size:
        return True
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"


def _check_header(path: Path) -> None:
    with path.open(encoding="utf-8", errors="replace") as file:
        header = file.readline().rstrip("\n")
    if header != ",".join(COLUMNS):
        raise Refused(
            f"{path} is no ledger of this version: its first line is {header[:60]!r}; move it away, or name another "
            "file with LEDGER=file"
        )


def read(path: Path = LEDGER, note: Callable[[str], None] | None = None) -> list[Event]:
    """Return the events in the order they were written; a torn line is passed over and told.

    Raises:
        Refused: If the file is no ledger.
    """
    if not path.is_file() or not path.stat().st_size:
        return []
    _check_header(path)
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        lines = file.read().split("\n")[1:]
    return list(_parsed(lines, path, note or (lambda line: None)))


def _parsed(lines: list[str], path: Path, note: Callable[[str], None]) -> Iterator[Event]:
    for number, line in enumerate(lines, start=2):
        values = next(csv.reader([line]), [])
        if len(values) == len(COLUMNS):
            yield Event(**dict(zip(COLUMNS, values, strict=True)))
        elif line.strip():
            note(f"{path}, line {number} is torn and passed over")


def last_events(events: list[Event], competition: str | None = None) -> list[Event]:
    """Return one event a submission: what its last event says, and what earlier ones knew where that one is silent.

    Args:
        competition: Only of this one; None takes all.
    """
    latest: dict[tuple[str, str], Event] = {}
    for event in events:
        if competition in (None, event.competition):
            latest[event.key] = _over(latest.get(event.key, Event()), event)
    return list(latest.values())


def _over(before: Event, after: Event) -> Event:
    known = {name: value for name, value in asdict(after).items() if value}
    return replace(before, **known)
