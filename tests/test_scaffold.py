"""Promises of comp.scaffold: a folder is understood or refused in one line, and the file written for it works."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from comp.errors import BadInput
from comp.registry import load_competition
from comp.scaffold import Finding, describe, slug, write_competition
from comp.spec import PHOTO_SYMMETRIES, Competition
from comp.tables import find_data_dir, read_tables

REAL = Path(__file__).parents[1] / os.environ.get("REAL_DATA", "../shared/data")
needs_real = pytest.mark.skipif(not (REAL / "animal-families").is_dir(), reason="REAL_DATA names no real photos")


def draw(path: Path, side: int = 40, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name)).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(path)


def write_csv(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def class_folders(folder: Path, top: str = "train", side: int = 40, mode: str = "RGB") -> Path:
    for label in ("cat", "dog"):
        for n in range(6):
            draw(folder / top / label / f"{n}.png", side, mode)
    return folder


def table(folder: Path, has_test: bool = True) -> Path:
    """Lay out 12 photos in a CSV: four breeds of two kinds, and columns that say nothing."""
    breeds = [("tabby", "cat"), ("siam", "cat"), ("beagle", "dog"), ("husky", "dog")]
    rows = [[f"r{n}", str(n), "one", str(n % 3), breeds[n % 4][1], breeds[n % 4][0], f"p/{n}.png"] for n in range(12)]
    header = ["row_id", "other_id", "world", "season", "kind", "breed", "file"]
    write_csv(folder / "metadata.csv", [header, *rows])
    for n in range(14):
        draw(folder / "p" / f"{n}.png")
    if has_test:
        tests = [[f"r{n}", "one", "0", "cat", f"p/{n}.png"] for n in (12, 13)]
        write_csv(folder / "test.csv", [["row_id", "world", "season", "kind", "file"], *tests])
        write_csv(folder / "sample_submission.csv", [["row_id", "breed"], ["r12", "tabby"], ["r13", "tabby"]])
    return folder


def facts(finding: Finding, *names: str) -> tuple[object, ...]:
    return tuple(getattr(finding.competition, name) for name in names)


def test_class_folders_are_understood(tmp_path: Path) -> None:
    finding = describe(class_folders(tmp_path))
    assert facts(finding, "layout", "train_folder", "id_column", "target_column") == (
        "class_folders",
        "train",
        "id",
        "label",
    )
    assert "12 train photos in 2 classes, no test set" in finding.lines[0]


@pytest.mark.parametrize("top", [".", "training", "Train"])
def test_class_folders_may_lie_elsewhere(tmp_path: Path, top: str) -> None:
    finding = describe(class_folders(tmp_path, top))
    assert finding.competition.train_folder == ("" if top == "." else top)
    assert len(read_tables(finding.competition, tmp_path).train) == 12


def test_a_flat_test_folder_is_no_class_and_a_flat_train_folder_is_refused(tmp_path: Path) -> None:
    draw(class_folders(tmp_path, ".") / "test" / "0.png")
    assert "in 2 classes, 1 test photos" in describe(tmp_path).lines[0]
    draw(tmp_path / "train" / "0.png")
    assert "train/ holds photos itself and lies beside class folders" in refused(tmp_path)


def test_a_table_is_understood(tmp_path: Path) -> None:
    finding = describe(table(tmp_path))
    names = ("layout", "train_table", "id_column", "target_column", "path_column", "condition_column")
    assert facts(finding, *names) == ("table", "metadata.csv", "row_id", "breed", "file", "kind")
    assert "12 train photos in 4 classes, 2 test photos" in finding.lines[0]
    assert "not used: other_id, world, season" in "\n".join(finding.lines)


def test_a_table_alone_has_no_condition(tmp_path: Path) -> None:
    finding = describe(table(tmp_path, has_test=False))
    names = ("id_column", "target_column", "path_column", "condition_column")
    assert facts(finding, *names) == ("row_id", "breed", "file", None)


def test_without_a_sample_the_target_is_what_test_has_not(tmp_path: Path) -> None:
    table(tmp_path)
    (tmp_path / "sample_submission.csv").unlink()
    assert describe(tmp_path).competition.target_column == "breed"


def test_a_table_goes_before_class_folders(tmp_path: Path) -> None:
    class_folders(tmp_path, ".")
    rows = [[f"{label}/{n}.png", "ab"[n % 2]] for label in ("cat", "dog") for n in range(6)]
    write_csv(tmp_path / "labels.csv", [["file", "answer"], *rows])
    finding = describe(tmp_path)
    assert facts(finding, "layout", "id_column", "target_column") == ("table", "file", "answer")


def test_a_csv_without_photos_leaves_class_folders(tmp_path: Path) -> None:
    class_folders(tmp_path)
    write_csv(tmp_path / "classes.csv", [["class", "latin"], ["cat", "felis"], ["dog", "canis"]])
    finding = describe(tmp_path)
    assert finding.competition.layout == "class_folders"
    assert "not used: classes.csv" in "\n".join(finding.lines)


def with_sample(folder: Path, header: list[str], *answers: list[str]) -> Path:
    class_folders(folder)
    for n, _ in enumerate(answers):
        draw(folder / "test" / f"{n}.png")
    write_csv(folder / "sampleSubmission.csv", [header, *([str(n), *answer] for n, answer in enumerate(answers))])
    return folder


@pytest.mark.parametrize(
    ("header", "answer", "kind", "positive"),
    [
        (["image", "class"], ["cat"], "label", None),
        (["image", "cat"], ["0.5"], "probability", "cat"),
        (["image", "class"], ["0.5"], "probability", "dog"),
        (["image", "cat", "dog"], ["0.5", "0.5"], "probabilities", None),
    ],
)
def test_the_sample_tells_what_is_handed_in(
    tmp_path: Path, header: list[str], answer: list[str], kind: str, positive: str | None
) -> None:
    finding = describe(with_sample(tmp_path, header, answer, answer))
    names = ("id_column", "submission", "positive", "sample_submission")
    assert facts(finding, *names) == ("image", kind, positive, "sampleSubmission.csv")


def test_labels_that_are_numbers_are_labels(tmp_path: Path) -> None:
    with_sample(tmp_path, ["id", "label"], ["0"], ["0"])
    for number, label in enumerate(("cat", "dog")):
        (tmp_path / "train" / label).rename(tmp_path / "train" / str(number))
    assert describe(tmp_path).competition.submission == "label"


def test_a_guessed_positive_class_is_said_to_be_one(tmp_path: Path) -> None:
    finding = describe(with_sample(tmp_path, ["id", "label"], ["0.5"], ["0.5"]))
    assert "positive='dog' is a guess" in finding.lines[-1]


@pytest.mark.parametrize(
    ("side", "pixels"), [(28, 32), (40, 32), (72, 64), (100, 96), (144, 128), (192, 224), (450, 224)]
)
def test_pixels_are_near_those_of_the_photos(tmp_path: Path, side: int, pixels: int) -> None:
    assert describe(class_folders(tmp_path, side=side)).competition.pixels == pixels


@pytest.mark.parametrize(
    ("side", "mode", "expected"),
    [
        (28, "L", (1, PHOTO_SYMMETRIES - {"hue", "flip"}, False)),
        (200, "L", (1, PHOTO_SYMMETRIES - {"hue"}, True)),
        (28, "P", (3, PHOTO_SYMMETRIES, True)),
        (28, "1", (1, PHOTO_SYMMETRIES - {"hue", "flip"}, False)),
    ],
)
def test_small_grey_photos_are_never_mirrored(
    tmp_path: Path, side: int, mode: str, expected: tuple[object, ...]
) -> None:
    finding = describe(class_folders(tmp_path, side=side, mode=mode))
    assert facts(finding, "channels", "symmetries", "twins") == expected


def test_grey_stored_in_colour_is_grey(tmp_path: Path) -> None:
    for label in "ab":
        for n in range(3):
            draw(tmp_path / label / f"{n}.png", mode="L")
            Image.open(tmp_path / label / f"{n}.png").convert("RGB").save(tmp_path / label / f"{n}.png")
    assert describe(tmp_path).competition.channels == 1


def test_broken_photos_are_counted(tmp_path: Path) -> None:
    class_folders(tmp_path)
    (tmp_path / "train/cat/0.png").write_bytes(b"")
    assert "12 looked at, 1 of them unreadable" in "\n".join(describe(tmp_path).lines)


def refused(folder: Path) -> str:
    with pytest.raises(BadInput) as caught:
        describe(folder)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_what_is_no_competition_is_refused_with_what_was_seen(tmp_path: Path) -> None:
    assert "saw no folders" in refused(tmp_path)
    draw(tmp_path / "train" / "cat.1.png")
    assert "train (1 photos directly in it, such as cat.1.png)" in refused(tmp_path)
    write_csv(tmp_path / "facts.csv", [["a", "b"], ["1", "2"]])
    assert "facts.csv with columns a, b" in refused(tmp_path)
    assert "expected a folder" in refused(tmp_path / "facts.csv")


@pytest.mark.parametrize("written", ["cat.1", "cat.1.png", "train/cat.1"])
def test_parts_of_paths_are_not_supported_and_it_says_so(tmp_path: Path, written: str) -> None:
    draw(tmp_path / "train" / "cat.1.png")
    write_csv(tmp_path / "train.csv", [["name", "label"], [written, "x"]])
    line = refused(tmp_path)
    assert f"column 'name' names 1 photos only by a part of their path ({written} for train/cat.1.png)" in line


def test_photos_that_are_all_broken_are_refused(tmp_path: Path) -> None:
    for path in class_folders(tmp_path).rglob("*.png"):
        path.write_bytes(b"torn")
    assert "none of the 12 photos looked at can be opened" in refused(tmp_path)


def test_two_tables_that_name_photos_are_refused(tmp_path: Path) -> None:
    table(tmp_path)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes((tmp_path / "metadata.csv").read_bytes())
    assert describe(tmp_path).competition.train_table == "metadata.csv"
    (tmp_path / "metadata.csv").unlink()
    assert "cannot tell which is the train table: a.csv, b.csv" in refused(tmp_path)


@pytest.mark.parametrize(
    ("header", "said"),
    [(["x", "breed"], "expected the sample submission's column 'x'"), (["row_id"], "saw only row_id")],
)
def test_a_sample_that_fits_no_table_is_refused(tmp_path: Path, header: list[str], said: str) -> None:
    table(tmp_path)
    write_csv(tmp_path / "sample_submission.csv", [header, ["r12", "tabby"][: len(header)]])
    assert said in refused(tmp_path)


def test_a_table_without_ids_or_labels_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "1.png")
    draw(tmp_path / "2.png")
    write_csv(tmp_path / "train.csv", [["file", "x"], ["1.png", "a"], ["2.png", "b"]])
    assert "expected a column of labels" in refused(tmp_path)
    write_csv(tmp_path / "train.csv", [["file", "x"], ["1.png", "a"], ["1.png", "a"]])
    assert "expected a column of ids" in refused(tmp_path)


@pytest.mark.parametrize("make", [class_folders, table])
def test_the_file_that_is_written_works_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: object
) -> None:
    data_dir = tmp_path / 'Ein Ordner\'s "貓" \\ 1'
    data_dir.mkdir()
    make(data_dir)  # type: ignore[operator]
    monkeypatch.chdir(tmp_path)
    path = write_competition(Path(data_dir.name))
    assert str(path) == "ein_ordner_s_1.py"
    competition = load_competition(f"./{path}")
    assert competition == describe(data_dir).competition
    monkeypatch.chdir("/")
    assert read_tables(competition, find_data_dir(competition, None, Path("nowhere"))).data_dir == data_dir


def test_the_file_is_short_and_says_what_was_seen(tmp_path: Path) -> None:
    data_dir = tmp_path / "photos"
    data_dir.mkdir()
    text = write_competition(class_folders(data_dir), tmp_path / "mine.py").read_text()
    assert len(text.splitlines()) <= 28
    assert "# rows: 12 train photos in 2 classes" in text


def test_a_folder_that_is_code_stays_a_folder(tmp_path: Path) -> None:
    data_dir = tmp_path / "data\nimport no_such_module"
    (data_dir / "empty").mkdir(parents=True)
    path = write_competition(class_folders(data_dir, "."), tmp_path / "mine.py")
    assert load_competition(str(path)).folders == (str(data_dir),)


def test_names_that_are_code_stay_names(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    wild = '"""\n)\nimport no_such_module\n#'
    rows = [[f"{n}", f"{n % 2}\r{wild}", f"{n}.png"] for n in range(6)]
    write_csv(data_dir / "train.csv", [["id", wild, "file"], *rows])
    for n in range(6):
        draw(data_dir / f"{n}.png")
    path = write_competition(data_dir, tmp_path / 'a """ b.py')
    assert load_competition(str(path)).target_column == wild


