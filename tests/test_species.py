"""Seen and unseen groups: the same recipe on the same rows over two kinds of folds; what cannot be paired is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from comp.errors import BadInput
from comp.images import PixelSpec
from comp.metrics import metric
from comp.tables import Tables, read_csv, read_tables
from comp.twins import no_twins
from folds.dataset import Dataset, make_dataset
from submissions.species import is_scored, seen_and_unseen, show_seen_unseen
from tests.made import SQUARES, make_squares, read_all
from tests.made_runs import finished_run


def two_tables(folder: Path) -> tuple[Dataset, Dataset]:
    """Return plain and grouped folds of the same rows, three each; class amber has one group, blue has four, coral two."""
    make_squares(folder)
    table = read_csv(folder / "train.csv")
    n_groups = {"amber": 1, "blue": 4, "coral": 2}
    table["species"] = [f"{label}{row % n_groups[label]}" for row, label in enumerate(table["colour"].tolist())]
    table.to_csv(folder / "train.csv", index=False)
    found = []
    for group in (None, "species"):
        tables: Tables = read_tables(replace(SQUARES, group_column=group), folder)
        photos = read_all(tables, [PixelSpec(16)])
        found.append(make_dataset(tables, photos, no_twins(len(tables.train)), 3))
    return found[0], found[1]


def test_every_scored_row_is_of_a_group_that_its_model_never_saw_and_of_a_class_that_it_did(in_folder: Path) -> None:
    _, grouped = two_tables(in_folder / "data")
    assert grouped.facts["classes_left_out"] == ["amber", "coral"]
    rows = grouped.in_folds
    scored = rows[is_scored(grouped)]
    assert set(scored["label"]) == {"blue", "coral"} and len(scored) == 24
    for fold, part in scored.groupby("fold"):
        fitted_on = rows[rows["fold"] != fold]
        assert not set(part["group"]) & set(fitted_on["group"]) and set(part["label"]) <= set(fitted_on["label"])


def test_both_are_scored_on_the_same_rows_and_classes_of_one_group_are_counted(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed, grouped = two_tables(in_folder / "data")
    with pytest.raises(BadInput, match="no recipe has"):
        show_seen_unseen(SQUARES, "species", "accuracy")
    runs = [finished_run(mixed, skill=4.0), finished_run(grouped, skill=0.0)]
    finished_run(mixed, seed=1)  # has no partner
    found = seen_and_unseen(mixed, grouped, metric("accuracy"))
    assert len(found) == 1 and (found[0].n_rows, found[0].n_classes) == (24, 2)
    truth = mixed.truth
    hits = np.load(runs[0] / "oof.npy").argmax(axis=1) == truth
    assert found[0].seen == pytest.approx(hits[truth != 0].mean()) and found[0].drop > 0
    path = show_seen_unseen(SQUARES, "species", "accuracy")
    out = capsys.readouterr().out
    assert len(read_csv(path)) == 1 and "1 classes are left out: all their rows are of one species" in out


def test_folds_that_were_never_grouped_are_one_clear_line(in_folder: Path) -> None:
    two_tables(in_folder / "data")
    with pytest.raises(BadInput, match="GROUP=page"):
        show_seen_unseen(SQUARES, "page", "accuracy")
