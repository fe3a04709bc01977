"""Is a gain real, asked of runs that were really trained: seeds of one recipe do not differ, a recipe that learns more does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from comp.engine import ignore_events
from comp.engines.inline import InlineEngine
from comp.images import PixelSpec
from comp.metrics import metric
from comp.tables import read_tables
from comp.twins import no_twins
from folds.cv import train_runs
from folds.dataset import Dataset, make_dataset
from folds.oof import Predictions
from submissions.compare import Comparison, compare
from submissions.matched import match
from tests.frozen import PIXELS, fill, frozen_plan, save_tiny
from tests.made import SQUARES, make_squares, read_all

HARDLY, WELL = 3, 20  # epochs
SCORED = metric("accuracy")


@dataclass
class Trained:
    """Heads that were really trained on noisy squares, by number of epochs and seed; each is trained when it is first asked for."""

    dataset: Dataset
    weights: Path
    found: dict[str, Predictions] = field(default_factory=dict)

    def names(self, epochs: int, seeds: Sequence[int]) -> list[str]:
        plans = [frozen_plan(self.dataset, self.weights, "probe", seed=s, epochs=epochs, views=1) for s in seeds]
        new = [plan for plan in plans if plan.name not in self.found]
        for plan in new[:1]:
            fill(self.dataset, plan)
        made = train_runs(new, self.dataset, InlineEngine(), ignore_events)
        self.found.update({plan.name: one for plan, one in zip(new, made, strict=True)})
        return [plan.name for plan in plans]

    def compare(self, a: list[str], b: list[str]) -> Comparison:
        return compare(match(self.dataset, self.found), a, b, SCORED)


@pytest.fixture
def trained(in_folder: Path) -> Trained:
    folder = make_squares(in_folder / "data", n_rows=240, noise=150.0)
    tables = read_tables(SQUARES, folder)
    dataset = make_dataset(tables, read_all(tables, [PixelSpec(PIXELS)]), no_twins(240), 2)
    return Trained(dataset, save_tiny(in_folder / "mine" / "vgg.weights.h5"))


@pytest.mark.slow  # tests/test_compare.py asks the same of made runs
def test_seeds_of_one_recipe_do_not_differ_and_a_recipe_that_learns_more_does(trained: Trained) -> None:
    seeds = trained.names(HARDLY, range(4))
    assert len({trained.found[name].oof.tobytes() for name in seeds}) == 4
    for a, b, c, d in ((0, 1, 2, 3), (0, 2, 1, 3), (0, 3, 1, 2)):
        found = trained.compare([seeds[a], seeds[b]], [seeds[c], seeds[d]])
        assert not found.is_real and found.covers == "rows and seeds"
    better = trained.names(WELL, range(2))
    found = trained.compare(seeds[:2], better)
    assert found.is_real and found.gain > 0.05
    assert not trained.compare(better, seeds[:2]).gain > 0
    assert not trained.compare(seeds[:1], better[:1]).is_real  # one seed each cannot tell


@pytest.mark.slow
def test_over_20_pairs_of_trained_seeds_at_most_2_are_called_a_real_gain(trained: Trained) -> None:
    seeds = trained.names(HARDLY, range(10))
    random = np.random.default_rng(1)
    orders = [random.permutation(10)[:4] for _ in range(20)]
    pairs = [([seeds[i] for i in order[:2]], [seeds[i] for i in order[2:]]) for order in orders]
    assert sum(trained.compare(a, b).is_real for a, b in pairs) <= 2


@pytest.mark.slow
def test_of_all_pairs_of_pairs_of_trained_seeds_few_are_called_a_real_gain(trained: Trained) -> None:
    """3.3 % of 630, at a level of 5 %; degrees of freedom of Welch and Satterthwaite called 7.1 %."""
    pairs = []
    for w, x, y, z in combinations(trained.names(HARDLY, range(10)), 4):
        pairs += [([w, x], [y, z]), ([w, y], [x, z]), ([w, z], [x, y])]
    assert len(pairs) == 630 and sum(trained.compare(a, b).is_real for a, b in pairs) <= 0.05 * 630
