"""What `make inspect` writes down: the train rows of every class, by phylum where one is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from comp.inspect import _write_counts
from comp.tables import read_tables
from tests.made import SQUARES, make_squares


def test_every_class_is_counted_and_every_phylum_of_it(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = read_tables(SQUARES, make_squares(in_folder / "data"))
    phyla = ["warm" if label != "blue" else ["cold", "warm"][i % 2] for i, label in enumerate(tables.train["label"])]
    known = replace(
        tables, train=tables.train.assign(condition=phyla), competition=replace(SQUARES, condition_column="phylum")
    )
    _write_counts(known, Path("out/classes.csv"))
    assert Path("out/classes.csv").read_text().splitlines() == [
        "class,phylum,rows",
        "amber,warm,12",
        "blue,cold,6",
        "blue,warm,6",
        "coral,warm,12",
    ]
    assert capsys.readouterr().out == "train rows of every class: in out/classes.csv\n"
