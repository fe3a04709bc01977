"""The ledger's promises: append-only, whole lines with two writers and after a kill, the last event of a submission shown."""

from __future__ import annotations

import csv
import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comp.errors import Refused
from submissions.ledger import COLUMNS, Event, append, last_events, read

WILD = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\x00\x85\u2028\u2029"), max_size=30)


def event(kind: str, tag: str = "a", **values: str) -> Event:
    return Event(event=kind, competition="pets", tag=tag, **values)


def test_what_is_appended_is_read_and_earlier_bytes_stay(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "ledger.csv"
    append(event("started"), path)
    before = path.read_bytes()
    append(event("created", reference="9"), path)
    assert path.read_bytes().startswith(before)
    assert [found.event for found in read(path)] == ["started", "created"]


@given(st.lists(st.tuples(WILD, WILD), max_size=5))
def test_any_message_survives(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.mktemp("ledger") / "ledger.csv"
    for message, error in rows:
        append(event("failed", message=message, error=error), path)
    assert [(found.message, found.error) for found in read(path)] == rows


def test_a_line_break_cannot_make_a_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.csv"
    append(event("failed", message="two\nlines\r"), path)
    assert [found.message for found in read(path)] == ["two lines "]


def test_spreadsheets_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.csv"
    append(event("failed", message='a, "b"'), path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["message"] == 'a, "b"'


def _write_many(path: Path, name: str) -> None:
    for number in range(60):
        append(event("scored", tag=f"{name}{number}", message="x" * 3000), path)


def test_two_writers_lose_and_mix_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.csv"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(path, name)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    found = read(path, pytest.fail)
    assert sorted(one.tag for one in found) == sorted(f"{name}{number}" for name in "ab" for number in range(60))
    assert path.read_text().count(",".join(COLUMNS)) == 1


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_torn_line_is_passed_over_and_the_next_one_is_whole(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "ledger.csv"
    append(event("started", tag="first"), path)
    append(event("started", tag="torn", message="m" * 40), path)
    path.write_bytes(path.read_bytes()[:-cut])
    append(event("started", tag="next"), path)
    notes: list[str] = []
    tags = [found.tag for found in read(path, notes.append)]
    assert tags[0] == "first" and tags[-1] == "next"
    assert len(tags) + len(notes) == 3


def test_a_view_shows_the_last_event_with_what_earlier_ones_knew() -> None:
    events = [
        event("started", cv="0.05"),
        event("started", tag="b"),
        event("created", reference="9", status="PENDING"),
        event("scored", status="COMPLETE", public_score="0.06"),
        Event(event="scored", competition="other", tag="a"),
    ]
    shown = last_events(events, "pets")
    assert [(one.tag, one.event) for one in shown] == [("a", "scored"), ("b", "started")]
    assert (shown[0].cv, shown[0].reference, shown[0].status) == ("0.05", "9", "COMPLETE")


def test_another_file_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "ledger.csv"
    path.write_text("mine\n1\n")
    with pytest.raises(Refused, match="no ledger"):
        append(event("started"), path)
    assert path.read_text() == "mine\n1\n"


def test_no_file_is_an_empty_ledger(tmp_path: Path) -> None:
    assert read(tmp_path / "none.csv") == []
