"""The layout of the IAM words: lines of words.txt become rows, the rest of a line after its tag is the transcript.

    words.txt                              AAA-BB-CC ok 154 408 768 27 51 AT transcript        # begins a comment
    words/AAA/AAA-BB/AAA-BB-CC.png         AAA-BB-CC-DD where lines and words are numbered apart
    forms.txt                              AAA-BB and its writer; may be absent
    test/ID.png, sample_submission.csv     both may be absent

Words whose segmentation is marked `err` are left out and counted. GROUP=page keeps the forms of one AAA together, GROUP=writer
those of one writer, where forms.txt tells it.

Source: Marti and Bunke, "The IAM-database" (IJDAR 5, 2002); words.txt of its release 3.0 describes the fields.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePath

import pandas as pd

from comp.errors import BadInput
from comp.layouts.class_folders import path_below, photos_in
from comp.spec import Competition
from comp.tables import Tables, odd_character, read_csv, shown

FORMS = "forms.txt"
GROUPS = ("page", "writer")
_FIELDS = "id, ok or err, grey level, x, y, width, height, tag, transcript"
_ID = re.compile(r"[^\s/\\-]+(-[^\s/\\-]+){2,}")


@dataclass(frozen=True)
class Word:
    """One line of words.txt."""

    id: str
    is_ok: bool
    text: str

    @property
    def page(self) -> str:
        """Return the first part of the id."""
        return self.id.split("-")[0]

    @property
    def form(self) -> str:
        """Return the first two parts of the id."""
        return "-".join(self.id.split("-")[:2])

    @property
    def path(self) -> str:
        """Return where its picture lies below the data folder's words/."""
        return f"{self.page}/{self.form}/{self.id}.png"


def read(competition: Competition, data_dir: Path) -> Tables:
    """Return a row for each well-segmented word, in the order of words.txt, and one for each test picture.

    Raises:
        BadInput: If words.txt is absent, holds no word, or a line of it is none (named by its number), or the group is neither
            page nor writer.
    """
    words = read_words(data_dir / competition.train_table)
    good = [word for word in words if word.is_ok]
    if not good:
        raise BadInput(
            f"{data_dir / competition.train_table}: none of its {len(words)} words is marked ok; check DATA="
        )
    rows = {
        "id": [word.id for word in good],
        "path": [f"{competition.train_folder}/{word.path}" for word in good],
        "label": [word.text for word in good],
    }
    notes = [f"{len(words) - len(good):,} words marked err are left out"] if len(good) < len(words) else []
    if competition.group_column is not None:
        rows["group"], told = _groups(competition.group_column, good, data_dir)
        notes += told
    test, sample, unused = _read_test(competition, data_dir)
    return Tables(competition, data_dir, pd.DataFrame(rows, dtype="str"), test, sample, notes=(*notes, *unused))


def read_words(path: Path) -> list[Word]:
    """Return the words of a words.txt, those marked err too.

    Raises:
        BadInput: If it is absent, no UTF-8 text, or a line is no word; the first such line is named by its number.
    """
    return [_word(line, f"{path}, line {number}") for number, line in _lines(path)]


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise BadInput(f"table {path.name} is missing in {path.parent}: expected it there; check DATA=") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text ({error.reason}, byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}; expected a text file") from error
    # not splitlines(), which breaks a line at characters that may stand in a transcript
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), start=1)]
    return [(number, line) for number, line in lines if line.strip() and not line.startswith("#")]


def _word(line: str, where: str) -> Word:
    fields = line.split(" ", 8)
    if len(fields) < 9 or not fields[8].strip():
        raise BadInput(f"{where}: expected 9 fields ({_FIELDS}), got {shown([line[:60]])}; is the file whole?")
    name, status, *numbers, _tag, text = fields
    if not _ID.fullmatch(name):
        raise BadInput(f"{where}: expected an id such as a01-000u-00-00, got {shown([name])}")
    if status not in ("ok", "err"):
        raise BadInput(f"{where}: expected ok or err after the id, got {shown([status])}")
    if not all(re.fullmatch(r"-?[0-9]+", number) for number in numbers):
        raise BadInput(f"{where}: expected 5 whole numbers after {status}, got {shown([' '.join(numbers)])}")
    if odd_character(text.strip()):
        raise BadInput(f"{where}: expected a transcript without control characters, got {shown([text.strip()[:60]])}")
    return Word(name, status == "ok", text.strip())


def _groups(column: str, words: list[Word], data_dir: Path) -> tuple[list[str], list[str]]:
    """Return the group of each word, and a line for the person where it is not what was asked for."""
    if column not in GROUPS:
        raise BadInput(f"GROUP={column}: layout iam_words has {' and '.join(GROUPS)}; name one of them")
    if column == "page":
        return [word.page for word in words], []
    if not (data_dir / FORMS).is_file():
        return [word.page for word in words], [
            f"{FORMS} is absent, so writers are not known: rows of one page stay together"
        ]
    writers = _writers(data_dir / FORMS)
    unknown = [word.form for word in words if word.form not in writers]
    if unknown:
        raise BadInput(
            f"{data_dir / FORMS}: no line for form {shown(unknown)}; expected the writer of each form, or GROUP=page"
        )
    return [writers[word.form] for word in words], []


def _writers(path: Path) -> dict[str, str]:
    writers = {}
    for number, line in _lines(path):
        fields = line.split()
        if len(fields) < 2:
            raise BadInput(f"{path}, line {number}: expected a form and its writer, got {shown([line[:60]])}")
        writers[fields[0]] = fields[1]
    return writers


def _read_test(
    competition: Competition, data_dir: Path
) -> tuple[pd.DataFrame | None, pd.DataFrame | None, tuple[str, ...]]:
    """Return the test table, the sample submission and notes."""
    test_dir, sample_path = data_dir / competition.test_folder, data_dir / competition.sample_submission
    names = photos_in(test_dir)
    if not names:
        unused = f"{sample_path.name} is not used: {competition.test_folder}/ holds no photos that it could be for"
        return None, None, (unused,) if sample_path.is_file() else ()
    rows = {"id": [PurePath(name).stem for name in names], "path": [path_below(data_dir, test_dir / n) for n in names]}
    return pd.DataFrame(rows, dtype="str"), read_csv(sample_path) if sample_path.is_file() else None, ()
