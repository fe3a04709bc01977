"""The contract of every layout: the same folder, lying as each of them wants it, gives the same tables."""

from __future__ import annotations

import csv
import os
import random
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comp.errors import BadInput
from comp.layouts.class_folders import IMAGE_SUFFIXES, is_photo_name, natural_key
from comp.registry import load_layout, names
from comp.spec import Competition
from comp.tables import Tables, read_tables

# label, file name: words that a careless reader turns into numbers or gaps, spaces, other scripts, any case of suffix
PHOTOS = [
    ("NA", "1.jpg"),
    ("NA", "2.JPG"),
    ("007", "none.png"),
    ("007", "1e5.jpeg"),
    ("größe 貓", "grün és 貓.webp"),
    ("größe 貓", "with space, comma.gif"),
]
TEST_PHOTOS = ["0010.jpg", "1e5.png", "nan.tiff", "ünïcode 貓.bmp"]


def write_csv(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"not looked into")


def base(layout: str, **facts: object) -> Competition:
    common = {"name": "x", "title": "", "id_column": "id", "target_column": "kind", "submission": "label"}
    return Competition(layout=layout, **{**common, **facts})  # type: ignore[arg-type]


def make_table(folder: Path) -> Competition:
    rows = [[f"{label}/{name}", label, f"photos/{label}/{name}", "x"] for label, name in PHOTOS]
    write_csv(folder / "train.csv", [["id", "kind", "photo", "extra"], *rows])
    for row in rows:
        touch(folder / row[2])
    tests = [[Path(name).stem, f"test/{name}", "answer"] for name in TEST_PHOTOS]
    write_csv(folder / "test.csv", [["id", "photo", "kind"], *tests])
    return base("table", path_column="photo")


def make_class_folders(folder: Path) -> Competition:
    for label, name in PHOTOS:
        touch(folder / "train" / label / name)
    return base("class_folders")


def make_labelled_names(folder: Path) -> Competition:
    for label, name in PHOTOS:
        touch(folder / "train" / f"{label}.{name}")
    return base("labelled_names")


def make_labels_by_id(folder: Path) -> Competition:
    write_csv(folder / "train.csv", [["id", "kind"], *([Path(name).stem, label] for label, name in PHOTOS)])
    for _, name in PHOTOS:
        touch(folder / "train" / name)
    return base("labels_by_id")


ARRAYS = {"npz", "pixel_csv", "cifar_archive"}  # pictures that lie in one file: see test_arrays
MAKERS: dict[str, Callable[[Path], Competition]] = {
    "table": make_table,
    "class_folders": make_class_folders,
    "labelled_names": make_labelled_names,
    "labels_by_id": make_labels_by_id,
}


def make(layout: str, folder: Path) -> Competition:
    """Lay out the same photos, four test photos and a sample submission in the way of a layout."""
    competition = MAKERS[layout](folder)
    for name in TEST_PHOTOS:
        touch(folder / "test" / name)
    sample = [[Path(name).stem, "NA"] for name in reversed(TEST_PHOTOS)]
    write_csv(folder / "sample_submission.csv", [["id", "kind"], *sample])
    return competition


@pytest.fixture(params=MAKERS)
def laid_out(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Competition, Path]:
    folder = tmp_path / "a folder 貓"
    folder.mkdir()
    return make(request.param, folder), folder


def read(laid_out: tuple[Competition, Path]) -> Tables:
    tables: Tables = load_layout(laid_out[0].layout).read(*laid_out)
    return tables


def test_every_layout_is_under_contract() -> None:
    elsewhere = {"iam_words"}  # transcripts are no folder names: tests/test_iam_words.py
    assert {*MAKERS, *ARRAYS} | elsewhere == set(names("comp.layouts"))


def test_labels_are_the_words_that_were_written(laid_out: tuple[Competition, Path]) -> None:
    train = read(laid_out).train
    rows = zip(train["label"], train["path"], strict=True)
    found = {(label, Path(path).name.removeprefix(f"{label}.")) for label, path in rows}
    assert found == set(PHOTOS)


def test_columns_are_text_and_in_order(laid_out: tuple[Competition, Path]) -> None:
    tables = read(laid_out)
    assert tables.test is not None
    assert tables.sample is not None
    assert list(tables.train.columns) == ["id", "path", "label"]
    assert list(tables.test.columns) == ["id", "path"]
    for frame in (tables.train, tables.test, tables.sample):
        assert [str(kind) for kind in frame.dtypes] == ["str"] * len(frame.columns)
        assert list(frame.index) == list(range(len(frame)))


