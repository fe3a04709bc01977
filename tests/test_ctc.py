"""Truths of CTC: a text's probability is that of all its paths, and no decoding finds a text less likely than the greedy one."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comp.ctc import beam, collapsed, greedy, log_probability, logs_of
from comp.strip_layers import Blank, CertainBlank, Turned

ALPHABET = ["", "a", "b"]


def frames_of(seed: int, n_frames: int, n_columns: int = 3, sharpness: float = 1.0) -> np.ndarray:
    powers = np.exp(sharpness * np.random.default_rng(seed).normal(size=(n_frames, n_columns)))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def by_paths(frames: np.ndarray) -> dict[str, float]:
    """Return each text's probability by its definition: the sum over all paths that collapse to it."""
    found: dict[str, float] = {}
    for path in itertools.product(range(frames.shape[1]), repeat=len(frames)):
        text = collapsed(path, ALPHABET)
        found[text] = found.get(text, 0.0) + float(np.prod(frames.astype(np.float64)[np.arange(len(frames)), path]))
    return found


@pytest.mark.parametrize(
    ("path", "text"),
    [([], ""), ([0, 0], ""), ([1, 1, 0, 1, 2, 2], "aab"), ([0, 1, 0, 0, 1, 0], "aa"), ([2, 2, 2], "b")],
)
def test_equal_neighbours_become_one_and_blanks_go(path: list[int], text: str) -> None:
    assert collapsed(path, ALPHABET) == text
    assert greedy(np.eye(3, dtype=np.float32)[path].reshape(-1, 3), ALPHABET) == text


@pytest.mark.parametrize("n_frames", [1, 2, 5])
def test_a_text_s_probability_is_that_of_all_its_paths(n_frames: int) -> None:
    frames = frames_of(n_frames, n_frames)
    expected = by_paths(frames)
    got = {text: np.exp(log_probability(logs_of(frames), text, ALPHABET)) for text in expected}
    assert got == pytest.approx(expected) and sum(got.values()) == pytest.approx(1)


def test_what_cannot_be_written_has_no_probability() -> None:
    logs = logs_of(frames_of(1, 2))
    assert log_probability(logs, "c", ALPHABET) == -np.inf
    assert log_probability(logs, "aa", ALPHABET) == -np.inf  # needs a blank between
    assert log_probability(logs[:0], "", ALPHABET) == 0
    assert log_probability(logs[:0], "a", ALPHABET) == -np.inf


def test_a_wide_beam_finds_every_text_with_its_probability() -> None:
    frames = frames_of(3, 5)
    expected = by_paths(frames)
    found = beam(frames, ALPHABET, width=1000)
    assert {text: np.exp(log) for text, log in found} == pytest.approx(expected)
    assert [log for _, log in found] == sorted((log for _, log in found), reverse=True)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), n_frames=st.integers(0, 12), width=st.integers(1, 8), sharpness=st.floats(0, 8))
def test_beam_is_at_least_as_likely_as_greedy(seed: int, n_frames: int, width: int, sharpness: float) -> None:
    frames = frames_of(seed, n_frames, sharpness=sharpness)
    logs, found = logs_of(frames), beam(frames, ALPHABET, width)
    exact = {text: log_probability(logs, text, ALPHABET) for text, _ in found}
    text = greedy(frames, ALPHABET)
    assert text in exact
    assert exact[found[0][0]] >= found[0][1] - 1e-9 >= found[-1][1] - 2e-9
    assert found[0][1] >= dict(found)[text]


def test_the_loss_of_keras_is_this_probability() -> None:
    """It pins the blank to column 0, and that rows count with their own length where padding is certain of the blank."""
    frames = [frames_of(1, 4), frames_of(2, 7)]
    texts = ["ab", "bba"]
    expected = [-log_probability(logs_of(one), text, ALPHABET) for one, text in zip(frames, texts, strict=True)]
    logits = np.full((2, 7, 3), 99.0, np.float32)  # what padding said before does not matter
    for row, one in enumerate(frames):
        logits[row, : len(one)] = np.log(one)
    certain = CertainBlank()(logits, np.array([4, 7], np.int32))
    loss = keras.losses.CTC(reduction="none")(np.array([[1, 2, 0], [2, 2, 1]], np.int32), certain)
    assert np.asarray(loss) == pytest.approx(expected, rel=1e-4)


def test_turned_twice_is_as_it_was_and_padding_stays() -> None:
    x, lengths = np.arange(24, dtype=np.float32).reshape(2, 6, 2), np.array([4, 6], np.int32)
    once = np.asarray(Turned()(x, lengths))
    assert (once[0, :4] == x[0, 3::-1]).all() and (once[0, 4:] == x[0, 4:]).all() and (once[1] == x[1, ::-1]).all()
    assert (np.asarray(Turned()(once, lengths)) == x).all()
    inside = np.asarray(Blank()(x, lengths))
    assert (inside[0, 4:] == 0).all() and (inside[0, :4] == x[0, :4]).all() and (inside[1] == x[1]).all()
