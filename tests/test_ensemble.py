"""Ensembles: no rule sees the rows it is judged on, naive and nested part where there is something to overfit, the default is simple."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from comp.metrics import METRICS, metric
from submissions.ensemble import EQUAL, SIMPLE, SINGLE, choose, judge, methods
from submissions.greedy import greedy
from submissions.matched import Matched
from submissions.postprocess import Pipeline
from submissions.rules import Rule, blend, ranks
from submissions.stack import stack
from tests.made_runs import made_matched, spoil_fold

METHODS = methods(n_bags=3)
F1 = metric("macro_f1")


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("scored", ["macro_f1", "log_loss"])
def test_no_rule_depends_on_a_row_that_it_is_judged_on(name: str, scored: str) -> None:
    matched = made_matched()
    spoilt = spoil_fold(matched, 2)
    rules = [METHODS[name](one, [one.fitted(None), one.fitted(2)], metric(scored)) for one in (matched, spoilt)]
    assert rules[0][1] == rules[1][1]


def test_spoiling_a_fold_does_change_what_is_fitted_on_it() -> None:
    matched = made_matched()
    one, other = (stack(made, [made.fitted(None)], F1) for made in (matched, spoil_fold(matched, 2)))
    assert one != other


@pytest.mark.parametrize("name", METHODS)
def test_blending_some_rows_gives_the_same_bits_as_blending_all(name: str) -> None:
    matched = made_matched(n_rows=5000)
    rule = METHODS[name](matched, [matched.fitted(None)], F1)[0]
    rows = np.random.default_rng(1).permutation(5000)[:700]
    table = blend(rule, matched.oof)
    assert np.array_equal(blend(rule, matched.oof, rows), table[rows])
    assert np.allclose(table.sum(axis=1), 1, atol=1e-5) and (table >= 0).all()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("n_classes", [2, 6])
def test_a_rule_survives_json_to_the_last_bit(name: str, n_classes: int) -> None:
    matched = made_matched(n_classes=n_classes)
    pipeline = Pipeline(METHODS[name](matched, [matched.fitted(None)], F1)[0])
    again = Pipeline.from_dict(json.loads(json.dumps(pipeline.as_dict())))
    assert again == pipeline


def reference_greedy(matched: Matched, rows: np.ndarray, n_steps: int) -> np.ndarray:
    """Return the weights that greedy selection finds, written as one would read it in the paper."""
    taken: list[int] = []
    best, best_taken = -1.0, [0]
    for _ in range(n_steps):
        means = [np.mean([matched.oof[run] for run in [*taken, new]], axis=0) for new in range(len(matched.names))]
        scores = [
            f1_score(matched.truth[rows], mean[rows].argmax(axis=1), average="macro", zero_division=0) for mean in means
        ]
        taken = [*taken, int(np.argmax(np.round(scores, 12)))]
        if max(scores) > best + 1e-12:
            best, best_taken = max(scores), taken
    return np.bincount(best_taken, minlength=len(matched.names)) / len(best_taken)


@pytest.mark.parametrize("seed", range(4))
def test_greedy_is_what_the_paper_says(seed: int) -> None:
    matched = made_matched((0.5, 1.0, 0.8, 1.2), n_rows=200, seed=seed)
    fitted = [matched.fitted(k) for k in (None, 0, 3)]
    for rows, rule in zip(fitted, greedy(matched, fitted, F1, n_steps=8), strict=True):
        assert np.allclose(rule.weights, reference_greedy(matched, rows, 8))


@pytest.mark.parametrize("scored", ["macro_f1", "log_loss", "auc"])
def test_walking_in_step_changes_no_walk(scored: str) -> None:
    matched = made_matched(n_rows=200)
    fitted = [matched.fitted(k) for k in (None, *matched.folds)]
    together = greedy(matched, fitted, metric(scored), n_steps=6, n_bags=2)
    assert together == [greedy(matched, [rows], metric(scored), n_steps=6, n_bags=2)[0] for rows in fitted]


def test_stacking_is_no_worse_than_the_equal_mean_of_logarithms() -> None:
    matched = made_matched((0.2, 2.0))
    rule = stack(matched, [matched.fitted(None)], F1)[0]
    even = Rule("even", "log", (0.5, 0.5), (0.0,) * 6)
    losses = [log_loss(matched.truth, blend(one, matched.oof)) for one in (rule, even)]
    assert losses[0] < losses[1] and rule.weights[1] > rule.weights[0] >= 0


def test_ranks_share_the_better_place_and_know_no_confidence() -> None:
    table = np.array([[0.5, 0.3, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25]], np.float32)
    assert ranks(table).tolist() == [[1, 2, 3, 3], [1, 1, 1, 1]]
    rule = Rule("rank mean", "rank", (0.5, 0.5))
    assert np.allclose(blend(rule, [table, table]), blend(rule, [table, table**3]))


def test_two_classes_are_ranked_among_rows() -> None:
    matched = made_matched((1.0, 2.0), n_classes=2)
    rule = METHODS["rank mean"](matched, [matched.fitted(None)], metric("auc"))[0]
    squeezed = [np.stack([1 - table[:, 1] / 10, table[:, 1] / 10], axis=1) for table in matched.oof]
    again = METHODS["rank mean"](replace(matched, oof=squeezed), [matched.fitted(None)], metric("auc"))[0]
    assert np.allclose(blend(rule, matched.oof), blend(again, squeezed), atol=1e-3)


def test_where_nothing_can_be_overfitted_naive_and_nested_agree() -> None:
    for one in choose(made_matched((2.0, 2.0, 2.0), n_rows=12_000), F1).judged:
        assert abs(one.gap) < 0.002, one


def test_of_200_random_models_the_naive_score_lies_and_the_nested_does_not() -> None:
    matched = made_matched((0.0,) * 200, n_rows=300, n_classes=3)
    choice = choose(matched, metric("accuracy"), wanted=["greedy"])
    judged = {one.method: one for one in choice.judged}
    assert judged[SINGLE].naive > 0.39 and judged["greedy"].naive > 0.45
    assert judged[SINGLE].gap > 0.04 and judged["greedy"].gap > 0.08
    assert abs(judged["greedy"].nested - 1 / 3) < 0.09
    assert choice.chosen.method in SIMPLE


@pytest.mark.parametrize("scored", [name for name in METRICS if name != "top5"])
def test_the_default_is_simple_unless_another_is_better_beyond_its_standard_error(scored: str) -> None:
    choice = choose(made_matched((0.3, 1.0, 1.1)), metric(scored))
    judged = {one.method: one for one in choice.judged}
    simple = judged[choice.base]
    assert choice.base in SIMPLE and not metric(scored).is_better(
        judged[SINGLE if choice.base == EQUAL else EQUAL].nested, simple.nested
    )
    beaten = {name for name, one in judged.items() if name not in SIMPLE and one.gain > one.error}
    assert (choice.chosen.method in beaten) if beaten else (choice.chosen is simple)
    assert choice.chosen.method in choice.reason


def test_one_run_is_taken_as_it_is() -> None:
    matched = made_matched((1.0,))
    choice = choose(matched, F1)
    assert [one.method for one in choice.judged] == [SINGLE]
    assert np.array_equal(blend(choice.chosen.rule, matched.test), matched.test[0])


def test_a_constant_model_and_a_class_absent_from_the_other_folds_are_handled() -> None:
    matched = made_matched((1.0, 2.0, 1.5))
    constant = [*matched.oof[:2], np.full_like(matched.oof[2], 1 / 6)]
    rare = replace(matched, oof=constant, fold=np.where(matched.truth == 5, 0, matched.fold))
    for name, fit in METHODS.items():
        judged, table = judge(rare, F1, fit)
        assert np.isfinite(table).all() and 0 <= judged.nested <= 1, name
    weights = stack(rare, [rare.fitted(None)], F1)[0].weights
    # the logarithm of a constant says nothing: its coefficient stays where the penalty puts it
    assert weights[2] == pytest.approx(1 / 3, abs=0.01)


def test_rows_that_are_not_scored_are_not_fitted_on() -> None:
    matched = made_matched()
    is_counted = matched.truth != 0
    left_out = replace(matched, is_counted=is_counted)
    spoilt = replace(left_out, oof=[np.where(is_counted[:, None], table, 1 / 6) for table in matched.oof])
    for name, fit in METHODS.items():
        one, other = (fit(made, [made.fitted(None)], F1)[0] for made in (left_out, spoilt))
        assert one == other, name


def test_a_class_that_no_fitted_row_has_is_neither_favoured_nor_ruled_out() -> None:
    matched = made_matched((1.0, 2.0))
    rule = stack(matched, [matched.truth != 3], F1)[0]
    others = [bias for index, bias in enumerate(rule.bias) if index != 3]
    assert rule.bias[3] == pytest.approx(np.mean(others))
    labels = blend(rule, matched.oof).argmax(axis=1)
    assert 0.5 < (labels == 3).sum() / (matched.truth == 3).sum() < 1.5


def test_the_same_runs_give_the_same_choice() -> None:
    one, other = (choose(made_matched(), F1, n_bags=2) for _ in range(2))
    assert one.reason == other.reason and [j.rule for j in one.judged] == [j.rule for j in other.judged]
