"""One parser, one error line that names the bad part."""

from __future__ import annotations

import pytest

from comp.candidates import parse_candidate, parse_candidates
from comp.errors import BadInput
from comp.spec import Candidate

GOOD = {
    "scratch_cnn": Candidate("scratch_cnn"),
    "scratch_cnn:tiny": Candidate("scratch_cnn", "tiny"),
    "scratch_cnn:scratch": Candidate("scratch_cnn", fit="scratch"),
    "scratch_cnn:64px": Candidate("scratch_cnn", pixels=64),
    "scratch_cnn:tiny:scratch:64px": Candidate("scratch_cnn", "tiny", "scratch", 64),
}
BAD = {
    "scratch_cnnn": "scratch_cnn",
    "": "scratch_cnn",
    "scratch_cnn:huge": "'huge' is no variant",
    "scratch_cnn:": "'' is no variant",
    "scratch_cnn:64": "'64' is no variant",
    "scratch_cnn:0px": "'0px' is no variant",
    "scratch_cnn:4px": "'4px' is out of range",
    "scratch_cnn:9999px": "'9999px' is out of range",
    "scratch_cnn:tiny:base": "'base' is a second variant",
    "scratch_cnn:32px:64px": "'64px' is a second pixels",
    "scratch_cnn:scratch:probe": "'probe' is a second fit",
}


@pytest.mark.parametrize("text", GOOD)
def test_good_candidates_parse_and_print_back(text: str) -> None:
    assert parse_candidate(text) == GOOD[text]
    assert str(GOOD[text]) == text


@pytest.mark.parametrize("text", BAD)
def test_bad_candidates_are_one_line_that_names_the_part(text: str) -> None:
    with pytest.raises(BadInput) as refusal:
        parse_candidate(text)
    assert BAD[text] in str(refusal.value) and "\n" not in str(refusal.value)


def test_lists_split_at_spaces_and_commas_and_name_each_once() -> None:
    assert parse_candidates("scratch_cnn, scratch_cnn:tiny  scratch_cnn") == [
        GOOD["scratch_cnn"],
        GOOD["scratch_cnn:tiny"],
    ]
    with pytest.raises(BadInput, match="BACKBONES is empty"):
        parse_candidates(" , ")