def test_nothing_is_overwritten_and_nothing_goes_into_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = tmp_path / "photos"
    data_dir.mkdir()
    class_folders(data_dir)
    listed = sorted(data_dir.rglob("*"))
    monkeypatch.chdir(tmp_path)
    before = write_competition(data_dir).read_bytes()
    with pytest.raises(BadInput, match="is there already"):
        write_competition(data_dir)
    assert Path("photos.py").read_bytes() == before
    monkeypatch.chdir(data_dir)
    with pytest.raises(BadInput, match="never written into"):
        write_competition(Path())
    assert sorted(data_dir.rglob("*")) == listed


@pytest.mark.parametrize("out", ["mine.txt", "mine", "no_such_folder/mine.py"])
def test_a_file_that_could_not_be_used_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"expected a file ending with \.py"):
        write_competition(tmp_path, Path(out))


@pytest.mark.parametrize("name", ["random", "keras", "comp"])
def test_the_file_hides_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert str(write_competition(class_folders(tmp_path / name))) == f"{name}_competition.py"


@given(st.text() | st.text("ab _-1", min_size=40, max_size=60))
def test_a_slug_is_always_an_identifier(text: str) -> None:
    name = slug(text)
    assert name.isidentifier()
    assert name.isascii()
    assert name == name.lower()
    assert slug(name) == name


