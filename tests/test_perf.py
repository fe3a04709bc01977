"""What `make perf` prints and writes; the figures themselves are measured by hand, on a quiet machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import __main__ as perf
from benchmarks.figure import Figure
from comp.errors import BadInput

GAIN = Figure("EMA", -0.25, "points", "two seeds", is_gain=True)
SPEED = Figure("decoding", 0.9, "of bare cv2", "median of 3", at_least=0.85)


def test_a_table_has_no_column_that_says_nothing() -> None:
    assert perf.table_of([GAIN]).splitlines()[0] == "| figure | measured | how |"
    assert perf.table_of([GAIN, SPEED]).splitlines() == [
        "| figure | measured | target |  | how |",
        "| --- | --- | --- | --- | --- |",
        "| EMA | -0.25 points | none |  | two seeds |",
        "| decoding | 0.90 of bare cv2 | >= 0.85 | met | median of 3 |",
    ]


def test_figures_are_written_between_the_marks_of_their_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme, marks = tmp_path / "README.md", perf.marks_of("decode")
    readme.write_text(f"before\n{marks.start}\nold\n{marks.end}\nafter\n")
    monkeypatch.setattr(perf, "_measure", lambda name, options: [SPEED])
    assert perf.main(["decode", "--readme", str(readme)]) == 0
    assert readme.read_text() == f"before\n{marks.start}\n{perf.table_of([SPEED])}\n{marks.end}\nafter\n"


def test_marks_are_looked_for_before_anything_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "README.md").write_text("no marks\n")
    monkeypatch.setattr(perf, "_measure", lambda name, options: pytest.fail("measured"))
    with pytest.raises(BadInput, match="not both there"):
        perf.main(["decode", "--readme", str(tmp_path / "README.md")])


def test_a_missed_target_and_an_unknown_name_end_with_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    missed = Figure("decoding", 0.5, "of bare cv2", "", at_least=0.85)
    monkeypatch.setattr(perf, "_measure", lambda name, options: [missed])
    assert perf.main(["decode"]) == 1
    assert perf.main(["unheard"]) == 2
