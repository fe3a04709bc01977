"""Spaces: the default is always inside, a competition narrows and never widens, recipes that come out are recipes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comp.errors import BadInput
from comp.registry import load_backbone, names
from comp.spec import FITS, Candidate, Competition, Fit, Recipe
from folds.presets import PRESETS, complete
from tests.made import SQUARES
from tuning.space import SPACES, Space, differences, space_of

CUTS = ("block_13_project_BN", "block_15_add")


def space(fit: Fit, preset: str = "standard", competition: Competition = SQUARES) -> Space:
    return space_of(fit, default(fit, preset), competition, ("width",), CUTS)


def default(fit: Fit, preset: str = "standard") -> Any:
    recipe = complete(Candidate("mobilenet", None, fit), preset, SQUARES)[1]
    return replace(recipe, cut=CUTS[0]) if fit == "tail" else recipe


def draw(found: Space, seed: int) -> dict[str, Any]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return found.suggest(study.ask())


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("fit", FITS)
def test_default_recipe_lies_in_its_space(fit: Fit, preset: str) -> None:
    recipe = default(fit, preset)
    assert space(fit, preset).nearest(recipe) == {
        knob.name: getattr(recipe, knob.name) for knob in space(fit, preset).knobs
    }


@pytest.mark.parametrize("fit", FITS)
def test_strength_and_rate_are_in_every_space(fit: Fit) -> None:
    assert {"strength", "learning_rate"} <= {knob.name for knob in SPACES[fit]}


@pytest.mark.parametrize("fit", ["probe", "tail"])
def test_banked_fits_share_few_strengths_zero_among_them(fit: Fit) -> None:
    (levels,) = [knob.choices for knob in space(fit).knobs if knob.name == "strength"]
    assert {0.0, 1 / 3, 2 / 3, 1.0} <= set(levels) and len(levels) <= 5


@given(seed=st.integers(0, 2**31), fit=st.sampled_from(FITS))
@settings(max_examples=20, deadline=None)
def test_what_is_drawn_makes_a_recipe_and_lies_in_the_space(seed: int, fit: Fit) -> None:
    found = space(fit)
    values = draw(found, seed)
    recipe = replace(default(fit), **values)
    assert recipe.epochs >= 1 and 0 <= recipe.strength <= 1 and recipe.learning_rate > 0
    assert found.nearest(recipe).keys() == values.keys()


@pytest.mark.parametrize("head_epochs", [0, 40])
def test_the_rate_of_the_head_alone_is_tuned_where_it_is_trained_alone(head_epochs: int) -> None:
    found = space_of("tail", Recipe(pixels=16, cut="a", head_epochs=head_epochs), SQUARES, (), ("a",))
    assert ("head_learning_rate" in {knob.name for knob in found.knobs}) == bool(head_epochs)


def test_width_is_tuned_only_where_the_backbone_has_one() -> None:
    names = [knob.name for knob in space_of("scratch", default("scratch"), SQUARES, (), ()).knobs]
    assert "width" not in names and "strength" in names


@pytest.mark.parametrize(
    ("fit", "knob", "wanted", "shown"),
    [
        ("scratch", "strength", (0.0, 0.5), "0 to 0.5"),
        ("probe", "strength", (0.0, 0.4), "0 or 0.333"),
        ("tail", "cut", ("block_15_add",), "block_15_add"),
        ("probe", "mixup", (0.0, 0.0), "0"),
    ],
)
def test_competition_narrows(fit: Fit, knob: str, wanted: Any, shown: str) -> None:
    found = space(fit, competition=replace(SQUARES, space={knob: wanted}))
    assert [str(each) for each in found.knobs if each.name == knob] == [shown]
    assert draw(found, 1)[knob] in (wanted if knob == "cut" else [draw(found, 1)[knob]])


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ({"strenght": (0.0, 1.0)}, r"'strenght' \(did you mean strength\?\)"),
        ({"dropout": (0.5, 0.1)}, "the lower first"),
        ({"dropout": (0.1, 0.9)}, "narrows a range, it does not widen it"),
        ({"dropout": (0.1,)}, "two numbers"),
        ({"dropout": ("a", "b")}, "two numbers"),
        ({"dropout": 0.3}, "its two ends"),
        ({"strength": 0.5}, "strength=0.5, expected"),
        ({"mixup": (0.5, 0.9)}, "leaves none of its values"),
    ],
)
def test_impossible_narrowing_is_one_line(wanted: Any, line: str) -> None:
    with pytest.raises(BadInput, match=line):
        space("probe", competition=replace(SQUARES, space=wanted))


def test_differences_name_what_differs() -> None:
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == ["b: 2 then, 3 now", "c: none then, 4 now"]


def test_what_the_rule_has_none_of_is_not_tuned_and_every_space_can_be_drawn_from() -> None:
    """BiT's HyperRule sets weight decay to 0, which has no place on a logarithmic scale."""
    recipe = complete(Candidate("bit", "R50x1", "full"), "best", SQUARES)[1]
    assert recipe.weight_decay == 0
    found = space_of("full", recipe, SQUARES, (), ())
    assert {"weight_decay", "depth_decay"}.isdisjoint(knob.name for knob in found.knobs)
    assert draw(found, 0).keys() >= {"strength", "learning_rate"}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", names("comp.backbones"))
def test_the_space_of_every_candidate_can_be_drawn_from(name: str, preset: str) -> None:
    backbone = load_backbone(name)
    for fit in FITS if backbone.weights else ("scratch",):
        recipe = complete(Candidate(name, None, fit), preset, SQUARES)[1]
        assert draw(space_of(fit, recipe, SQUARES, backbone.options, ("a", recipe.cut)), 1), (name, fit)


def test_a_knob_whose_preset_says_zero_has_no_logarithm() -> None:
    recipe = replace(default("probe"), weight_decay=0.0)
    names_of = {knob.name for knob in space_of("probe", recipe, SQUARES, (), ()).knobs}
    assert "weight_decay" not in names_of and "learning_rate" in names_of
