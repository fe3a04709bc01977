"""Promise 3: folds are assigned once, written down, and refused when the file no longer matches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from comp.errors import BadInput, Refused
from comp.images import PixelSpec
from comp.tables import read_csv, read_tables
from comp.twins import no_twins
from folds.dataset import load_dataset, make_dataset, readable_train
from tests.made import SQUARES, make_squares, read_all, squares_dataset
from tuning.honest import second_dataset
from tuning.setup import Ground


def test_what_is_written_is_what_is_read(in_folder: Path) -> None:
    dataset, tables = squares_dataset(in_folder / "data")
    again = load_dataset(dataset.folder)
    assert again.train.equals(dataset.train) and again.test.equals(dataset.test)
    assert dataset.train["id"].tolist() == tables.train["id"].tolist()
    assert dataset.classes == ["amber", "blue", "coral"] and dataset.answers is None
    assert dataset.train.groupby(["label", "fold"]).size().tolist() == [4] * 9


@pytest.mark.parametrize("name", ["folds.csv", "table.csv"])
@pytest.mark.parametrize("change", ["edit", "tear", "remove"])
def test_an_edited_or_torn_table_is_refused_in_one_line(in_folder: Path, name: str, change: str) -> None:
    dataset, _ = squares_dataset(in_folder / "data")
    path = dataset.folder / name
    text = path.read_text()
    if change == "remove":
        path.unlink()
    else:
        path.write_text(text.replace("0", "1", 1) if change == "edit" else text[:-5])
    with pytest.raises(Refused) as refusal:
        load_dataset(dataset.folder)
    assert name in str(refusal.value) and "\n" not in str(refusal.value)


def test_other_data_folds_or_seed_have_other_folders_and_the_same_have_the_same(in_folder: Path) -> None:
    dataset, tables = squares_dataset(in_folder / "data")
    photos = read_all(tables, [PixelSpec(16)])
    twins = no_twins(len(tables.train))
    assert make_dataset(tables, photos, twins, 3).folder == dataset.folder
    assert make_dataset(tables, photos, twins, 4).folder != dataset.folder
    (in_folder / "data" / "photos" / "000.png").write_bytes((in_folder / "data" / "photos" / "005.png").read_bytes())
    changed = read_all(tables, [PixelSpec(16)])
    assert make_dataset(tables, changed, twins, 3).folder != dataset.folder


def test_without_a_test_set_a_tenth_is_held_out_and_its_answers_are_apart(in_folder: Path) -> None:
    dataset, tables = squares_dataset(in_folder / "data", n_test=0)
    assert 3 <= len(dataset.test) <= 6 and dataset.answers is not None and len(dataset.answers) == len(dataset.test)
    assert "label" not in dataset.test and not set(dataset.test["id"]) & set(dataset.in_folds["id"])
    assert len(dataset.in_folds) + len(dataset.test) == len(tables.train)


def test_a_class_with_a_row_a_fold_keeps_them_all_in_this_fold_table_and_in_the_next(in_folder: Path) -> None:
    folder = make_squares(in_folder / "data", n_test=0)
    table = read_csv(folder / "train.csv")
    table.loc[table.index[:3], "colour"] = "rare"
    table.to_csv(folder / "train.csv", index=False)
    tables = read_tables(SQUARES, folder)
    photos, twins = read_all(tables, [PixelSpec(16)]), no_twins(len(tables.train))
    for seed in range(8):
        competition = replace(SQUARES, fold_seed=seed)
        seeded = replace(tables, competition=competition)
        dataset = make_dataset(seeded, photos, twins, 3)
        second = second_dataset(Ground(competition=competition, tables=seeded, photos=photos, dataset=dataset))
        for found in (dataset, second):
            assert sorted(found.in_folds["fold"][found.in_folds["label"] == "rare"]) == [0, 1, 2]
            assert len(found.test)


def test_data_too_small_for_a_hold_out_are_refused_in_one_line(in_folder: Path) -> None:
    tables = read_tables(SQUARES, make_squares(in_folder / "data", n_rows=9, n_test=0))
    photos, twins = read_all(tables, [PixelSpec(16)]), no_twins(9)
    with pytest.raises(
        BadInput, match=r"^9 train rows are too few to hold some out .* take fewer folds \(FOLDS=2\), or"
    ):
        make_dataset(tables, photos, twins, 3)
    assert len(make_dataset(tables, photos, twins, 2).test) > 0


def test_unreadable_rows_are_left_out_of_train_and_kept_in_test(in_folder: Path) -> None:
    folder = make_squares(in_folder / "data")
    for name in ("004", "040"):
        (folder / "photos" / f"{name}.png").write_bytes(b"broken")
    tables = read_tables(SQUARES, folder)
    photos = read_all(tables, [PixelSpec(16)])
    dataset = make_dataset(tables, photos, no_twins(len(readable_train(tables, photos))), 3)
    assert "004" not in set(dataset.train["id"]) and len(dataset.train) == 35
    assert dataset.test.set_index("id")["sha"]["040"] == "" and len(dataset.test) == 6


def test_a_class_with_fewer_rows_than_folds_is_refused(in_folder: Path) -> None:
    _, tables = squares_dataset(in_folder / "data")
    photos = read_all(tables, [PixelSpec(16)])
    with pytest.raises(BadInput, match="amber"):
        make_dataset(tables, photos, no_twins(len(tables.train)), 13)


@pytest.mark.parametrize(("n_groups", "left_out"), [(3, []), (2, None)])
def test_a_group_score_needs_a_class_with_as_many_groups_as_folds(
    in_folder: Path, n_groups: int, left_out: list[str] | None
) -> None:
    folder = make_squares(in_folder / "data")
    table = read_csv(folder / "train.csv")
    table["animal"] = [f"{row.colour} {i // 3 % n_groups}" for i, row in enumerate(table.itertuples())]
    table.to_csv(folder / "train.csv", index=False)
    tables = read_tables(replace(SQUARES, group_column="animal"), folder)
    photos, twins = read_all(tables, [PixelSpec(16)]), no_twins(len(tables.train))
    if left_out is None:
        with pytest.raises(BadInput, match="GROUP=animal: each of the 3 classes has fewer groups than the 3 folds"):
            make_dataset(tables, photos, twins, 3)
    else:
        dataset = make_dataset(tables, photos, twins, 3)
        assert dataset.facts["classes_left_out"] == left_out
        assert dataset.train.groupby("group")["fold"].nunique().max() == 1
