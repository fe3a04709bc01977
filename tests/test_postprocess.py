"""The phylum and post-processing: what is known rules out, what is fitted is judged nested, and only what helps is kept."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comp.errors import BadInput
from comp.metrics import metric
from submissions.ensemble import choose, score_of
from submissions.matched import Matched
from submissions.phylum import (
    check_phylum,
    decode,
    facts_of,
    fallback_line,
    learn,
    refuse_contradictions,
)
from submissions.postprocess import Ensemble, Pipeline, Trial, postprocess
from submissions.rules import Rule
from submissions.steps import KINDS, sight
from tests.made_runs import PHYLA, made_matched, spoil_fold

F1, LOSS = metric("macro_f1"), metric("log_loss")


def processed(matched: Matched, scored: str = "macro_f1", phylum: str = "auto") -> tuple[Ensemble, dict[str, Trial]]:
    choice = choose(matched, metric(scored), wanted=[])
    ensemble, trials = postprocess(matched, choice.chosen, metric(scored), phylum)
    return ensemble, {one.name: one for one in trials}


def learnt_facts(matched: Matched) -> dict[str, object]:
    return facts_of(learn(matched.truth, matched.condition, matched.classes), matched.truth, matched.n_classes)


@given(st.integers(0, 200), st.integers(2, 8), st.sampled_from([0.0, 1.0]))
def test_decoding_leaves_classes_of_the_row_s_phylum_and_sums_to_one(seed: int, n_classes: int, zeros: float) -> None:
    matched = made_matched((0.5,), n_rows=40, n_classes=n_classes, seed=seed)
    table = matched.oof[0] * (np.random.default_rng(seed).random(matched.oof[0].shape) > zeros / 2)
    out = decode(learnt_facts(matched), table, matched.condition)
    phyla = np.array([PHYLA[c % 2] for c in range(n_classes)])
    is_foreign = phyla[None, :] != matched.condition[:, None].astype(str)
    assert (out[is_foreign] == 0).all() and np.allclose(out.sum(axis=1), 1, atol=1e-6)
    assert (out[np.arange(40), matched.truth] >= table[np.arange(40), matched.truth] - 1e-6).all()


def test_rows_of_no_or_an_unknown_phylum_stay_as_they_are_and_are_counted() -> None:
    matched = made_matched((0.5,), n_rows=60)
    facts, condition = learnt_facts(matched), matched.condition.copy()
    condition[:3], condition[3:5] = "", "porifera"
    out = decode(facts, matched.oof[0], condition)
    assert np.array_equal(out[:5], matched.oof[0][:5]) and (out[5:] == 0).any()
    line = fallback_line(facts, condition, "phylum", "test rows")
    assert (
        line == "warning: phylum is not used for 5 of 60 test rows: 3 have none, 2 one that no train row has (porifera)"
    )
    assert fallback_line(facts, matched.condition, "phylum", "test rows") == ""


def test_a_model_that_gives_a_phylum_nothing_gets_its_shares() -> None:
    matched = made_matched((0.5,), n_rows=60, n_classes=4)
    table = np.array([[1.0, 0, 0, 0]], np.float32)
    out = decode(learnt_facts(matched), table, np.array(["chordata"], dtype=object))
    assert np.allclose(out, [[0, 0.5, 0, 0.5]])


def test_contradictions_are_listed_and_refused_where_decoding_is_asked_for() -> None:
    learnt = learn(np.array([0, 0, 0, 1, 1]), ["a", "a", "b", "a", ""], ["ape", "bee"])
    assert learnt.contradictions == ["ape: a 2, b 1"] and learnt.phylum_of == {1: "a"}
    with pytest.raises(BadInput, match="1 classes have more than one phylum, expected one each: ape: a 2, b 1"):
        refuse_contradictions(learnt, "phylum")


def test_auto_does_not_decode_a_phylum_that_is_no_function_of_the_class() -> None:
    matched = made_matched()
    condition = matched.condition.copy()
    condition[0] = PHYLA[0] if condition[0] == PHYLA[1] else PHYLA[1]
    _, trials = processed(replace(matched, condition=condition))
    assert "decode" not in trials


@pytest.mark.parametrize(
    ("phylum", "column", "words"),
    [
        ("yes", "phylum", "expected one of auto, no, decode, input, split"),
        ("decode", None, "no condition column"),
        ("input", None, "no condition column"),
        ("split", None, "no condition column"),
    ],
)
def test_phylum_is_one_of_what_can_be_done(phylum: str, column: str | None, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        check_phylum(phylum, column)
    check_phylum("auto", None)


def test_decoding_helps_here_and_is_kept_by_auto_forced_by_decode_left_by_no() -> None:
    matched = made_matched((0.5, 0.7))
    _, auto = processed(matched)
    assert auto["decode"].is_kept and auto["decode"].gain > 0.05
    assert "decode" not in processed(matched, phylum="no")[1]
    nowhere = replace(matched, condition=np.array(["a"] * 600, dtype=object))
    assert processed(nowhere, phylum="decode")[1]["decode"].is_kept
    assert processed(nowhere)[1]["decode"].gain == 0  # one phylum rules nothing out; not negative, so auto keeps it
    assert "decode" not in processed(replace(matched, condition=np.array([""] * 600, dtype=object)))[1]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("scored", ["macro_f1", "log_loss"])
def test_no_step_depends_on_a_row_that_it_is_judged_on(name: str, scored: str) -> None:
    matched = made_matched()
    spoilt = spoil_fold(matched, 2)
    one, other = (
        KINDS[name].fit(sight(made, made.oof[0], made.fitted(2), metric(scored))) for made in (matched, spoilt)
    )
    assert one == other


def test_the_whole_pipeline_of_a_fold_does_not_depend_on_the_fold() -> None:
    matched = made_matched((0.5, 1.0))
    ensembles = [
        postprocess(made, choose(made, F1).judged[-1], F1)[0] for made in (matched, spoil_fold(matched, 2, seed=3))
    ]
    rules = [ensemble.by_fold[2].rule for ensemble in ensembles]
    assert rules[0] == rules[1]


def test_every_kept_step_has_a_positive_nested_gain_and_gains_add_up() -> None:
    matched = made_matched((0.4, 0.8))
    sharp = [np.asarray(table**3 / (table**3).sum(axis=1, keepdims=True), np.float32) for table in matched.oof]
    matched = replace(matched, oof=sharp)
    for scored in ("macro_f1", "log_loss"):
        start = choose(matched, metric(scored), wanted=[]).chosen
        ensemble, trials = postprocess(matched, start, metric(scored))
        kept = [one for one in trials if one.is_kept]
        assert all(one.gain > 0 or one.name == "decode" for one in kept)
        assert all(one.gain <= 0 for one in trials if not one.is_kept)
        total = metric(scored).gain(score_of(metric(scored), matched, ensemble.nested(matched)), start.nested)
        assert total == pytest.approx(sum(one.gain for one in kept), abs=1e-9)
        assert [step.name for step in ensemble.pipeline.steps] == [one.name for one in kept]


def test_temperature_is_found_and_means_nothing_to_labels() -> None:
    matched = made_matched((1.0,), n_rows=6000)
    sharp = np.asarray(matched.oof[0] ** 3 / (matched.oof[0] ** 3).sum(axis=1, keepdims=True), np.float32)
    facts = KINDS["temperature"].fit(sight(matched, sharp, matched.fitted(None), LOSS))
    assert facts is not None and facts["temperature"] == pytest.approx(3, rel=0.1)
    assert KINDS["temperature"].fit(sight(matched, sharp, matched.fitted(None), F1)) is None


def test_prior_correction_helps_rare_classes_of_a_model_that_leans_on_the_prior() -> None:
    matched = made_matched((1.5,), n_rows=6000)
    lean = matched.oof[0] * np.array([20, 1, 1, 1, 1, 1])
    rows = (matched.truth == 0) | (np.arange(6000) % 10 == 0)
    few = replace(
        matched,
        oof=[np.asarray(lean / lean.sum(axis=1, keepdims=True), np.float32)[rows]],
        truth=matched.truth[rows],
        fold=matched.fold[rows],
        is_counted=matched.is_counted[rows],
        condition=matched.condition[rows],
    )
    _ensemble, trials = processed(few, phylum="no")
    assert trials["prior correction"].is_kept and trials["prior correction"].gain > 0.05


@pytest.mark.parametrize("name", ["prior correction", "bias"])
def test_a_class_that_no_fitted_row_has_is_neither_favoured_nor_ruled_out(name: str) -> None:
    matched = made_matched((2.0,))
    facts = KINDS[name].fit(sight(matched, matched.oof[0], matched.truth != 3, F1))
    assert facts is not None
    labels = KINDS[name].apply(facts, matched.oof[0], matched.condition).argmax(axis=1)
    assert 0.5 < (labels == 3).sum() / (matched.truth == 3).sum() < 1.5


def test_clipping_saves_the_log_loss_of_a_model_that_is_too_sure() -> None:
    matched = made_matched((3.0,))
    table = np.eye(6, dtype=np.float32)[matched.oof[0].argmax(axis=1)]
    _, trials = processed(replace(matched, oof=[table]), "log_loss", phylum="no")
    assert trials["clipping"].is_kept or trials["temperature"].is_kept


def test_a_pipeline_with_every_step_survives_json_to_the_last_bit() -> None:
    matched = made_matched((0.5, 0.8))
    ensemble, _ = processed(matched, "macro_f1")
    again = Pipeline.from_dict(json.loads(json.dumps(ensemble.pipeline.as_dict())))
    assert np.array_equal(
        again.run(matched.test, matched.test_condition), ensemble.pipeline.run(matched.test, matched.test_condition)
    )
    with pytest.raises(BadInput, match="step 'magic'"):
        Pipeline.from_dict({**Rule("x", "mean", (1.0,)).as_dict(), "postprocessing": [{"step": "magic"}]})