def test_paths_are_files_below_the_folder(laid_out: tuple[Competition, Path]) -> None:
    tables = read(laid_out)
    assert tables.test is not None
    for path in [*tables.train["path"], *tables.test["path"]]:
        assert (laid_out[1] / path).is_file()
        assert "\\" not in path
        assert not path.startswith(("/", "."))


def test_ids_are_unique_and_those_of_the_sample(laid_out: tuple[Competition, Path]) -> None:
    tables = read(laid_out)
    assert tables.test is not None
    assert tables.train["id"].is_unique
    assert sorted(tables.test["id"]) == sorted(Path(name).stem for name in TEST_PHOTOS)


def test_the_sample_is_as_it_stands(laid_out: tuple[Competition, Path]) -> None:
    sample = read(laid_out).sample
    assert sample is not None
    assert list(sample["id"]) == [Path(name).stem for name in reversed(TEST_PHOTOS)]
    assert set(sample["kind"]) == {"NA"}


def test_what_is_read_passes_every_check(laid_out: tuple[Competition, Path]) -> None:
    before = read(laid_out)
    after = read_tables(*laid_out)
    pd.testing.assert_frame_equal(before.train, after.train)
    assert after.missing == ()


def test_reading_twice_is_the_same_and_writes_nothing(laid_out: tuple[Competition, Path]) -> None:
    listed = sorted(laid_out[1].rglob("*"))
    first, second = read(laid_out), read(laid_out)
    pd.testing.assert_frame_equal(first.train, second.train)
    assert sorted(laid_out[1].rglob("*")) == listed


def test_no_test_set_is_none(laid_out: tuple[Competition, Path]) -> None:
    for path in (laid_out[1] / "test").iterdir():
        path.unlink()
    (laid_out[1] / "test.csv").unlink(missing_ok=True)
    tables = read_tables(*laid_out)
    assert tables.test is None
    assert tables.sample is None
    assert any("sample_submission.csv is not used" in note for note in tables.notes)


