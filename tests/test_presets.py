"""One table from (preset, fit) to recipe."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from comp.competitions.rare_species import COMPETITION as RARE_SPECIES
from comp.errors import BadInput
from comp.registry import load_backbone, load_competition, names
from comp.spec import Candidate, Fit
from folds.presets import PRESETS, complete, seconds_of_fold, shortened
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


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", [name for name in names("comp.backbones") if name not in ("hub", "crnn")])
def test_every_backbone_from_scratch_keeps_to_the_budget(name: str, preset: str) -> None:
    candidate, recipe = complete(Candidate(name), preset, RARE_SPECIES)
    assert 5 * seconds_of_fold(candidate, recipe, 3570 * 4 // 5) / 2 / 60 <= BUDGET_MINUTES[preset] * 1.2


def test_the_recipe_of_a_backbone_stands_under_the_preset() -> None:
    candidate, recipe = complete(Candidate("vgg16", fit="scratch"), "quick", RARE_SPECIES)
    assert recipe.learning_rate == load_backbone("vgg16").recipe["scratch"]["learning_rate"]
    assert recipe.epochs == PRESETS["quick"]["scratch"]["epochs"]
    assert str(candidate) == "vgg16:tiny:scratch:64px"


@pytest.mark.parametrize("name", ["scratch_cnn", "mlp_mixer", "fnet", "gmlp", "small_resnet"])
def test_from_scratch_the_mirror_image_is_asked_too(name: str) -> None:
    assert complete(Candidate(name), "standard", RARE_SPECIES)[1].tta_views == 2


def test_a_competition_may_shorten_what_is_trained_from_scratch() -> None:
    half = replace(RARE_SPECIES, epochs_scale=0.5)
    assert complete(Candidate("scratch_cnn"), "quick", half)[1].epochs == PRESETS["quick"]["scratch"]["epochs"] / 2
    assert complete(Candidate("mobilenet", fit="probe"), "quick", half)[1].epochs == PRESETS["quick"]["probe"]["epochs"]


def test_a_competition_may_ask_for_stronger_augmentation_from_scratch() -> None:
    strong = replace(RARE_SPECIES, strength_scale=1.5)
    assert complete(Candidate("scratch_cnn"), "standard", strong)[1].strength == pytest.approx(0.45)
    assert complete(Candidate("mobilenet", fit="probe"), "standard", strong)[1].strength == 0.5
    assert complete(Candidate("scratch_cnn"), "best", replace(strong, strength_scale=9.0))[1].strength == 1.0


def test_a_competition_may_say_more_of_what_is_trained_from_scratch_and_of_nothing_else() -> None:
    few = replace(RARE_SPECIES, scratch={"mixup": 0.2, "dropout": 0.3})
    recipe = complete(Candidate("scratch_cnn"), "standard", few)[1]
    assert (recipe.mixup, recipe.dropout) == (0.2, 0.3)
    plain = complete(Candidate("mobilenet", fit="probe"), "standard", RARE_SPECIES)[1]
    assert complete(Candidate("mobilenet", fit="probe"), "standard", few)[1] == plain
    with pytest.raises(BadInput, match=r"its scratch names 'mixap', .* \(did you mean mixup\?\)"):
        complete(Candidate("scratch_cnn"), "standard", replace(few, scratch={"mixap": 0.2}))


@pytest.mark.parametrize("fit", ["probe", "tail", "full"])
@pytest.mark.parametrize("preset", PRESETS)
def test_weights_that_fit_one_size_decide_it(preset: str, fit: Fit) -> None:
    for competition in (RARE_SPECIES, SQUARES):
        candidate, recipe = complete(Candidate("mlp_mixer", "S/16", fit), preset, competition)
        assert candidate.pixels == recipe.pixels == 224
    assert complete(Candidate("mlp_mixer", "S/16", fit, 224), preset, RARE_SPECIES)[1].pixels == 224


def test_a_size_that_the_weights_do_not_fit_is_one_line() -> None:
    line = (
        "candidate mlp_mixer:S/16:probe:160px: its weights fit photos of 224 px only; ask for 224px, or for "
        "mlp_mixer:S/16:scratch:160px"
    )
    with pytest.raises(BadInput, match=f"^{re.escape(line)}$"):
        complete(Candidate("mlp_mixer", "S/16", "probe", 160), "quick", RARE_SPECIES)
    assert complete(Candidate("mlp_mixer", "S/16", "scratch", 160), "quick", RARE_SPECIES)[1].pixels == 160


def test_pooling_that_a_probe_cannot_do_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = {"probe": {"pool": "gem"}, "tail": {"pool": "gem"}}
    monkeypatch.setattr("folds.presets.load_backbone", lambda name: replace(load_backbone(name), recipe=recipes))
    with pytest.raises(
        BadInput, match=r"^candidate mobilenet:V2:probe: .*pool=gem, but a probe's .* are means already"
    ):
        complete(Candidate("mobilenet", fit="probe"), "quick", RARE_SPECIES)
    assert complete(Candidate("mobilenet", fit="tail"), "quick", RARE_SPECIES)[1].pool == "gem"


def test_unknown_preset_is_one_line() -> None:
    with pytest.raises(BadInput, match="quick, standard, best"):
        complete(Candidate("scratch_cnn"), "fast", RARE_SPECIES)


@pytest.mark.parametrize(("preset", "minutes"), [("quick", 8), ("standard", 60)])
def test_a_reader_of_words_keeps_to_the_budget(preset: str, minutes: float) -> None:
    """Three rounds of two jobs: five or six folds of the 3,178 words of George Washington's letters."""
    candidate, recipe = complete(Candidate("crnn"), preset, load_competition("handwriting"))
    assert 3 * seconds_of_fold(candidate, recipe, 3178 * 5 // 6) / 60 <= minutes


def test_more_rows_than_the_minutes_are_made_for_mean_fewer_passes_from_scratch() -> None:
    recipe = complete(Candidate("scratch_cnn"), "standard", RARE_SPECIES)[1]
    scratch, probe = Candidate("scratch_cnn", fit="scratch"), Candidate("mobilenet", fit="probe")
    assert shortened(scratch, recipe, 3_000, 3_000) == recipe == shortened(scratch, recipe, 9_000, 0)
    assert shortened(scratch, recipe, 6_000, 3_000) == replace(recipe, epochs=recipe.epochs // 2)
    assert shortened(scratch, recipe, 3_000_000, 3_000).epochs == 3
    assert shortened(scratch, replace(recipe, epochs=2), 3_000_000, 3_000).epochs == 2
    assert shortened(probe, recipe, 6_000, 3_000) == recipe
