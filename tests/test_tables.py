"""Promises of comp.tables: what cannot be right is refused in one line that says what, where and what to do."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comp.errors import BadInput
from comp.registry import load_competition
from comp.spec import Competition
from comp.tables import (
    Tables,
    absent_paths,
    check_class_counts,
    find_data_dir,
    odd_character,
    read_csv,
    read_tables,
    shown,
    what_lacks,
)

REAL = Path(__file__).parents[1] / os.environ.get("REAL_DATA", "../shared/data")
HAS_REAL = (REAL / "animal-families").is_dir()
COMPETITION = Competition(
    name="x",
    title="",
    layout="table",
    id_column="id",
    target_column="family",
    path_column="photo",
    condition_column="phylum",
    submission="label",
    folders=("first", "second"),
)
TRAIN = "id,family,photo,phylum,species\n1,cat,a/1.jpg,p,s1\n2,dog,a/2.jpg,p,s2\n3,cat,b/3.jpg,,s1\n"
TEST = "id,photo,phylum\n8,b/8.jpg,p\n9,b/9.jpg,\n"
SAMPLE = "id,family\n9,cat\n8,cat\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"train.csv": TRAIN, "test.csv": TEST, "sample_submission.csv": SAMPLE}.items():
        (tmp_path / name).write_text(text)
    for photo in ("a/1.jpg", "a/2.jpg", "b/3.jpg", "b/8.jpg", "b/9.jpg"):
        (tmp_path / photo).parent.mkdir(exist_ok=True)
        (tmp_path / photo).touch()
    return tmp_path


def refused(folder: Path, competition: Competition = COMPETITION, allow_missing: bool = False) -> str:
    """Return the line that a folder is refused with."""
    with pytest.raises(BadInput) as caught:
        read_tables(competition, folder, allow_missing)
    line = str(caught.value)
    assert line.isprintable()
    return line


def edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def test_rows_come_as_they_stand(folder: Path) -> None:
    tables = read_tables(replace(COMPETITION, group_column="species"), folder)
    assert tables.train.to_csv(index=False) == (
        "id,path,label,condition,group\n1,a/1.jpg,cat,p,s1\n2,a/2.jpg,dog,p,s2\n3,b/3.jpg,cat,,s1\n"
    )
    assert tables.test is not None
    assert tables.test.to_csv(index=False) == "id,path,condition\n8,b/8.jpg,p\n9,b/9.jpg,\n"
    assert tables.sample is not None
    assert tables.sample.to_csv(index=False) == SAMPLE
    assert (tables.missing, tables.notes) == ((), ())


def test_a_missing_condition_is_the_empty_string(folder: Path) -> None:
    tables = read_tables(COMPETITION, folder)
    assert tables.test is not None
    assert list(tables.test["condition"]) == ["p", ""]


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("train.csv", "id,family", "id,famly", r"column 'family' \(label\) is missing in .*train.csv.*famly"),
        ("train.csv", ",photo", ",photos", "did you mean photos"),
        ("test.csv", ",phylum", ",phyla", r"'phylum' \(condition\) is missing in .*test.csv"),
        ("train.csv", "3,cat", "1,cat", "1 ids stand in more than one row .first: 1"),
        ("test.csv", "9,b", "8,b", "test.csv: 1 ids"),
        ("train.csv", "3,cat", ",cat", "id is empty in 1 of 3 rows .first: row 3"),
        ("train.csv", "2,dog", "2, ", "label is empty in 1 of 3"),
        ("train.csv", "a/1.jpg", "", "path is empty in 1 of 3"),
        ("test.csv", "8,b", "1,b", "1 ids are in train and in test .first: 1"),
        ("train.csv", "2,dog", "2,cat", "one class .cat"),
        ("train.csv", "a/1.jpg", "../1.jpg", "'../1.jpg' leaves the data folder"),
        ("train.csv", "a/1.jpg", "/etc/passwd", "leaves the data folder"),
        ("test.csv", "b/8.jpg", "a/../../8.jpg", "leaves the data folder"),
        ("train.csv", "a/1.jpg", "A/1.jpg", "1 of 5 photos are named but absent.*first: A/1.jpg.*--allow-missing"),
        ("train.csv", "a/1.jpg", "a/1.JPG", "first: a/1.JPG"),
        ("train.csv", "a/1.jpg", "a", "first: a.;"),
        ("test.csv", "b/8.jpg", "b/7.jpg", "first: b/7.jpg"),
        ("sample_submission.csv", "8,cat", "7,cat", r"1 missing, 1 too many \(first: 8\)"),
        ("sample_submission.csv", "\n8,cat", "", "1 missing, 0 too many"),
        ("sample_submission.csv", "8,cat", "8,cat\n8,dog", "sample_submission.csv: 1 ids stand in more"),
        ("sample_submission.csv", "id,family", "family,id", "expected the columns id, family, got family, id"),
        ("train.csv", "phylum,species", "phylum,phylum", "'phylum' is there more than once"),
        ("train.csv", ",p,s2", ",p", "train.csv, line 3: expected 5 fields, got 4"),
        ("train.csv", ",p,s2", ",p,s2,x", "line 3: expected 5 fields, got 6"),
        ("train.csv", "1,cat", '1,"cat', "cannot be read as CSV.*end of data"),
    ],
)
def test_what_cannot_be_right_is_one_line(folder: Path, name: str, old: str, new: str, said: str) -> None:
    edit(folder, name, old, new)
    with pytest.raises(BadInput, match=said) as caught:
        read_tables(COMPETITION, folder)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "said"), [("", "is empty"), ("\n\n", "is empty"), ("id,family,photo,phylum\n", "no rows")]
)
@pytest.mark.parametrize("name", ["train.csv", "test.csv", "sample_submission.csv"])
def test_an_empty_table_is_one_line(folder: Path, name: str, text: str, said: str) -> None:
    (folder / name).write_text(text)
    assert said in refused(folder)
    assert name in refused(folder)


def test_a_missing_table_and_a_missing_folder_say_where(folder: Path) -> None:
    (folder / "train.csv").unlink()
    assert f"train.csv is missing in {folder}" in refused(folder)
    assert "DATA=folder" in refused(folder / "nowhere")
    assert "it is a file" in refused(folder / "test.csv")


def test_a_table_that_is_no_text_is_one_line(folder: Path) -> None:
    (folder / "train.csv").write_bytes(b"id,family\n1,\xff\xfe\n")
    assert "not UTF-8" in refused(folder)
    (folder / "train.csv").unlink()
    (folder / "train.csv").mkdir()
    assert "train.csv cannot be read" in refused(folder)


def test_a_missing_group_column_says_group(folder: Path) -> None:
    line = refused(folder, replace(COMPETITION, group_column="specis"))
    assert line.startswith("GROUP=specis is missing in ")
    assert "did you mean species" in line


def test_a_row_without_a_group_is_refused(folder: Path) -> None:
    edit(folder, "train.csv", "3,cat,b/3.jpg,,s1", "3,cat,b/3.jpg,,")
    assert "group is empty in 1 of 3" in refused(folder, replace(COMPETITION, group_column="species"))
    read_tables(COMPETITION, folder)


def test_wild_text_cannot_break_the_line(folder: Path) -> None:
    edit(folder, "train.csv", "a/1.jpg", '"a\n\x1b[31m1.jpg"')
    assert r"'a\n\x1b[31m1.jpg'" in refused(folder)


def test_allow_missing_drops_train_rows_and_keeps_test_rows(folder: Path) -> None:
    edit(folder, "train.csv", "3,cat,b/3.jpg,,s1", "3,cat,b/3.jpg,,s1\n4,dog,gone/4.jpg,,s1")
    (folder / "b/9.jpg").unlink()
    (folder / "a/1.jpg").unlink()
    assert "3 of 6 photos are named but absent" in refused(folder)
    tables = read_tables(COMPETITION, folder, allow_missing=True)
    assert list(tables.train["id"]) == ["2", "3"]
    assert list(tables.train.index) == [0, 1]
    assert tables.missing == ("a/1.jpg", "gone/4.jpg")
    assert tables.test is not None
    assert list(tables.test["id"]) == ["8", "9"]
    assert "2 train rows are left out; 1 test rows get the prior" in tables.notes[0]


def test_allow_missing_with_nothing_or_one_class_left_is_refused(folder: Path) -> None:
    (folder / "a/2.jpg").unlink()
    assert "one class (cat)" in refused(folder, allow_missing=True)
    (folder / "a/1.jpg").unlink()
    (folder / "b/3.jpg").unlink()
    assert "no train photo is left" in refused(folder, allow_missing=True)


def test_paths_are_written_plainly(folder: Path) -> None:
    edit(folder, "train.csv", "a/1.jpg", "./a//1.jpg")
    assert read_tables(COMPETITION, folder).train["path"][0] == "a/1.jpg"


def test_transcripts_need_no_classes(folder: Path) -> None:
    edit(folder, "train.csv", "2,dog", "2,cat")
    assert len(read_tables(replace(COMPETITION, task="transcribe"), folder).train) == 3


def test_transcripts_that_no_csv_can_hold_are_refused(folder: Path) -> None:
    edit(folder, "train.csv", "2,dog", '2,"two\nlines"')
    line = refused(folder, replace(COMPETITION, task="transcribe"))
    assert "transcripts of 1 of 3 train rows (first: id 2) hold line breaks or control characters" in line


@pytest.mark.parametrize(
    "text", ["", "a b", "a\u00a0b", "co\u00adop", "\u0645\u06cc\u200c\u062e", "\u0915\u094d\u200d\u0937", "\ue000"]
)
def test_what_may_stand_in_a_transcript(text: str) -> None:
    assert odd_character(text) == ""


@pytest.mark.parametrize("odd", ["\n", "\r", "\t", "\0", "\x1b", "\x85", "\u2028", "\u2029", "\ud800"])
def test_what_breaks_a_line_or_a_file_may_not(odd: str) -> None:
    assert odd_character(f"a{odd}b\n") == odd


def test_a_positive_class_that_is_none_is_refused(folder: Path) -> None:
    competition = replace(COMPETITION, submission="probability", positive="cow")
    assert "positive='cow' is none of the 2 classes (first: cat, dog)" in refused(folder, competition)


def test_a_metric_that_cannot_score_the_classes_is_refused(folder: Path) -> None:
    assert "metric qwk: class 'cat' is no number" in refused(folder, replace(COMPETITION, metric="qwk"))
    assert "metric qwk: class 'cat' is no number" in refused(folder, replace(COMPETITION, also=("qwk",)))
    assert "metric 'f2' is unknown" in refused(folder, replace(COMPETITION, metric="f2"))
    for name in ("train.csv", "sample_submission.csv"):
        edit(folder, name, "cat", "2")
    edit(folder, "train.csv", "dog", "10")
    assert read_tables(replace(COMPETITION, metric="qwk"), folder).train["label"].tolist() == ["2", "10", "2"]


def test_columns_of_probabilities_may_be_the_classes(folder: Path) -> None:
    (folder / "sample_submission.csv").write_text("id,cat,dog\n8,0.5,0.5\n9,0.5,0.5\n")
    assert "expected the columns" in refused(folder)
    wide = replace(COMPETITION, submission="probabilities")
    assert read_tables(wide, folder).sample is not None
    edit(folder, "sample_submission.csv", "id,cat,dog", "id,dog,cat")
    assert read_tables(wide, folder).sample is not None


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (
            "id,cat,cow",
            "a column for each of the 2 classes .* got 1 missing, 1 too many .first: dog",
        ),
        ("id,cat", "1 missing, 0 too many .first: dog"),
        ("id,cat,dog,cow", "0 missing, 1 too many .first: cow"),
        ("cat,id,dog", "expected the columns id, got cat"),
    ],
)
def test_columns_of_probabilities_are_the_classes_before_anything_is_trained(
    folder: Path, header: str, said: str
) -> None:
    n = header.count(",")
    (folder / "sample_submission.csv").write_text(f"{header}\n8{',0.5' * n}\n9{',0.5' * n}\n")
    with pytest.raises(BadInput, match=rf"sample_submission\.csv: .*{said}"):
        read_tables(replace(COMPETITION, submission="probabilities"), folder)


def test_a_label_in_the_test_table_is_never_read(folder: Path) -> None:
    (folder / "test.csv").write_text("id,photo,phylum,family\n8,b/8.jpg,p,cat\n9,b/9.jpg,,dog\n")
    test = read_tables(COMPETITION, folder).test
    assert test is not None
    assert list(test.columns) == ["id", "path", "condition"]


cells = st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=3, max_size=3)


@given(st.lists(cells, min_size=1, max_size=8))
def test_every_text_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "wild.csv"
    text = io.StringIO()
    csv.writer(text).writerows([["a", "b", "c"], *rows])
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    assert read_csv(path).to_numpy().tolist() == rows


@pytest.mark.parametrize("word", ["NA", "none", "nan", "null", "007", "1e5", "", "True", " padded ", "1_000"])
def test_no_word_is_taken_for_something_else(tmp_path: Path, word: str) -> None:
    (tmp_path / "t.csv").write_text(f"a,b\n{word},x\n")
    assert read_csv(tmp_path / "t.csv")["a"][0] == word


def test_a_byte_order_mark_is_no_part_of_a_column(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfid,b\r\n1,x\r\n")
    assert list(read_csv(tmp_path / "t.csv").columns) == ["id", "b"]


def test_absent_photos_are_found_without_asking_file_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [f"{n % 5}/{n}.jpg" for n in range(12_000)]
    for k in range(5):
        (tmp_path / str(k)).mkdir()
    for path in paths[:100]:
        (tmp_path / path).touch()
    listed: list[str] = []
    scandir = os.scandir

    def counting(folder: str) -> object:
        listed.append(folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", counting)
    monkeypatch.setattr(os, "stat", None)
    monkeypatch.setattr(Path, "stat", None)
    assert absent_paths(tmp_path, paths) == paths[100:]
    assert len(listed) == 5


def test_find_data_dir_prefers_what_is_given_then_the_first_name_there(tmp_path: Path) -> None:
    given_folder = tmp_path / "given"
    assert find_data_dir(COMPETITION, given_folder, tmp_path) == given_folder
    (tmp_path / "second").mkdir()
    assert find_data_dir(COMPETITION, None, tmp_path) == tmp_path / "second"
    (tmp_path / "first").mkdir()
    assert find_data_dir(COMPETITION, None, tmp_path) == tmp_path / "first"


def test_of_several_folders_the_first_with_nineteen_in_twenty_photos_is_taken(tmp_path: Path) -> None:
    for folder, n_photos in (("first", 18), ("second", 19)):
        (tmp_path / folder / "photos").mkdir(parents=True)
        rows = "".join(f"{i},{'ab'[i % 2]},photos/{i}.jpg\n" for i in range(20))
        (tmp_path / folder / "train.csv").write_text("id,label,path\n" + rows)
        for i in range(n_photos):
            (tmp_path / folder / "photos" / f"{i}.jpg").touch()
    competition = Competition(
        name="x", title="", layout="table", id_column="id", target_column="label", path_column="path",
        submission="label", folders=("none", "first", "second"),
    )  # fmt: skip
    assert find_data_dir(competition, None, tmp_path) == tmp_path / "second"
    assert "2 of 20 photos are named but absent" in what_lacks(competition, tmp_path / "first")
    (tmp_path / "second" / "train.csv").unlink()
    assert find_data_dir(competition, None, tmp_path) == tmp_path / "first", "so that what it lacks is told"


def test_find_data_dir_takes_an_absolute_folder_as_it_is(tmp_path: Path) -> None:
    competition = replace(COMPETITION, folders=(str(tmp_path),))
    assert find_data_dir(competition, None, Path("nowhere")) == tmp_path


@pytest.mark.parametrize(("folders", "said"), [(("a", "b"), "root/a, .*root/b"), ((), "names no folder")])
def test_find_data_dir_says_where_it_looked(folders: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadInput, match=f"{said}.*DATA=folder"):
        find_data_dir(replace(COMPETITION, folders=folders), None, Path("root"))


def test_class_counts_name_the_rarest_first() -> None:
    labels = ["a"] * 4 + ["b"] * 2 + ["c"] * 5 + ["d"] * 3 + ["e"] * 4
    check_class_counts(labels, 2)
    with pytest.raises(BadInput, match=r"4 of 5 classes .* the 5 folds \(b 2, d 3, a 4\): FOLDS=2, or leave them out"):
        check_class_counts(labels, 5)
    with pytest.raises(BadInput, match=r"\(z 1\): leave them out"):
        check_class_counts(["z", "a", "a"], 2)


@given(st.lists(st.text(), min_size=1))
def test_shown_is_always_one_line(values: list[str]) -> None:
    assert shown(values, 3).isprintable()
    assert shown(values, 3)


@pytest.mark.skipif(not HAS_REAL, reason="REAL_DATA names no folder of real photos")
class TestRealPhotos:
    """The real tables: what is known of them from outside must come out."""

    def read(self, name: str, allow_missing: bool = False) -> Tables:
        return read_tables(load_competition("rare_species"), REAL / name, allow_missing)

    def test_animal_families(self) -> None:
        tables = self.read("animal-families")
        assert tables.test is not None
        assert (len(tables.train), len(tables.test), tables.train["label"].nunique()) == (3570, 894, 82)
        assert tables.train["condition"].nunique() == tables.test["condition"].nunique() == 4
        check_class_counts(tables.train["label"], 5)

    def test_rare_species_has_63_of_its_photos(self) -> None:
        with pytest.raises(BadInput, match=r"11,920 of 11,983 photos are named but absent"):
            self.read("rare-species")
        tables = self.read("rare-species", allow_missing=True)
        assert (len(tables.train), len(tables.missing)) == (63, 11_920)

    def test_flowers(self) -> None:
        competition = replace(COMPETITION, layout="class_folders", target_column="label", condition_column=None)
        tables = read_tables(competition, REAL / "flowers")
        assert tables.test is not None
        assert (len(tables.train), len(tables.test), tables.train["label"].nunique()) == (2000, 500, 5)
