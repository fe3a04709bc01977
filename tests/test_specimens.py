"""The drawn sample keeps what it promises: the same bytes, the layout of Rare Species, odd files, twins, no leak."""

from __future__ import annotations

import uuid
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import f1_score

from comp.decode import Photo, Unreadable, bring_to_size, decode
from comp.samples import specimens
from comp.samples._families import FAMILIES
from comp.twins import find_twins
from tests.once import Once

SPECIMENS = specimens.list_specimens()
TWINS = [specimen for specimen in SPECIMENS if specimen.twin_of is not None]
KINDS = sorted({specimen.kind for specimen in SPECIMENS})
BROKEN = ("cut short", "garbage")
FAMILY_NAMES = {family.name for family in FAMILIES}


@pytest.fixture(scope="session")
def drawn(once: Once) -> Path:
    """Return the sample, drawn once for all workers of this session."""
    return once("drawn specimens", specimens.draw)


@pytest.fixture(scope="session")
def rows(drawn: Path) -> pd.DataFrame:
    """Return train and test rows in the order of SPECIMENS; the family of a test row is missing."""
    return pd.concat([read(drawn / "data" / "metadata.csv"), read(drawn / "data" / "test.csv")], ignore_index=True)


@pytest.fixture(scope="session")
def photos(drawn: Path, rows: pd.DataFrame) -> dict[int, Photo]:
    """Return what can be decoded, by number."""
    files = (drawn / "data" / path for path in rows["file_path"])
    found = {index: readable(file.read_bytes()) for index, file in enumerate(files)}
    return {index: photo for index, photo in found.items() if photo is not None}


@pytest.fixture(scope="session")
def thumbnails(photos: dict[int, Photo]) -> np.ndarray:
    """Return (N, 32, 32) of the train photos that can be decoded."""
    train = [photo for index, photo in photos.items() if SPECIMENS[index].is_train]
    return np.stack([bring_to_size(photo.pixels, 32, 1, "squash")[..., 0] for photo in train])


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def readable(data: bytes) -> Photo | None:
    try:
        return decode(data)
    except Unreadable:
        return None


def test_the_same_bytes_come_out_again_of_each_photo_alone(drawn: Path, rows: pd.DataFrame) -> None:
    some = [*SPECIMENS[::40], *TWINS, *(next(s for s in SPECIMENS if s.kind == kind) for kind in KINDS)]
    for specimen in reversed(some):
        file = drawn / "data" / rows["file_path"][specimen.index]
        assert specimens.photo(specimen) == file.read_bytes(), file


def test_a_drawing_that_is_cut_off_leaves_no_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "data" / ".drawn"
    marker.parent.mkdir()
    marker.write_text("an older drawing")
    left = iter([b"a photo"])
    monkeypatch.setattr(specimens, "photo", lambda _: next(left))
    with pytest.raises(StopIteration):
        specimens.draw(tmp_path)
    assert not marker.exists()


def test_the_marker_holds_the_version(drawn: Path) -> None:
    assert (drawn / "data" / ".drawn").read_text() == specimens.VERSION


def test_tables_have_the_columns_of_rare_species(drawn: Path) -> None:
    files = ("data/metadata.csv", "data/test.csv", "data/sample_submission.csv", "answers.csv")
    assert [(drawn / file).read_text().splitlines()[0] for file in files] == [
        "rare_species_id,eol_content_id,eol_page_id,kingdom,phylum,family,file_path",
        "rare_species_id,kingdom,phylum,file_path",
        "rare_species_id,family",
        "rare_species_id,family",
    ]


def test_counts_are_about_1200_and_300_and_unbalanced(rows: pd.DataFrame) -> None:
    counts = rows["family"].value_counts()
    assert 1150 <= counts.sum() <= 1300
    assert 280 <= rows["family"].isna().sum() <= 330
    assert counts.min() >= 15  # three a fold
    assert counts.max() >= 4 * counts.min()


def test_each_family_is_of_one_phylum_and_each_phylum_has_some(rows: pd.DataFrame) -> None:
    train = rows.dropna(subset="family")
    assert (train.groupby("family")["phylum"].nunique() == 1).all()
    families = train.groupby("phylum")["family"].nunique()
    assert len(families) >= 4
    assert families.between(3, 6).all()


def test_each_species_is_of_one_family_and_each_family_has_one_to_four(rows: pd.DataFrame) -> None:
    train = rows.dropna(subset="family")
    assert (train.groupby("eol_page_id")["family"].nunique() == 1).all()
    assert train.groupby("family")["eol_page_id"].nunique().between(1, 4).all()


def test_ids_are_unique_and_look_like_uuids(rows: pd.DataFrame) -> None:
    assert rows["rare_species_id"].is_unique
    assert all(str(uuid.UUID(name)) == name for name in rows["rare_species_id"])


def test_tables_name_every_photo_and_no_other(drawn: Path, rows: pd.DataFrame) -> None:
    files = {file.relative_to(drawn).as_posix() for file in drawn.rglob("*") if file.is_file()}
    tables = {"answers.csv", "data/metadata.csv", "data/test.csv", "data/sample_submission.csv", "data/.drawn"}
    assert files == tables | {f"data/{path}" for path in rows["file_path"]}