def test_an_empty_folder_is_one_line(laid_out: tuple[Competition, Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(BadInput, match="empty"):
        read_tables(laid_out[0], empty)


def test_table_keeps_the_order_of_the_file(tmp_path: Path) -> None:
    competition = make("table", tmp_path)
    rows = [[f"{n}", "ab"[n % 2], "photos/NA/1.jpg"] for n in random.Random(1).sample(range(50), 50)]
    write_csv(tmp_path / "train.csv", [["id", "kind", "photo"], *rows])
    assert list(read_tables(competition, tmp_path).train["id"]) == [row[0] for row in rows]


def test_table_takes_the_label_from_the_table_never_from_the_path(tmp_path: Path) -> None:
    competition = make("table", tmp_path)
    write_csv(
        tmp_path / "train.csv", [["id", "kind", "photo"], ["1", "b", "photos/NA/1.jpg"], ["2", "a", "photos/NA/2.JPG"]]
    )
    assert list(read_tables(competition, tmp_path).train["label"]) == ["b", "a"]


def test_table_without_path_column_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="path_column"):
        read_tables(base("table"), tmp_path)


def test_class_folders_are_read_in_natural_order(tmp_path: Path) -> None:
    for name in ("c10/2.jpg", "c10/10.jpg", "c10/1.jpg", "c9/b.jpg", "c9/a.jpg"):
        touch(tmp_path / "train" / name)
    paths = list(read_tables(base("class_folders"), tmp_path).train["path"])
    assert paths == [f"train/{name}" for name in ("c9/a.jpg", "c9/b.jpg", "c10/1.jpg", "c10/2.jpg", "c10/10.jpg")]


def test_class_folders_may_lie_directly_in_the_data_folder(tmp_path: Path) -> None:
    for name in ("cat/1.jpg", "dog/1.jpg", "test/7.jpg"):
        touch(tmp_path / name)
    tables = read_tables(base("class_folders"), tmp_path)
    assert list(tables.train["label"]) == ["cat", "dog"]
    assert tables.test is not None
    assert list(tables.test["id"]) == ["7"]


@pytest.mark.parametrize(
    ("sample_ids", "expected"),
    [(["1.jpg", "2.png"], ["1.jpg", "2.png"]), (["1", "2"], ["1", "2"]), (None, ["1", "2"])],
)
def test_class_folders_test_ids_are_written_as_in_the_sample(
    tmp_path: Path, sample_ids: list[str] | None, expected: list[str]
) -> None:
    for name in ("train/a/1.jpg", "train/b/1.jpg", "test/1.jpg", "test/2.png"):
        touch(tmp_path / name)
    if sample_ids:
        write_csv(tmp_path / "sample_submission.csv", [["id", "kind"], *([i, "a"] for i in sample_ids)])
    test = read_tables(base("class_folders"), tmp_path).test
    assert test is not None
    assert list(test["id"]) == expected


def test_class_folders_with_equal_stems_use_whole_names(tmp_path: Path) -> None:
    for name in ("train/a/1.jpg", "train/b/1.jpg", "test/1.jpg", "test/1.png"):
        touch(tmp_path / name)
    test = read_tables(base("class_folders"), tmp_path).test
    assert test is not None
    assert list(test["id"]) == ["1.jpg", "1.png"]


def test_class_folders_leave_out_what_is_no_photo_and_say_so(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "b/1.jpg", "a/.hidden.jpg", "a/notes.txt", "a/1.heic", ".git/x.jpg", "b/deep/2.jpg"):
        touch(tmp_path / "train" / name)
    (tmp_path / "train" / "nothing").mkdir()
    tables = read_tables(base("class_folders"), tmp_path)
    assert list(tables.train["path"]) == ["train/a/1.jpg", "train/b/1.jpg"]
    notes = "\n".join(tables.notes)
    assert "1 folders" in notes
    assert "nothing" in notes
    assert "2 files are no photos" in notes


def test_class_folders_pass_over_names_that_no_csv_can_hold(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "b/1.jpg"):
        touch(tmp_path / name)
    try:
        (tmp_path / "a" / os.fsdecode(b"\xff\xfe.jpg")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    tables = read_tables(base("class_folders"), tmp_path)
    assert list(tables.train["path"]) == ["a/1.jpg", "b/1.jpg"]
    assert "1 files are no photos" in "".join(tables.notes)


@pytest.mark.parametrize("column", ["group_column", "condition_column"])
def test_class_folders_have_no_columns(tmp_path: Path, column: str) -> None:
    make("class_folders", tmp_path)
    with pytest.raises(BadInput, match="species"):
        read_tables(base("class_folders", **{column: "species"}), tmp_path)


def test_photos_outside_class_folders_are_one_line(tmp_path: Path) -> None:
    touch(tmp_path / "train" / "cat.1.jpg")
    with pytest.raises(BadInput, match=r"0 folders and 1 photos outside"):
        read_tables(base("class_folders"), tmp_path)


@given(st.lists(st.text(min_size=1), unique=True))
def test_natural_order_is_an_order_of_all_names(found: list[str]) -> None:
    ordered = sorted(found, key=natural_key)
    found.reverse()
    assert sorted(found, key=natural_key) == ordered
    assert len({str(natural_key(name)) for name in found}) == len(found)


@given(st.lists(st.integers(0, 10**30), unique=True))
def test_numbers_in_names_are_ordered_as_numbers(numbers: list[int]) -> None:
    ordered = sorted((f"photo {n}.jpg" for n in numbers), key=natural_key)
    assert ordered == [f"photo {n}.jpg" for n in sorted(numbers)]


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_a_photo_is_known_by_its_suffix_in_any_case(suffix: str) -> None:
    assert is_photo_name(f"a{suffix}")
    assert is_photo_name(f"a{suffix.upper()}")
    assert not is_photo_name(f".a{suffix}")
    assert not is_photo_name(suffix)


def test_labelled_names_are_read_in_natural_order(tmp_path: Path) -> None:
    for name in ("dog.1.jpg", "cat.10.jpg", "cat.2.jpg", ".hidden.1.jpg", "notes.1.txt"):
        touch(tmp_path / "train" / name)
    train = read_tables(base("labelled_names"), tmp_path).train
    assert list(train["path"]) == ["train/cat.2.jpg", "train/cat.10.jpg", "train/dog.1.jpg"]


def test_labelled_names_without_a_label_are_one_line(tmp_path: Path) -> None:
    for name in ("cat.1.jpg", "dog1.jpg"):
        touch(tmp_path / "train" / name)
    with pytest.raises(BadInput, match=r"1 of 2 photos .* dog1.jpg"):
        read_tables(base("labelled_names"), tmp_path)


def test_a_label_without_its_photo_counts_as_an_absent_photo(tmp_path: Path) -> None:
    competition = make("labels_by_id", tmp_path)
    (tmp_path / "train" / "2.JPG").unlink()
    with pytest.raises(BadInput, match=r"1 of 10 photos are named but absent .*train/2\.jpg"):
        read_tables(competition, tmp_path)


def test_train_and_test_may_be_numbered_alike(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", [["id", "kind"], ["2", "frog"], ["1", "cat"]])
    for name in ("train/1.png", "train/2.png", "test/1.png", "test/2.png"):
        touch(tmp_path / name)
    tables = read_tables(base("labels_by_id"), tmp_path)
    assert tables.test is not None
    assert (list(tables.train["id"]), list(tables.test["id"])) == (["train/2", "train/1"], ["1", "2"])
    assert list(tables.train["path"]) == ["train/2.png", "train/1.png"]
