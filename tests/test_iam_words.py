"""The layout of IAM words: every line that is one is a row, every other is one clear line that names it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from comp.errors import BadInput
from comp.layouts.iam_words import read_words
from comp.registry import load_competition
from comp.tables import Tables, read_tables
from submissions.check import check_frame
from tests.words import draw, make_words, write

HANDWRITING = load_competition("handwriting")


def lay_out(folder: Path, *lines: str) -> Path:
    """Write words.txt of these lines, and a picture for each whose id has three parts."""
    folder.mkdir(exist_ok=True)
    (folder / "words.txt").write_text("# a comment\n" + "\n".join(lines) + "\n", encoding="utf-8")
    for line in lines:
        first, second, *rest = line.split(" ")[0].split("-")
        if rest:
            name = f"{first}/{first}-{second}/{line.split(' ')[0]}.png"
            (folder / "words" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "words" / name).write_bytes(b"not looked into")
    return folder


def read(folder: Path, group: str | None = "writer") -> Tables:
    return read_tables(replace(HANDWRITING, group_column=group), folder)


def test_words_are_rows_with_the_rest_of_the_line_as_text(tmp_path: Path) -> None:
    found = read(
        lay_out(
            tmp_path,
            "a01-000u-00-00 ok 154 408 768 27 51 AT A",
            "a01-000u-00-01 ok 154 507 766 213 48 NN M|R. B B  C",
            "b02-001-03 ok 154 -1 -1 -1 -1 NN NA",
            'b02-001-04 ok 154 0 0 9 9 " "quoted, #',
        )
    )
    assert found.train["label"].tolist() == ["A", "M|R. B B  C", "NA", '"quoted, #']
    assert found.train["group"].tolist() == ["a01", "a01", "b02", "b02"]
    assert found.train["path"].tolist()[0] == "words/a01/a01-000u/a01-000u-00-00.png"
    assert found.train["path"].tolist()[2] == "words/b02/b02-001/b02-001-03.png"
    assert found.test is None


def test_words_marked_err_are_counted_and_left_out(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, "a-0-0 ok 0 0 0 1 1 X a", "a-0-1 err 0 0 0 1 1 X b", "a-0-2 ok 0 0 0 1 1 X c")
    found = read(folder)
    assert found.train["label"].tolist() == ["a", "c"]
    assert "1 words marked err are left out" in found.notes


def test_writers_group_where_they_are_known_and_pages_elsewhere(tmp_path: Path) -> None:
    lines = ["a-0-0 ok 0 0 0 1 1 X a", "a-1-0 ok 0 0 0 1 1 X b", "b-0-0 ok 0 0 0 1 1 X c"]
    folder = lay_out(tmp_path, *lines)
    assert any("forms.txt is absent" in note for note in read(folder).notes)
    (folder / "forms.txt").write_text("# form writer\na-0 007 2 prt\na-1 008 2 prt\nb-0 007 1 prt\n")
    assert read(folder).train["group"].tolist() == ["007", "008", "007"]
    assert read(folder, "page").train["group"].tolist() == ["a", "a", "b"]
    (folder / "forms.txt").write_text("a-0 007\n")
    with pytest.raises(BadInput, match=r"no line for form a-1; .+ GROUP=page"):
        read(folder)
    with pytest.raises(BadInput, match=r"GROUP=town: layout iam_words has page and writer"):
        read(folder, "town")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a-0-0 ok 0 0 0 1 1 X", "expected 9 fields"),
        ("a-0-0 ok 0 0 0 1 1 X ", "expected 9 fields"),
        ("a-0-0 ok 0 0  1 1 X a", "expected 5 whole numbers after ok"),
        ("a-0-0 OK 0 0 0 1 1 X a", "expected ok or err after the id, got OK"),
        ("a-0 ok 0 0 0 1 1 X a", "expected an id such as"),
        ("../x-0-0 ok 0 0 0 1 1 X a", "expected an id such as"),
        ("a-0-0 ok 0 0 0 1 1.5 X a", "expected 5 whole numbers"),
        ("a-0-0 ok 0 0 0 1 1 X a\tb", r"expected a transcript without control characters, got 'a\\tb'"),
        ("a-0-0 ok 0 0 0 1 1 X a\u2028b", r"expected a transcript without control characters, got 'a\\u2028b'"),
    ],
)
def test_a_line_that_is_no_word_is_named(tmp_path: Path, line: str, expected: str) -> None:
    (tmp_path / "words.txt").write_text(f"# comment\nb-0-0 ok 0 0 0 1 1 X good\n{line}\n")
    with pytest.raises(BadInput, match=rf"words\.txt, line 3: {expected}") as caught:
        read_words(tmp_path / "words.txt")
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=80)
@given(lines=st.lists(st.text(max_size=60), max_size=4))
def test_any_text_is_words_or_one_line(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("iam") / "words.txt"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    try:
        words = read_words(path)
    except BadInput as error:
        assert "\n" not in str(error) and str(path) in str(error)
    else:
        assert all(word.text and word.id.count("-") >= 2 for word in words)


@settings(deadline=None, max_examples=50)
@given(text=st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=12))
@example("a\u00a0b\u00adc\u200cd")
def test_a_transcript_comes_out_as_it_was_written_and_may_be_handed_in(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path, text = tmp_path_factory.mktemp("iam") / "words.txt", text.strip() or "a"
    path.write_text(f"a-0-0 ok 0 0 0 1 1 X {text}\n", encoding="utf-8")
    assert [word.text for word in read_words(path)] == [text]
    check_frame(pd.DataFrame({"id": ["1"], "text": [text]}), HANDWRITING, ["1"], [], "x.csv")


@pytest.mark.parametrize("content", [b"", b"# only a comment\n", b"a-0-0 err 0 0 0 1 1 X a\n", b"\xff\xfe"])
def test_a_table_without_a_word_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "words.txt").write_bytes(content)
    with pytest.raises(BadInput, match=r"words\.txt"):
        read(tmp_path)


def test_an_absent_table_and_absent_pictures_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"words\.txt is missing"):
        read(tmp_path)
    (tmp_path / "words.txt").write_text("a-0-0 ok 0 0 0 1 1 X a\n")
    with pytest.raises(BadInput, match=r"1 of 1 photos are named but absent"):
        read(tmp_path)


def test_test_pictures_are_matched_with_the_sample(tmp_path: Path) -> None:
    folder = make_words(tmp_path / "data")
    found = read(folder)
    assert found.test is not None and found.sample is not None
    assert found.test["id"].tolist() == found.sample["id"].tolist() == [f"t{i:02d}" for i in range(6)]
    assert len(found.train) == 60 and found.train["group"].nunique() == 6
    write(folder / "test" / "t99.png", draw("a", np.random.default_rng(0)))
    with pytest.raises(BadInput, match=r"1 missing"):
        read(folder)


def test_the_real_words_are_read(real_data: Path) -> None:
    folder = real_data / "handwriting"
    if not folder.is_dir():
        pytest.skip("no handwriting there")
    found = read(folder)
    assert len(found.train) > 3000 and found.train["group"].nunique() == 13
    assert found.test is not None and len(found.test) > 500
