"""Character and word error rates against worked examples, and what they promise of any text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comp.errors import BadInput
from comp.text_metrics import TEXT_METRICS

WORDS = st.lists(
    st.tuples(st.text("abc é", min_size=1, max_size=8), st.text("abc é", max_size=8)), min_size=1, max_size=6
)
KITTEN = (["kitten"], ["sitting"])  # the textbook's: two letters replaced and one put in, of six


@pytest.mark.parametrize(
    ("name", "truth", "texts", "expected"),
    [
        ("cer", *KITTEN, 3 / 6),
        ("cer", ["ab", "abcdefgh"], ["", "abcdefgh"], 2 / 10),
        ("cer", ["a"], ["aaaa"], 3.0),
        ("wer", ["the cat sat"], ["the hat sat down"], 2 / 3),
        ("wer", ["one", "two three"], ["one", "three"], 1 / 3),
        ("exact", ["a", "b", "c"], ["a", "b", "C"], 2 / 3),
        ("cer", ["caf\u00e9"], ["cafe\u0301"], 0.0),
    ],
)
def test_worked_examples(name: str, truth: list[str], texts: list[str], expected: float) -> None:
    assert TEXT_METRICS[name].function(truth, texts) == pytest.approx(expected)


@given(WORDS)
def test_the_truth_has_no_errors_and_weights_are_repeats(pairs: list[tuple[str, str]]) -> None:
    truth, texts = ["x" + one for one, _ in pairs], [other for _, other in pairs]
    repeats = np.arange(len(pairs)) % 3 + 1
    for name, metric in TEXT_METRICS.items():
        assert metric.function(truth, truth) == (1.0 if name == "exact" else 0.0)
        again = [np.repeat(np.array(side, dtype=object), repeats).tolist() for side in (truth, texts)]
        assert metric.function(truth, texts, repeats) == pytest.approx(metric.function(*again))
        assert metric.function(truth, texts) >= 0


def test_what_cannot_be_scored_is_one_clear_line() -> None:
    for truth, texts in ((["a"], []), ([], []), (["", ""], ["a", "b"])):
        with pytest.raises(BadInput, match="cer: "):
            TEXT_METRICS["cer"].function(truth, texts)
