"""Promise 2: decoded once, named by content, resumed after a kill, nothing written into the data folder."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

import comp.decode
import comp.images
from comp.engine import ignore_events
from comp.engines.inline import InlineEngine
from comp.errors import Refused
from comp.images import ABSENT, FileIndex, ImageStore, PixelSpec, cache_images, decode_chunk, unread

SPEC = PixelSpec(24)
SMALL = PixelSpec(8, channels=1, resize="pad")


@pytest.fixture
def photos(tmp_path: Path, random: np.random.Generator) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for i in range(20):
        cv2.imwrite(str(folder / f"{i:02d}.png"), random.integers(0, 255, (30, 30, 3), dtype=np.uint8))
    (folder / "broken.jpg").write_bytes(b"no photo")
    return folder


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how many files are decoded."""
    calls: list[int] = []
    real = comp.decode.decode
    monkeypatch.setattr("comp.decode.decode", lambda data: (calls.append(len(data)), real(data))[1])
    monkeypatch.setattr(comp.images, "CHUNK", 6)
    return calls


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def cached(folder: Path, paths: list[str], *specs: PixelSpec):  # type: ignore[no-untyped-def]
    return cache_images(folder, paths, specs or (SPEC,), InlineEngine(), ignore_events, folder.parent / "cache")


def test_each_file_is_decoded_once_for_all_kinds(photos: Path, decoded: list[int]) -> None:
    facts = cached(photos, names(photos), SPEC, SMALL)
    assert len(decoded) == 21
    assert [f.unreadable for f in facts[:20]] == [""] * 20 and facts[20].unreadable == "not an image"
    store = ImageStore(SPEC, photos.parent / "cache")
    pixels = store.gather([facts[3].sha, facts[19].sha, facts[3].sha])
    assert pixels.shape == (3, 24, 24, 3) and (pixels[0] == pixels[2]).all() and (pixels[0] != pixels[1]).any()
    assert ImageStore(SMALL, photos.parent / "cache").gather([facts[0].sha]).shape == (1, 8, 8, 1)
    cached(photos, names(photos), SPEC, SMALL)
    assert len(decoded) == 21


def with_side(data: bytes, side: int) -> bytes:
    """Return a JPEG or PNG whose header tells of another side, as a corrupt one may."""
    if data.startswith(b"\xff\xd8"):
        at = data.index(b"\xff\xc0") + 5
        return data[:at] + struct.pack(">HH", side, side) + data[at + 4 :]
    header = data[12:16] + struct.pack(">II", side, side) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


@pytest.mark.parametrize("side", [16_000, 30_000, 40_000])
@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_header_of_absurd_sides_costs_only_its_own_photo(photos: Path, ending: str, side: int) -> None:
    small = cv2.imencode(ending, np.full((8, 8, 3), 99, np.uint8))[1].tobytes()
    (photos / f"absurd{ending}").write_bytes(with_side(small, side))
    facts = dict(zip(names(photos), cached(photos, names(photos)), strict=True))
    bad = {name: known.unreadable for name, known in facts.items() if known.unreadable}
    assert bad == {f"absurd{ending}": "a header of more than 200 megapixels", "broken.jpg": "not an image"}
    store = ImageStore(SPEC, photos.parent / "cache")
    assert store.gather([facts[name].sha for name in sorted(facts.keys() - bad.keys())]).shape == (20, 24, 24, 3)


def test_pixels_are_those_of_the_file(photos: Path) -> None:
    sha = cached(photos, ["05.png"], PixelSpec(30))[0].sha
    original = cv2.imread(str(photos / "05.png"))[..., ::-1]
    assert (ImageStore(PixelSpec(30), photos.parent / "cache").gather([sha])[0] == original).all()


def test_nothing_is_written_into_the_data_folder(photos: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in photos.rglob("*")}
    photos.chmod(0o555)
    cached(photos, names(photos))
    assert {path: path.stat().st_mtime_ns for path in photos.rglob("*")} == before


def test_new_photos_cost_only_themselves(photos: Path, decoded: list[int], random: np.random.Generator) -> None:
    cached(photos, names(photos))
    decoded.clear()
    for i in range(3):
        cv2.imwrite(str(photos / f"new{i}.png"), random.integers(0, 255, (9, 9, 3), dtype=np.uint8))
    cached(photos, names(photos))
    assert len(decoded) == 3


def test_a_touched_file_is_hashed_but_not_decoded_and_a_moved_folder_too(photos: Path, decoded: list[int]) -> None:
    first = cached(photos, names(photos))
    decoded.clear()
    os.utime(photos / "03.png", (1, 1))
    moved = photos.parent / "elsewhere"
    shutil.copytree(photos, moved)
    assert cached(photos, names(photos)) == first
    assert cached(moved, names(moved)) == first
    assert decoded == []


def test_a_changed_file_is_decoded_again(photos: Path, decoded: list[int]) -> None:
    before = cached(photos, names(photos))
    decoded.clear()
    cv2.imwrite(str(photos / "00.png"), np.zeros((30, 30, 3), np.uint8))
    after = cached(photos, names(photos))
    assert len(decoded) == 1 and after[0].sha != before[0].sha and after[1:] == before[1:]


def test_what_a_killed_run_had_read_is_not_read_again(photos: Path, decoded: list[int]) -> None:
    cache, paths = photos.parent / "cache", names(photos)
    decode_chunk(lambda kind, value: None, str(photos), paths[:6], [[24, 3, "squash"]], str(cache))
    index = FileIndex(photos, cache, [ImageStore(SPEC, cache)])
    assert unread(index, paths, [ImageStore(SPEC, cache)]) == paths[6:]
    decoded.clear()
    cached(photos, paths)
    assert len(decoded) == 15


def test_absent_files_are_absent_not_errors(photos: Path) -> None:
    facts = cached(photos, ["00.png", "nowhere.png"])
    assert facts[1] == ABSENT and not facts[0].unreadable


def test_a_file_may_be_named_from_the_root(photos: Path) -> None:
    """As a CSV of new photos names them, which lies in another folder."""
    (elsewhere := photos.parent / "elsewhere").mkdir()
    (found,) = cached(elsewhere, [str(photos / "00.png")])
    assert found != ABSENT and not found.unreadable


def test_equal_content_is_stored_once(photos: Path) -> None:
    shutil.copy(photos / "00.png", photos / "copy.png")
    facts = cached(photos, ["00.png", "copy.png"])
    assert facts[0] == facts[1]
    assert len(ImageStore(SPEC, photos.parent / "cache").facts) == 1


def test_the_order_of_files_and_engines_changes_no_pixel(photos: Path) -> None:
    from comp.engines.local import LocalEngine

    paths = names(photos)[:-1]
    ours = cached(photos, paths)
    other = photos.parent / "other"
    theirs = cache_images(photos, paths[::-1], (SPEC,), LocalEngine(2), ignore_events, other)
    assert [f.sha for f in theirs[::-1]] == [f.sha for f in ours]
    shas = [f.sha for f in ours]
    assert (ImageStore(SPEC, photos.parent / "cache").gather(shas) == ImageStore(SPEC, other).gather(shas)).all()


def test_pixels_of_another_size_than_written_are_refused(photos: Path) -> None:
    cached(photos, names(photos))
    pixels = next((photos.parent / "cache").rglob("rows.npy"))
    pixels.write_bytes(pixels.read_bytes()[:-10])
    with pytest.raises(Refused, match=r"rows\.npy was changed"):
        ImageStore(SPEC, photos.parent / "cache")
