"""The one knob of augmentation: what a seed says, within the symmetries, and nothing else."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comp.augment import MAX_HOLES, image_seeds, policy
from comp.errors import BadInput
from comp.spec import PHOTO_SYMMETRIES

SIDE = 48
SEEDS = image_seeds(7, 0, np.arange(40))


def noise(n: int = 40, height: int = SIDE, width: int = SIDE, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Make images in which no two places look alike."""
    return np.random.default_rng(seed).integers(30, 220, (n, height, width, channels), dtype=np.uint8)


def polar() -> tuple[np.ndarray, np.ndarray]:
    """Return each pixel's distance from the middle and its angle, (SIDE, SIDE)."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return np.hypot(x, y), np.arctan2(y, x)


def only(name: str, images: np.ndarray, strength: float = 1.0) -> np.ndarray:
    return policy(strength, frozenset({name})).apply(images, SEEDS[: len(images)])


def forty(image: np.ndarray) -> np.ndarray:
    return np.repeat(image.astype(np.uint8)[None, :, :, None], 40, axis=0)


def n_changed(before: np.ndarray, after: np.ndarray) -> int:
    return int((before != after).any(axis=(1, 2, 3)).sum())


def apply_in_process(recipe: bytes) -> bytes:
    """Apply a pickled (policy, images, seeds) in a fresh interpreter and return the bytes that come out."""
    code = "import pickle,sys; p,i,s=pickle.load(sys.stdin.buffer); sys.stdout.buffer.write(p.apply(i,s).tobytes())"
    return subprocess.run([sys.executable, "-c", code], input=recipe, check=True, capture_output=True).stdout


def test_strength_zero_is_the_very_same_array() -> None:
    images = noise()
    assert policy(0.0, PHOTO_SYMMETRIES).apply(images, SEEDS) is images


def test_nothing_allowed_is_the_identity_at_any_strength() -> None:
    images = noise()
    assert policy(1.0, frozenset()).apply(images, SEEDS) is images


def test_the_identity_imports_neither_albumentations_nor_opencv() -> None:
    code = (
        "import sys, numpy as np; from comp.augment import policy, image_seeds\n"
        "policy(0, frozenset({'flip'})).apply(np.zeros((2, 4, 4, 3), np.uint8), image_seeds(0, 0, np.arange(2)))\n"
        "sys.exit('albumentations' in sys.modules or 'cv2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_albumentations_is_imported_without_asking_the_package_index() -> None:
    code = (
        "import os, sys, numpy as np; os.environ.pop('NO_ALBUMENTATIONS_UPDATE', None); asked = []\n"
        "sys.addaudithook(lambda event, _: asked.append(event) if event.startswith('socket.') else None)\n"
        "from comp.augment import policy, image_seeds\n"
        "policy(1, frozenset({'flip'})).apply(np.zeros((2, 4, 4, 3), np.uint8), image_seeds(0, 0, np.arange(2)))\n"
        "sys.exit(', '.join(e for e in asked if e in ('socket.getaddrinfo', 'socket.connect')) or None)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_image_does_not_depend_on_its_batch() -> None:
    images, chosen = noise(), policy(1.0, PHOTO_SYMMETRIES)
    whole = chosen.apply(images, SEEDS)
    order = np.random.default_rng(1).permutation(40)
    assert np.array_equal(chosen.apply(images[order], SEEDS[order]), whole[order])
    assert all(np.array_equal(chosen.apply(images[i : i + 1], SEEDS[i : i + 1])[0], whole[i]) for i in range(40))


def test_an_image_does_not_depend_on_its_thread() -> None:
    images, chosen = noise(), policy(1.0, PHOTO_SYMMETRIES)
    whole = chosen.apply(images, SEEDS)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda i: chosen.apply(images[i : i + 4], SEEDS[i : i + 4]), range(0, 40, 4)))
    assert np.array_equal(np.concatenate(parts), whole)


def test_an_image_does_not_depend_on_its_process_and_a_policy_pickles() -> None:
    images, chosen = noise(8), policy(1.0, PHOTO_SYMMETRIES)
    here = chosen.apply(images, SEEDS[:8])
    assert apply_in_process(pickle.dumps((chosen, images, SEEDS[:8]))) == here.tobytes()
    assert pickle.loads(pickle.dumps(chosen)) == chosen


def test_other_seeds_give_other_images() -> None:
    chosen = policy(1.0, PHOTO_SYMMETRIES)
    same = np.repeat(noise(1), 40, axis=0)
    assert len({image.tobytes() for image in chosen.apply(same, SEEDS)}) > 35


def test_the_input_is_never_written_to() -> None:
    images = noise()
    before = images.copy()
    images.setflags(write=False)  # as a memory-mapped cache is
    policy(1.0, PHOTO_SYMMETRIES).apply(images, SEEDS)
    assert np.array_equal(images, before)


def test_transforms_draw_independently() -> None:
    """One stream for all: `Compose.set_random_seed` would rotate exactly the images that it flips."""
    images, seeds = noise(200), image_seeds(1, 0, np.arange(200))
    changed = (policy(1.0, frozenset({"flip", "cutout"})).apply(images, seeds) != images).any(axis=3).mean(axis=(1, 2))
    is_flipped = changed > 0.5
    is_cut = (changed > 0) & ~is_flipped  # cut but not flipped
    assert is_flipped.any() and is_cut.any() and (changed == 0).any()


def test_flip_gives_the_image_or_its_mirror() -> None:
    images = noise()
    mirrored = images[:, :, ::-1]
    after = only("flip", images)
    is_mirrored = (after == mirrored).all(axis=(1, 2, 3))
    assert np.array_equal(after[~is_mirrored], images[~is_mirrored]) and 10 <= is_mirrored.sum() <= 30


def test_rotation_leaves_rings_as_they_are() -> None:
    radius, angle = polar()
    rings, sectors = forty(128 + 80 * np.cos(radius / 3)), forty(128 + 80 * np.cos(4 * angle))
    inside = radius < SIDE / 2 - 2
    change = np.abs(only("rotate", rings).astype(int) - rings)[:, inside]
    assert change.max() <= 8  # interpolation only
    assert n_changed(sectors, only("rotate", sectors)) > 25


def test_zoom_leaves_sectors_as_they_are() -> None:
    radius, angle = polar()
    rings, sectors = forty(128 + 80 * np.cos(radius / 3)), forty(128 + 80 * np.cos(4 * angle))
    between = (radius > 8) & (radius < 0.7 * SIDE / 2)  # an outward zoom reflects at the border
    change = np.abs(only("zoom", sectors).astype(int) - sectors)[:, between]
    assert change.max() <= 8
    assert n_changed(rings, only("zoom", rings)) > 25


def test_shift_moves_whole_pixels_and_reflects_at_the_border() -> None:
    image, reach = noise(1)[0], int(0.12 * SIDE)
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    steps = range(2 * reach + 1)
    moved = {padded[y : y + SIDE, x : x + SIDE].tobytes() for y in steps for x in steps}
    after = only("shift", np.repeat(image[None], 40, axis=0))
    assert {each.tobytes() for each in after} <= moved and n_changed(image[None], after) > 25


@pytest.mark.parametrize("name", ["brightness", "contrast"])
@pytest.mark.parametrize("channels", [1, 3])
def test_light_keeps_every_edge_in_place(name: str, channels: int) -> None:
    images = noise(channels=channels)
    after = only(name, images)
    for before, image in zip(images, after, strict=True):
        darkest_first = np.argsort(before.ravel(), kind="stable")
        assert (np.diff(image.ravel()[darkest_first].astype(int)) >= 0).all()
    assert n_changed(images, after) > 25


def test_brightness_keeps_black() -> None:
    images = noise()
    images[:, :8] = 0
    assert (only("brightness", images)[:, :8] == 0).all()


def test_contrast_keeps_the_mean() -> None:
    images = noise(channels=1)
    shift = only("contrast", images).mean(axis=(1, 2, 3)) - images.mean(axis=(1, 2, 3))
    assert np.abs(shift).max() < 3


def test_hue_moves_colours_but_not_grey() -> None:
    images = noise()
    assert n_changed(images, only("hue", images)) > 15
    grey = np.repeat(noise(channels=1), 3, axis=3)
    assert np.abs(only("hue", grey).astype(int) - grey).max() <= 1


def test_hue_alone_leaves_grey_images_byte_for_byte() -> None:
    images = noise(channels=1)
    assert np.array_equal(only("hue", images), images)


@pytest.mark.parametrize("channels", [1, 3])
def test_cutout_cuts_small_plain_holes_and_leaves_the_rest(channels: int) -> None:
    images = noise(channels=channels)
    after = only("cutout", images)
    for before, image in zip(images, after, strict=True):
        hole = (before != image).any(axis=2)
        assert hole.mean() <= MAX_HOLES * 0.3**2
        assert len(np.unique(image[hole], axis=0)) <= MAX_HOLES
    assert 10 <= n_changed(images, after) <= 35


def test_holes_lie_in_different_places() -> None:
    images = noise()
    holes = (only("cutout", images) != images).any(axis=3)
    assert len({hole.tobytes() for hole in holes if hole.any()}) == holes.any(axis=(1, 2)).sum()


def test_change_grows_with_strength() -> None:
    y, x = np.mgrid[:SIDE, :SIDE]
    photo = np.stack([120 + 60 * np.sin(x / 9), 120 + 60 * np.cos(y / 7), 100 + x + y], axis=2).astype(np.uint8)
    images, seeds = np.repeat(photo[None], 300, axis=0), image_seeds(3, 0, np.arange(300))
    change = [
        np.abs(policy(strength, PHOTO_SYMMETRIES).apply(images, seeds).astype(int) - images).mean()
        for strength in (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
    ]
    assert np.all(np.diff(change) > 0)
    assert 0.3 < change[3] / change[5] < 0.7


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(0, 3), st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3])),
    strength=st.floats(0, 1),
    symmetries=st.frozensets(st.sampled_from(sorted(PHOTO_SYMMETRIES))),
    seed=st.integers(0, 2**70),
)
def test_any_size_keeps_shape_and_dtype(
    shape: tuple[int, int, int, int], strength: float, symmetries: frozenset[str], seed: int
) -> None:
    images, seeds = noise(*shape), image_seeds(seed, 1, np.arange(shape[0]))
    after = policy(strength, symmetries).apply(images, seeds)
    assert after.shape == shape and after.dtype == np.uint8 and after.flags.c_contiguous


@pytest.mark.parametrize("strength", [-0.1, 1.01, float("nan")])
def test_a_strength_outside_the_knob_is_one_line(strength: float) -> None:
    with pytest.raises(BadInput, match="expected a number from 0"):
        policy(strength, PHOTO_SYMMETRIES)


def test_an_unknown_symmetry_is_one_line_that_names_the_known() -> None:
    with pytest.raises(BadInput, match="'mirror' is unknown: expected some of flip, zoom"):
        policy(0.5, frozenset({"mirror"}))


@pytest.mark.parametrize(
    "images", [np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 4), np.uint8)]
)
def test_images_of_another_kind_are_one_line(images: np.ndarray) -> None:
    with pytest.raises(BadInput, match=r"images to augment: expected \(B, H, W, 1 or 3\) uint8"):
        policy(1.0, PHOTO_SYMMETRIES).apply(images, SEEDS[:2])


@pytest.mark.parametrize("seeds", [np.arange(3), np.zeros(2), np.array([-1, 0])])
def test_seeds_of_another_kind_are_one_line(seeds: np.ndarray) -> None:
    with pytest.raises(BadInput, match="seeds of 2 images: expected as many whole numbers"):
        policy(1.0, PHOTO_SYMMETRIES).apply(noise(2), seeds)


def test_image_seeds_differ_by_seed_epoch_and_row() -> None:
    rows = np.arange(2000)
    tables = [image_seeds(seed, epoch, rows) for seed in range(3) for epoch in range(3)]
    assert len(np.unique(np.concatenate(tables))) == 9 * 2000
    assert image_seeds(0, 1, rows)[5] != image_seeds(1, 0, rows)[5]


def test_image_seeds_are_the_rows_own() -> None:
    some = np.array([5, 3, 11])
    assert np.array_equal(image_seeds(1, 2, some), image_seeds(1, 2, np.arange(12))[some])


def test_image_seeds_have_63_even_bits() -> None:
    seeds = image_seeds(2026, 0, np.arange(4000))
    assert seeds.dtype == np.int64 and seeds.min() >= 0
    shares = [(seeds >> bit & 1).mean() for bit in range(63)]
    assert min(shares) > 0.45 and max(shares) < 0.55


def test_the_hash_is_splitmix64() -> None:
    """The first output of splitmix64 from state 0 is published: 0xE220A8397B1DCDAF."""
    from comp.augment import _splitmix

    assert int(_splitmix(np.zeros(1, np.uint64))[0]) == 0xE220A8397B1DCDAF
