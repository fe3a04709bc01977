"""Promise 3: a hash only proposes, pixels confirm; crowds and pairs across classes are listed, not joined."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from comp.twins import find_pairs, find_twins, join, no_twins


def scenes(random: np.random.Generator, n: int) -> np.ndarray:
    """Return (n, 32, 32) smooth pictures that have nothing to do with each other."""
    coarse = random.integers(0, 255, (n, 6, 6), dtype=np.uint8)
    return np.stack([cv2.resize(one, (32, 32), interpolation=cv2.INTER_CUBIC) for one in coarse])


def again(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the same picture a little brighter and noisier, as another JPEG of it is."""
    return np.clip(picture * 1.05 + 4 + random.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)


def test_copies_are_found_and_strangers_are_not(random: np.random.Generator) -> None:
    pictures = scenes(random, 300)
    pictures[200] = again(pictures[3], random)
    pictures[299] = again(pictures[298], random)
    assert sorted(find_pairs(pictures)) == [(3, 200), (298, 299)]


def test_a_pair_across_classes_is_listed_not_joined(random: np.random.Generator) -> None:
    pictures = scenes(random, 6)
    pictures[1], pictures[3] = again(pictures[0], random), again(pictures[2], random)
    twins = find_twins(pictures, ["a", "a", "a", "b", "b", "b"])
    assert twins.pairs == [(0, 1)] and twins.across == [(2, 3)]
    assert twins.cluster[0] == twins.cluster[1] and len(set(twins.cluster)) == 5


@pytest.mark.parametrize(("n_copies", "is_joined"), [(30, True), (31, False)])
def test_a_crowd_over_thirty_is_listed_not_joined(random: np.random.Generator, n_copies: int, is_joined: bool) -> None:
    pictures = np.concatenate([np.stack([again(scenes(random, 1)[0], random)] * n_copies), scenes(random, 4)])
    twins = find_twins(pictures, ["a"] * len(pictures))
    assert (len(set(twins.cluster[:n_copies])) == 1) is is_joined
    assert [len(crowd) for crowd in twins.oversized] == ([] if is_joined else [n_copies])


def test_flat_pictures_are_nobodys_twin() -> None:
    assert find_pairs(np.repeat(np.array([0, 128, 255, 255], np.uint8), 1024).reshape(4, 32, 32)) == []


def test_blocks_change_nothing(random: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = scenes(random, 60)
    pictures[50] = again(pictures[5], random)
    whole = find_pairs(pictures)
    monkeypatch.setattr("comp.twins._BLOCK", 7)
    assert sorted(find_pairs(pictures)) == sorted(whole) == [(5, 50)]


def test_join_follows_chains() -> None:
    numbers = join(6, [(0, 1), (1, 2), (4, 5)])
    assert numbers[0] == numbers[1] == numbers[2] and numbers[4] == numbers[5] and len(set(numbers.tolist())) == 3
    assert len(set(no_twins(4).cluster.tolist())) == 4


def test_digits_that_a_hash_alone_would_chain_are_told_apart(random: np.random.Generator) -> None:
    from sklearn.datasets import load_digits

    images = load_digits().images[:600]
    pictures = np.stack([cv2.resize((one * 15).astype(np.uint8), (32, 32)) for one in images])
    assert len(find_pairs(pictures)) < 30
