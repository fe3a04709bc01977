"""Mixup and cutmix: targets follow the pixels, rows keep their sum of shares, and seeds alone decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from folds.mixing import Mixing

SEEDS = st.tuples(st.integers(0, 2**31), st.integers(0, 500), st.integers(0, 5000))
ALPHAS = st.sampled_from([0.0, 0.1, 0.4, 1.0, 4.0])


def photos(n: int = 6, side: int = 8) -> np.ndarray:
    """Return photos whose every pixel tells which photo it came from."""
    return np.broadcast_to((10 * np.arange(n, dtype=np.uint8))[:, None, None, None], (n, side, side, 3)).copy()


def one_hot(n: int = 6) -> np.ndarray:
    return np.eye(n, dtype=np.float32)


def shares_in(mixed: np.ndarray) -> np.ndarray:
    """Return (B, B): which share of each row's pixels came from which photo."""
    return np.stack([(mixed == 10 * i).mean(axis=(1, 2, 3)) for i in range(len(mixed))], axis=1)


def test_no_mixing_gives_back_the_very_same() -> None:
    rows, targets = photos(), one_hot()
    mixed, mixed_targets = Mixing().apply(rows, targets, (1, 2, 3))
    assert mixed is rows and mixed_targets is targets


@given(SEEDS, ALPHAS, ALPHAS)
def test_targets_stay_probabilities_and_what_came_in_is_not_written_to(
    seeds: tuple[int, int, int], mixup: float, cutmix: float
) -> None:
    rows, targets = photos(), one_hot()
    mixed, mixed_targets = Mixing(mixup, cutmix).apply(rows, targets, seeds)
    assert (rows == photos()).all() and (targets == one_hot()).all()
    assert mixed.shape == rows.shape and mixed_targets.shape == targets.shape and mixed_targets.dtype == np.float32
    assert np.allclose(mixed_targets.sum(axis=1), 1, atol=1e-6) and (mixed_targets >= 0).all()
    assert mixed.min() >= 0 and mixed.max() <= 50 * (1 + 2 * np.finfo(np.float32).eps)  # three roundings


@given(SEEDS, ALPHAS.filter(bool))
def test_cutmix_targets_are_the_areas_that_are_seen(seeds: tuple[int, int, int], alpha: float) -> None:
    mixed, targets = Mixing(cutmix=alpha).apply(photos(), one_hot(), seeds)
    assert np.allclose(shares_in(mixed), targets, atol=1e-6)


@given(SEEDS, ALPHAS.filter(bool))
def test_mixup_targets_are_the_shares_of_light(seeds: tuple[int, int, int], alpha: float) -> None:
    mixed, targets = Mixing(mixup=alpha).apply(photos(), one_hot(), seeds)
    light = targets @ (10 * np.arange(6, dtype=np.float32))
    assert np.allclose(mixed[:, 0, 0, 0], light, atol=1e-4) and (mixed == mixed[:, :1, :1, :1]).all()


@given(SEEDS)
def test_features_can_be_blended_too_but_not_pasted(seeds: tuple[int, int, int]) -> None:
    rows = np.arange(24, dtype=np.float16).reshape(6, 4)
    mixed, targets = Mixing(mixup=0.4).apply(rows, one_hot(), seeds)
    assert np.allclose(mixed, targets @ rows.astype(np.float32), atol=1e-4)
    untouched, targets = Mixing(cutmix=0.4).apply(rows, one_hot(), seeds)
    assert (untouched == rows).all() and (targets == one_hot()).all()


@given(SEEDS, ALPHAS, ALPHAS)
def test_the_same_seeds_give_the_same_and_other_batches_other_blends(
    seeds: tuple[int, int, int], mixup: float, cutmix: float
) -> None:
    one, other = (Mixing(mixup, cutmix).apply(photos(), one_hot(), seeds) for _ in range(2))
    assert (one[0] == other[0]).all() and (one[1] == other[1]).all()


@pytest.mark.parametrize("mixing", [Mixing(mixup=1.0), Mixing(cutmix=1.0), Mixing(1.0, 1.0)])
def test_run_seed_epoch_and_batch_each_change_the_blend(mixing: Mixing) -> None:
    found = [mixing.apply(photos(), one_hot(), seeds)[1] for seeds in ((1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2))]
    assert all((found[0] != other).any() for other in found[1:])


def test_where_both_are_on_each_has_about_half_of_the_batches() -> None:
    pasted = [
        len(np.unique(Mixing(1.0, 1.0).apply(photos(), one_hot(), (0, 0, i))[0][0])) > 1 for i in range(400)
    ]  # a photo of one level stays one when blended
    assert 80 < sum(pasted) < 240


@pytest.mark.parametrize("rows", [photos(), photos().astype(np.float16)], ids=["photos", "maps"])
def test_every_batch_of_a_fit_is_of_one_type(rows: np.ndarray) -> None:
    """Keras 3.15 takes the type of a fit's first batch for all, and cuts others down to it without a word."""
    kinds = {Mixing(0.4, 0.4).apply(rows, one_hot(), (0, 0, batch))[0].dtype for batch in range(20)}
    assert len(kinds) == 1
