"""Is a gain real: chance alone is seldom called one, a true gain is, and what one seed cannot tell is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from comp.metrics import metric
from submissions.compare import compare
from submissions.matched import Matched
from tests.made_runs import made_matched

F1 = metric("macro_f1")
N_SEEDS = 40


def seeds_of(skills: list[float], n_rows: int = 1200, seed: int = 0) -> Matched:
    """Return runs that share how hard each row is, as runs of one recipe do, and differ by chance and by skill."""
    random = np.random.default_rng(seed)
    matched = made_matched((1.0,) * len(skills), n_rows=n_rows, seed=seed)
    hard = random.normal(size=(n_rows, 6))
    tables = []
    for skill in skills:
        logits = hard + 0.7 * random.normal(size=(n_rows, 6))
        logits[np.arange(n_rows), matched.truth] += skill
        powers = np.exp(logits)
        tables.append(np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32))
    return replace(matched, oof=tables)


def chance_skills(spread: float, seed: int = 1) -> list[float]:
    return list(1.5 + spread * np.random.default_rng(seed).normal(size=N_SEEDS))


def test_one_seed_each_is_called_no_real_gain_and_seldom_beyond_the_noise_of_rows() -> None:
    matched = seeds_of(chance_skills(0.0))
    names = matched.names
    found = [compare(matched, [names[i]], [names[i + 20]], F1) for i in range(20)]
    assert sum(one.is_beyond_noise for one in found) <= 2 and not any(one.is_real for one in found)
    assert all("rows only" in one.verdict for one in found)
    far = seeds_of([1.0, 3.0])
    told = compare(far, far.names[:1], far.names[1:], F1)
    assert told.is_beyond_noise and not told.is_real and "SEEDS=2" in told.verdict


@pytest.mark.parametrize("spread", [0.0, 0.15])
def test_of_20_pairs_of_seeds_of_one_recipe_at_most_2_are_called_a_real_gain_even_where_seeds_differ_in_skill(
    spread: float,
) -> None:
    matched = seeds_of(chance_skills(spread))
    names = matched.names
    pairs = [([names[i], names[i + 10]], [names[i + 20], names[i + 30]]) for i in range(10)]
    pairs += [([names[i], names[i + 20]], [names[i + 10], names[i + 30]]) for i in range(10)]
    found = [compare(matched, a, b, F1) for a, b in pairs]
    assert sum(one.is_real for one in found) <= 2 and {one.covers for one in found} == {"rows and seeds"}


def test_a_true_gain_is_found_whichever_way_is_better() -> None:
    matched = seeds_of([1.0, 1.0, 1.0, 1.8, 1.8, 1.8])
    a, b = matched.names[:3], matched.names[3:]
    for name in ("macro_f1", "log_loss"):
        found = compare(matched, a, b, metric(name))
        assert found.is_real and found.gain > 0 and "B is really better" in found.verdict
        back = compare(matched, b, a, metric(name))
        assert back.gain == pytest.approx(-found.gain) and back.low == pytest.approx(-found.high)
        assert "B is really worse" in back.verdict


def test_a_run_against_itself_is_no_gain_at_all() -> None:
    matched = seeds_of([1.0, 1.0])
    twice = replace(matched, oof=[matched.oof[0]] * 2)
    found = compare(twice, [matched.names[0]], [matched.names[1]], F1)
    assert (found.gain, found.error, found.low, found.high, found.is_real) == (0, 0, 0, 0, False)


def test_more_rows_make_a_narrower_interval() -> None:
    errors = []
    for n_rows in (600, 6000):
        matched = seeds_of([1.0, 1.2], n_rows)
        errors.append(compare(matched, matched.names[:1], matched.names[1:], F1).error)
    assert errors[1] == pytest.approx(errors[0] / np.sqrt(10), rel=0.4)
