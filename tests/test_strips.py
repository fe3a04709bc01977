"""Promises of the cache of strips and its batches: each as wide as it is, each row once an epoch, no row changed by its neighbours."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comp.augment import image_seeds, policy
from comp.chunks import ChunkStore
from comp.decode import WIDEST, bring_to_height
from comp.engine import ignore_events
from comp.engines.inline import InlineEngine
from comp.errors import BadInput, Refused
from comp.images import PhotoFacts, PixelSpec, cache_images
from comp.spec import INK_SYMMETRIES
from comp.strips import StripStore
from folds.strips import STEP, StripBatches, StripInputs, frames_needed, in_widths, on_white, padded
from tests.words import draw, write

SPEC = PixelSpec(16, 1, "height")
SIZES = [(16, 40), (32, 40), (24, 7), (16, 300), (8, 8), (16, 1)]


@pytest.fixture
def photos(in_folder: Path) -> list[str]:
    random = np.random.default_rng(3)
    for i, (height, width) in enumerate(SIZES):
        write(in_folder / "data" / f"{i}.png", random.integers(0, 256, (height, width)).astype(np.uint8))
    (in_folder / "data" / "bad.png").write_bytes(b"no picture")
    return [*(f"{i}.png" for i in range(len(SIZES))), "bad.png"]


def cached(photos: list[str], *specs: PixelSpec) -> list[PhotoFacts]:
    return cache_images(Path("data"), photos, specs or [SPEC], InlineEngine(), ignore_events, Path("cache"))


def inputs_of(photos: list[str], strength: float = 0.0) -> tuple[StripInputs, list[str]]:
    facts = cached(photos)
    return StripInputs(StripStore(SPEC), policy(strength, INK_SYMMETRIES)), [f.sha for f in facts if not f.unreadable]


def test_strips_come_back_as_they_were_and_in_the_order_asked(photos: list[str]) -> None:
    facts = cached(photos)
    assert [bool(one.unreadable) for one in facts] == [False] * len(SIZES) + [True]
    store, shas = StripStore(SPEC), [one.sha for one in facts[:-1]]
    expected = [bring_to_height(cv2.imread(f"data/{name}"), 16, 1) for name in photos[:-1]]
    for found, want in zip(store.strips(shas[::-1]), expected[::-1], strict=True):
        assert found.shape == want.shape and (found == want).all() and not found.flags.writeable
    assert store.widths(shas).tolist() == [40, 20, 5, 300, 16, 1]
    assert store.widths([facts[-1].sha]).tolist() == [0]


def test_nothing_is_stored_of_padding(photos: list[str]) -> None:
    facts = cached(photos)
    (rows,) = Path("cache/images").glob("height-16px-1ch-*/[!.]*/rows.npy")
    assert np.load(rows, mmap_mode="r").shape == (sum(StripStore(SPEC).widths([f.sha for f in facts])), 16, 1)


def test_ten_new_strips_cost_ten_and_a_second_reading_none(photos: list[str]) -> None:
    before = cached(photos[:2])
    chunks = set(Path("cache/images").glob("height-*/*"))
    assert cached(photos)[:2] == before and cached(photos)[:2] == before
    assert len(set(Path("cache/images").glob("height-*/*")) - chunks) == 1
    shas = [one.sha for one in cached(photos)]
    assert StripStore(SPEC).widths(shas).tolist() == [40, 20, 5, 300, 16, 1, 0]


def test_strips_beside_squares_are_read_once(photos: list[str]) -> None:
    cached(photos, SPEC, PixelSpec(8, 1))
    assert len(ChunkStore(Path("cache/images") / PixelSpec(8, 1).key).markers) == len(StripStore(SPEC).markers) == 1


def test_strips_have_no_common_width(photos: list[str]) -> None:
    shas = [one.sha for one in cached(photos)]
    with pytest.raises(Refused, match="no common width"):
        StripStore(SPEC).gather(shas)
    with pytest.raises(Refused, match="is not stored"):
        StripStore(SPEC).strips(["0" * 64])


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(1, 60), width=st.integers(1, 3000), wanted=st.integers(8, 48), channels=st.sampled_from([1, 3])
)
def test_any_picture_becomes_a_strip_of_that_height(height: int, width: int, wanted: int, channels: int) -> None:
    strip = bring_to_height(np.full((height, width, 3), 7, np.uint8), wanted, channels)
    expected = min(max(1, round(width * wanted / height)), WIDEST * wanted)
    assert strip.shape == (wanted, expected, channels) and (strip == 7).all()


def test_paper_is_white_whatever_it_was() -> None:
    word = draw("toll", np.random.default_rng(0))[:, :, None]
    found, negative = on_white(word), on_white(255 - word)
    assert np.median(found) == np.median(negative) == 255
    assert found.min() < 80 and negative.min() < 80
    assert (on_white(found) == found).all()


def test_padding_is_white_and_to_the_right() -> None:
    strips = [np.full((16, width, 1), 9, np.uint8) for width in (5, 33)]
    taken, widths = padded(strips)
    assert taken.shape == (2, 16, 5 * STEP, 1) and widths.tolist() == [5, 33]
    assert (taken[0, :, :5] == 9).all() and (taken[0, :, 5:] == 255).all() and (taken[1, :, :33] == 9).all()
    assert padded(strips, [70, 1])[1].tolist() == [70, 33]


def test_an_epoch_has_each_row_once_and_depends_on_nothing_else(photos: list[str]) -> None:
    inputs, shas = inputs_of(photos, strength=0.5)
    shas = shas * 3
    labels = np.arange(1, len(shas) + 1, dtype=np.int32)[:, None]
    batches = StripBatches(inputs, shas, labels, batch_size=4, seed=1, stride=4)
    epochs = []
    for epoch in (0, 1, 0):
        batches.start_epoch(epoch)
        found = [batches[i] for i in range(len(batches))]
        assert sorted(int(one) for _, told in found for one in told[:, 0]) == labels[:, 0].tolist()
        assert all(taken.shape[2] % STEP == 0 and (widths <= taken.shape[2]).all() for (taken, widths), _ in found)
        epochs.append([taken.tobytes() for (taken, _), _ in found])
    assert epochs[0] == epochs[2] != epochs[1]
    fresh = StripBatches(inputs, shas, labels, batch_size=4, seed=1, stride=4)
    fresh.start_epoch(1)
    assert fresh[2][0][0].tobytes() == epochs[1][2]


def test_neighbours_in_a_batch_are_about_as_wide(photos: list[str]) -> None:
    inputs, shas = inputs_of(photos)
    batches = StripBatches(inputs, shas * 8, np.ones((8 * len(shas), 1), np.int32), batch_size=8, seed=1, stride=4)
    widths = [batches[i][0][1] for i in range(len(batches))]
    assert sum(np.ptp(one) == 0 for one in widths) >= len(widths) / 2


def test_a_row_with_more_letters_than_frames_gets_more_paper(photos: list[str]) -> None:
    inputs, shas = inputs_of(photos)
    labels = np.array([[1, 1, 2, 2, 2, 0]], np.int32)
    assert frames_needed(labels).tolist() == [8]
    batches = StripBatches(inputs, shas[-1:], labels, batch_size=1, seed=0, stride=4)
    assert batches[0][0][1].tolist() == [32]


@settings(deadline=None, max_examples=60)
@given(widths=st.lists(st.integers(1, 200), min_size=1, max_size=40), size=st.integers(1, 7))
def test_rows_to_predict_come_once_and_with_their_like(widths: list[int], size: int) -> None:
    given_widths = np.array(widths)
    parts = list(in_widths(given_widths, size))
    assert sorted(row for part in parts for row in part.tolist()) == list(range(len(widths)))
    assert all(len(part) <= size and np.ptp(-(-given_widths[part] // STEP)) == 0 for part in parts)


def ink(symmetries: set[str], strength: float = 1.0, n: int = 12) -> tuple[list[np.ndarray], list[np.ndarray]]:
    random = np.random.default_rng(5)
    strips = [draw("total", random)[:, :, None] for _ in range(n)]
    return strips, policy(strength, frozenset(symmetries)).apply_to_ink(strips, image_seeds(1, 0, np.arange(n)))  # type: ignore[arg-type]


@pytest.mark.parametrize("symmetries", [set(), {"flip"}, set(INK_SYMMETRIES)])
def test_strength_zero_is_the_very_same_strip(symmetries: set[str]) -> None:
    strips, found = ink(symmetries, 0.0)
    assert all(one is other for one, other in zip(strips, found, strict=True))


@pytest.mark.parametrize("symmetry", sorted(INK_SYMMETRIES))
def test_each_change_of_ink_happens_and_the_height_stays(symmetry: str) -> None:
    strips, found = ink({symmetry})
    assert sum(a.shape != b.shape or (a != b).any() for a, b in zip(strips, found, strict=True)) >= 3
    assert {strip.shape[0] for strip in found} == {24} and {strip.dtype for strip in found} == {np.dtype(np.uint8)}
    assert all(strip.min() < 150 < np.median(strip) for strip in found)  # ink stays ink on paper
    if symmetry in ("stroke", "noise"):
        assert [strip.shape for strip in found] == [strip.shape for strip in strips]


def test_a_strip_is_changed_by_its_seed_alone() -> None:
    strips, found = ink(set(INK_SYMMETRIES))
    alone = policy(1.0, INK_SYMMETRIES).apply_to_ink([strips[3].copy()], image_seeds(1, 0, np.array([3])))[0]
    assert (alone == found[3]).all()
    assert len({one.tobytes() for one in found}) == len(found)


def test_seeds_that_are_too_few_are_refused() -> None:
    with pytest.raises(BadInput, match="seeds of 2 images"):
        policy(1.0, INK_SYMMETRIES).apply_to_ink([np.zeros((4, 4, 1), np.uint8)] * 2, np.arange(1))
