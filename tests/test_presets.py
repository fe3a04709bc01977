"""One table from (preset, fit) to recipe."""

from __future__ import annotations

import pytest

from comp.competitions.rare_species import COMPETITION as RARE_SPECIES
from comp.errors import BadInput
from comp.spec import Candidate
from folds.presets import PRESETS, complete, seconds_of_fold
from tests.made import SQUARES

BUDGET_MINUTES = {"quick": 4, "standard": 15, "best": 60}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_fills_in_variant_fit_and_size(preset: str) -> None:
    candidate, recipe = complete(Candidate("scratch_cnn"), preset, RARE_SPECIES)
    assert candidate == Candidate("scratch_cnn", "base", "scratch", recipe.pixels)


@pytest.mark.parametrize("preset", PRESETS)
def test_estimates_keep_to_the_budget_of_a_candidate(preset: str) -> None:
    candidate, recipe = complete(Candidate("scratch_cnn"), preset, RARE_SPECIES)
    minutes = 5 * seconds_of_fold(candidate, recipe, 3570 * 4 // 5) / 2 / 60
    assert minutes <= BUDGET_MINUTES[preset]


def test_size_is_the_one_asked_for_else_no_larger_than_the_photos() -> None:
    assert complete(Candidate("scratch_cnn", pixels=40), "best", SQUARES)[1].pixels == 40
    assert complete(Candidate("scratch_cnn"), "best", SQUARES)[1].pixels == SQUARES.pixels


def test_unknown_preset_and_impossible_fit_are_one_line() -> None:
    with pytest.raises(BadInput, match="quick, standard, best"):
        complete(Candidate("scratch_cnn"), "fast", RARE_SPECIES)
    with pytest.raises(BadInput, match="no pre-trained weights"):
        complete(Candidate("scratch_cnn", fit="probe"), "quick", RARE_SPECIES)