def test_a_slug_is_near_what_was_said() -> None:
    assert [slug(text) for text in ("Flowers 5", "Größe", "2024-leaves", "貓")] == [
        "flowers_5",
        "grosse",
        "data_2024_leaves",
        "competition",
    ]


def test_looking_at_a_folder_imports_no_keras(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from comp.scaffold import describe; describe(Path(sys.argv[1])); "
    code += "print({'keras', 'tensorflow', 'albumentations'} & set(sys.modules))"
    root, folder = Path(__file__).parents[1], str(class_folders(tmp_path))
    done = subprocess.run([sys.executable, "-c", code, folder], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@needs_real
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("animal-families", ("table", "rare_species_id", "family", "file_path", "phylum", 224, 3)),
        ("rare-species", ("table", "rare_species_id", "family", "file_path", None, 224, 3)),
        ("flowers", ("class_folders", "id", "label", None, None, 128, 3)),
    ],
)
def test_real_folders_are_understood(name: str, expected: tuple[object, ...]) -> None:
    finding = describe(REAL / name)
    columns = ("id_column", "target_column", "path_column", "condition_column")
    assert facts(finding, "layout", *columns, "pixels", "channels") == expected
    assert isinstance(finding.competition, Competition)


@needs_real
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cats-vs-dogs", "train (1,700 photos directly in it, such as cat.0.jpg)"),
        ("cifar-10", "column 'id' names 10,000 photos only by a part of their path (1 for train/1.jpg)"),
        ("handwriting", "words.txt"),
        ("mnist", "mnist.npz"),
    ],
)
def test_real_folders_that_are_no_layout_are_refused(name: str, said: str) -> None:
    assert said in refused(REAL / name)