def test_answers_cover_exactly_the_test_rows_and_lie_apart(drawn: Path) -> None:
    answers, test = read(drawn / "answers.csv"), read(drawn / "data" / "test.csv")
    assert answers["rare_species_id"].tolist() == test["rare_species_id"].tolist()
    assert set(answers["family"]) == FAMILY_NAMES
    phylum = {family.name: family.phylum for family in FAMILIES}
    assert answers["family"].map(phylum).tolist() == test["phylum"].tolist()


def test_nothing_of_a_test_row_tells_its_family(drawn: Path) -> None:
    test = (drawn / "data" / "test.csv").read_text()
    assert not [name for name in FAMILY_NAMES if name in test]
    assert read(drawn / "data" / "sample_submission.csv")["family"].nunique() == 1


def test_test_photos_are_divided_like_train_photos(drawn: Path) -> None:
    train = read(drawn / "data" / "metadata.csv")["family"].value_counts(normalize=True)
    test = read(drawn / "answers.csv")["family"].value_counts(normalize=True)
    assert (train - test).abs().max() < 0.01


def test_exactly_one_file_a_part_cannot_be_read(photos: dict[int, Photo]) -> None:
    unreadable = [specimen for specimen in SPECIMENS if specimen.index not in photos]
    assert Counter((specimen.kind, specimen.is_train) for specimen in unreadable) == {
        ("garbage", True): 1,
        ("cut short", False): 1,
    }


@pytest.mark.parametrize("kind", BROKEN)
def test_opencv_reads_nothing_of_a_broken_file(kind: str) -> None:
    broken = next(specimen for specimen in SPECIMENS if specimen.kind == kind)
    assert cv2.imdecode(np.frombuffer(specimens.photo(broken), np.uint8), cv2.IMREAD_COLOR) is None


def test_sides_are_48_to_160_pixels_and_hardly_two_photos_are_of_one_size(photos: dict[int, Photo]) -> None:
    sizes = [photo.pixels.shape[:2] for photo in photos.values()]
    assert 48 <= np.min(sizes) < 60
    assert 150 < np.max(sizes) <= 160
    assert len(set(sizes)) > len(sizes) / 2


@pytest.mark.parametrize("is_train", [True, False])
def test_all_modes_occur_and_most_photos_are_rgb(photos: dict[int, Photo], is_train: bool) -> None:
    modes = Counter(photo.mode for index, photo in photos.items() if SPECIMENS[index].is_train == is_train)
    assert set(modes) == {"RGB", "L", "P", "RGBA", "I;16", "CMYK"}
    assert modes["RGB"] > 0.85 * modes.total()


@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(BROKEN)))
def test_each_kind_decodes_upright_to_what_was_drawn(photos: dict[int, Photo], kind: str) -> None:
    specimen = next(s for s in SPECIMENS if s.kind == kind and s.twin_of is None)
    pixels, alpha = specimens.picture(specimen, specimens._stream(specimens._SCENE, specimen.index))
    if kind == "alpha":
        pixels = np.rint(255 + (pixels - 255.0) * (alpha[..., None] / 255)).astype(np.uint8)
    if kind in ("grey", "16 bit"):
        pixels = np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    assert photos[specimen.index].pixels.shape == pixels.shape
    assert np.abs(photos[specimen.index].pixels.astype(float) - pixels).mean() < 12


def test_twins_are_found_and_nothing_else_is_one(photos: dict[int, Photo], thumbnails: np.ndarray) -> None:
    numbers = [index for index in photos if SPECIMENS[index].is_train]
    found = find_twins(thumbnails, [SPECIMENS[index].family.name for index in numbers])
    pairs = {(numbers[i], numbers[j]) for i, j in found.pairs}
    assert pairs == {(twin.twin_of, twin.index) for twin in TWINS}
    assert len(pairs) >= 6
    assert not found.across


def test_twins_are_the_same_animal_in_other_bytes(rows: pd.DataFrame) -> None:
    for twin in TWINS:
        original = SPECIMENS[twin.twin_of or 0]
        assert rows["eol_page_id"][twin.index] == rows["eol_page_id"][original.index]
        assert specimens.photo(twin) != specimens.photo(original)


def test_a_family_is_learnable_but_colours_and_sizes_do_not_give_it_away(photos: dict[int, Photo]) -> None:
    used = [SPECIMENS[index] for index in photos]
    family = np.array([specimen.family.name for specimen in used])
    is_train = np.array([specimen.is_train for specimen in used])
    colours = np.array([[*histogram(photo.pixels), *photo.pixels.shape[:2]] for photo in photos.values()])
    forest = ExtraTreesClassifier(100, random_state=0).fit(colours[is_train], family[is_train])
    score = f1_score(family[~is_train], forest.predict(colours[~is_train]), average="macro", zero_division=0)
    assert 2 / len(FAMILIES) < score < 0.5


def histogram(pixels: np.ndarray) -> np.ndarray:
    """Return 96 shares: how often each eighth of hue meets each of 3 saturations and 4 brightnesses."""
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, [8, 3, 4], [0, 180, 0, 256, 0, 256])
    return counts.ravel() / counts.sum()
