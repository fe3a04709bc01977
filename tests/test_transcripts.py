"""Truths of transcripts put together: the prior knows the other folds only, several readers vote, frames are averaged by id."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comp.errors import BadInput, Refused
from comp.lexicon import Lexicon, read_list
from comp.tasks import refuse_transcripts
from comp.text_metrics import TEXT_METRICS, resampled_text_scores
from folds.frames import Frames, as_facts, from_facts, in_order, mean_of, put_together
from submissions.transcripts import Decoder, Row, fewest_edits, readers_of, row_of
from tests.words import WORDS

ALPHABET = ["", "a", "b", "c"]
WORDS_KNOWN = ["cab", "cab", "cab", "abc", "b"]


def peaked(text: str, doubt: float = 0.3, other: str = "") -> np.ndarray:
    """Return frames that say a text, each letter with some doubt in favour of the letter of `other` in its place."""
    frames = np.full((2 * len(text) + 1, len(ALPHABET)), 0.001)
    frames[::2, 0] = 1
    for i, letter in enumerate(text):
        frames[2 * i + 1, ALPHABET.index(letter)] = 1 - doubt
        frames[2 * i + 1, ALPHABET.index((other or text)[i])] += doubt
    return np.asarray(frames / frames.sum(axis=1, keepdims=True), np.float32)


def frames(ids: list[str], lengths: list[int], seed: int = 0) -> Frames:
    values = np.random.default_rng(seed).dirichlet(np.ones(len(ALPHABET)), sum(lengths)).astype(np.float32)
    return Frames(ids, values, np.array(lengths), ALPHABET)


def test_the_prior_prefers_words_that_were_written_and_knows_all_texts() -> None:
    lexicon = Lexicon(WORDS_KNOWN)
    priors = {text: lexicon.log_prior(text) for text in ("cab", "abc", "acb", "zz", "")}
    assert priors["cab"] > priors["abc"] > priors["acb"] > priors["zz"] > -np.inf and np.isfinite(priors[""])
    assert lexicon.near("cab", 1) == ["cab"] and "abc" in lexicon.near("cab", 2)
    assert np.isfinite(Lexicon([]).log_prior("a"))


def test_the_shares_of_texts_are_no_more_than_one() -> None:
    lexicon = Lexicon(WORDS_KNOWN)
    texts = [""] + [a + b + c for a in "abc" for b in ["", *"abc"] for c in (["", *"abc"] if b else [""])]
    total = sum(np.exp(lexicon.log_prior(text)) for text in set(texts))
    assert 0.7 < total <= 1


def test_words_of_a_list_are_equally_usual_unless_it_says_how_often_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("cab\nabc\n\nb\t3\n")
    assert read_list(tmp_path / "words.txt") == {"cab": 1, "abc": 1, "b": 3}
    lexicon = Lexicon(["cab", "cab", "zz"], {"cab": 1, "abc": 1, "b": 3})
    priors = {text: lexicon.log_prior(text) for text in ("cab", "abc", "b", "zz")}
    assert priors["b"] > priors["cab"] == pytest.approx(priors["abc"], abs=0.3) and priors["abc"] > priors["zz"]
    assert lexicon.share_of_new == 2 / 5, "one text of three is not in the list"
    (tmp_path / "words.txt").write_text("\n")
    with pytest.raises(BadInput, match="it holds no word"):
        read_list(tmp_path / "words.txt")


def test_a_lexicon_mends_what_is_in_doubt_and_not_what_is_sure() -> None:
    lexicon = Lexicon(["cab"] * 20 + ["abc"])
    row = row_of([peaked("cac", 0.45, "cab")], ALPHABET, lexicon)
    assert row.told(Decoder()) == row.told(Decoder("beam")) == "cac"
    assert row.told(Decoder("beam", 1.0)) == "cab"
    sure = row_of([peaked("cac", 0.0)], ALPHABET, lexicon)
    assert sure.told(Decoder("beam", 0.5)) == "cac"


def test_a_known_word_that_no_path_was_kept_for_is_still_a_candidate() -> None:
    lexicon = Lexicon(["bbb"] * 30)
    row = row_of([peaked("bab", 0.4, "bbb")], ALPHABET, lexicon)
    assert "bbb" in row.texts and row.told(Decoder("beam", 1.0)) in ("bbb", "bab")
    assert row.told(Decoder("beam")) in np.array(row.texts)[row.is_read]


def test_the_text_with_the_fewest_edits_to_be_expected() -> None:
    assert fewest_edits(["cat", "cot", "cut"], np.array([0.4, 0.3, 0.3])) == "cat"
    assert (
        fewest_edits(["abcd", "ab", "abc"], np.array([0.4, 0.35, 0.25])) == "abc"
    )  # in the middle of the likelier two
    assert fewest_edits(["x", "y"], np.ones(2)) == "x"
    reads = ["xbc", "ayc", "abz"]
    assert fewest_edits([*reads, "abc"], np.ones(4)) == "abc"
    assert fewest_edits([*reads, "abc"], np.array([1.0, 1.0, 1.0, 0.0])) in reads, "nobody read it"


def test_without_a_lexicon_no_word_is_told_that_nobody_read() -> None:
    lexicon = Lexicon(["abc"] * 30)
    readers = [peaked("bbc", 0.0), peaked("acc", 0.0), np.repeat(peaked("aba", 0.0), 2, axis=0)]
    row = row_of(readers, ALPHABET, lexicon)
    assert "abc" in row.texts
    for kind in ("beam", "edits"):
        assert row.told(Decoder(kind)) in np.array(row.texts)[row.is_read]


def test_one_reader_may_tell_the_text_with_the_fewest_edits_to_be_expected() -> None:
    row = Row(
        greedy=["abcd"],
        texts=["abcd", "ab", "abc"],
        logs=np.log([[0.4, 0.35, 0.25]]),
        priors=np.zeros(3),
        is_read=np.ones(3, bool),
    )
    assert row.told(Decoder("beam")) == "abcd"
    assert row.told(Decoder("edits")) == "abc"


def test_three_readers_of_other_lengths_outvote_one() -> None:
    lexicon = Lexicon(WORDS_KNOWN)
    told = [peaked("cab", 0.1, "cac"), peaked("cab", 0.2, "bab"), np.repeat(peaked("abc", 0.0), 2, axis=0)]
    row = row_of(told, ALPHABET, lexicon)
    assert row.greedy == ["cab", "cab", "abc"]
    assert row.told(Decoder()) == row.told(Decoder("beam", 0.5)) == "cab"


def test_equally_long_frames_are_averaged_and_others_stay_apart() -> None:
    one, other = frames(["i", "j"], [3, 2]), frames(["i", "j"], [3, 2], 1)
    both = readers_of([one, other], ["j", "i"])
    assert both.method == "frames" and both.ids == ["j", "i"]
    assert np.allclose(both.frames[0].of(1), (one.of(0) + other.of(0)) / 2)
    apart = readers_of([one, frames(["i", "j"], [2, 2])], ["i", "j"])
    assert apart.method == "vote" and len(apart.frames) == 2


def test_frames_are_matched_by_id_never_by_position() -> None:
    given_frames = frames(["i", "j", "k"], [3, 1, 2])
    turned = in_order(given_frames, ["k", "i", "j"], "x")
    assert turned.lengths.tolist() == [2, 3, 1]
    assert all((turned.of(row) == given_frames.of(given_frames.position[i])).all() for row, i in enumerate(turned.ids))
    for wanted in (["i", "j"], ["i", "j", "z"], ["i", "j", "k", "k"]):
        with pytest.raises(Refused, match="x: expected"):
            in_order(given_frames, wanted, "x")


def test_frames_survive_their_files() -> None:
    one = frames(["i", "j"], [3, 0])
    again = from_facts(one.values, {**as_facts(one, "oof"), "classes": ALPHABET}, "oof")
    assert again.ids == one.ids and (again.lengths == one.lengths).all() and (again.of(0) == one.of(0)).all()
    assert again.of(1).shape == (0, 4)
    assert put_together([one, frames(["k"], [1])]).ids == ["i", "j", "k"]


def test_frames_that_are_none_are_refused_by_id() -> None:
    bad = frames(["i", "j"], [2, 2])
    bad.values[3, 0] += 0.5
    with pytest.raises(Refused, match="frames of id 'j' are no probabilities"):
        bad.checked("run")
    with pytest.raises(Refused, match="expected"):
        Frames(["i"], bad.values, np.array([3]), ALPHABET).checked("run")
    with pytest.raises(Refused, match="cannot be averaged"):
        mean_of([bad, frames(["i", "j"], [2, 1])])
    with pytest.raises(Refused, match="different alphabets"):
        put_together([bad, Frames([], bad.values[:0, :2], np.array([], int), ["", "a"])])


def test_commands_that_need_classes_say_so_in_one_line() -> None:
    with pytest.raises(BadInput, match=r"^predict: mini asks for transcripts, .+ make leaderboard COMP=mini shows"):
        refuse_transcripts(WORDS, "predict")


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000))
def test_resampled_scores_lie_around_the_score(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = ["".join(random.choice(list("ab"), 4)) for _ in range(60)]
    told = [text if random.random() < 0.7 else "a" + text[1:] for text in truth]
    cer = TEXT_METRICS["cer"]
    draws = resampled_text_scores(cer, truth, told, 60)
    assert draws.min() <= cer.function(truth, told) <= draws.max()
    assert (draws == resampled_text_scores(cer, truth, told, 60)).all()
