"""BiT's HyperRule as a recipe: all settings follow from the photos, the rate is the rule's own, and other recipes stay as they were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from comp import hyperrule
from comp.competitions.flowers import COMPETITION as FLOWERS
from comp.spec import Candidate, Recipe
from folds.by_rule import RULE, by_rule, for_rows
from folds.optimizer import Stairs, make_optimizer
from folds.presets import complete


def test_only_bit_tuned_whole_in_the_longest_preset_goes_by_the_rule() -> None:
    _, recipe = complete(Candidate("bit", "R50x1", "full"), "best", FLOWERS)
    assert (recipe.optimizer, recipe.learning_rate, recipe.batch_size * recipe.accumulation_steps) == (RULE, 0.003, 512)
    assert recipe.pixels == 480 and recipe.weight_decay == 0
    for name, preset in (("bit", "standard"), ("resnet", "best")):
        assert complete(Candidate(name, fit="full"), preset, FLOWERS)[1].optimizer == "adamw"
    small = replace(FLOWERS, pixels=32)
    assert complete(Candidate("bit", "R50x1", "full"), "best", small)[1].pixels == 128
    assert complete(Candidate("bit", "R50x1", "full", 64), "best", small)[1].pixels == 64


@pytest.mark.parametrize(("n_rows", "steps", "mixup"), [(1_600, 500, 0.0), (40_000, 10_000, 0.1)])
def test_epochs_and_mixup_follow_from_the_number_of_rows(n_rows: int, steps: int, mixup: float) -> None:
    recipe = for_rows(by_rule(Recipe(optimizer=RULE)), n_rows)
    taken = n_rows // recipe.batch_size * recipe.epochs // recipe.accumulation_steps
    assert taken == pytest.approx(steps, rel=0.05) and recipe.mixup == mixup
    assert by_rule(Recipe()) == for_rows(Recipe(), n_rows) == Recipe()


@pytest.mark.parametrize(("n_rows", "n_steps"), [(1_000, 500), (50_000, 10_000)])
def test_the_rate_is_that_of_the_rule(n_rows: int, n_steps: int) -> None:
    stairs = Stairs(0.003, n_steps)
    for step in (0, 50, 100, 101, 250, 301, 450, n_steps - 1):
        expected = hyperrule.learning_rate(step, n_rows)
        assert float(np.asarray(stairs(step))) == pytest.approx(expected, rel=1e-4)
    optimizer = make_optimizer(by_rule(Recipe(optimizer=RULE)), n_steps * 16)
    assert type(optimizer).__name__ == "SGD" and float(np.asarray(optimizer.momentum)) == pytest.approx(0.9)


def test_recipes_from_before_keep_their_keys() -> None:
    assert "optimizer" not in Recipe().as_dict() and Recipe(**Recipe().as_dict()) == Recipe()
    ruled = Recipe(optimizer=RULE)
    assert Recipe(**ruled.as_dict()) == ruled
