"""Every metric equals scikit-learn's, and its interval is honest."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from comp.bootstrap import interval
from comp.errors import BadInput, Refused
from comp.metrics import METRICS, check_probabilities, metric

LABEL_METRICS: dict[str, Callable[..., float]] = {
    "accuracy": sk.accuracy_score,
    "macro_f1": lambda *a, **k: sk.f1_score(*a, average="macro", zero_division=0, **k),
    "weighted_f1": lambda *a, **k: sk.f1_score(*a, average="weighted", zero_division=0, **k),
    "balanced_accuracy": lambda truth, labels, **k: sk.recall_score(
        truth, labels, labels=np.unique(truth), average="macro", zero_division=0, **k
    ),
    "qwk": lambda truth, labels, **k: (
        # all grades, absent ones too: without them scikit-learn would bring those beside closer to each other
        sk.cohen_kappa_score(truth, labels, weights="quadratic", labels=np.arange(max(*truth, *labels) + 1), **k)
        if len({*truth, *labels}) > 1
        else 1.0
    ),
}


def made(n: int, n_classes: int, seed: int, skill: float = 1.0, decimals: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Make n rows whose true class stands out by `skill`; every class occurs where n allows; few decimals make ties."""
    generator = np.random.default_rng(seed)
    truth = generator.permutation(np.arange(n) % n_classes)
    logits = generator.normal(size=(n, n_classes))
    logits[np.arange(n), truth] += skill
    scores = np.round(np.exp(logits), decimals) + 10.0**-decimals
    return truth, scores / scores.sum(axis=1, keepdims=True)


tables = st.builds(
    made,
    st.integers(1, 60),
    st.integers(1, 8),
    st.integers(0, 999),
    st.sampled_from([-1.0, 0.0, 3.0]),
    st.integers(0, 3),
)
weightings = st.sampled_from(["none", "counts", "reals"])


def weights_of(kind: str, n: int) -> np.ndarray | None:
    generator = np.random.default_rng(n)
    return {"none": None, "counts": generator.integers(1, 4, n), "reals": generator.uniform(0.1, 3, n)}[kind]


@pytest.mark.parametrize("name", LABEL_METRICS)
@given(table=tables, weighting=weightings)
def test_label_metrics_equal_scikit_learn(name: str, table: tuple[np.ndarray, np.ndarray], weighting: str) -> None:
    truth, probabilities = table
    weights = weights_of(weighting, len(truth))
    expected = LABEL_METRICS[name](truth, probabilities.argmax(axis=1), sample_weight=weights)
    assert metric(name).function(truth, probabilities, weights) == pytest.approx(expected)


def test_balanced_accuracy_is_scikit_learns_where_that_one_does_not_warn() -> None:
    truth, probabilities = made(50, 3, 1)
    expected = sk.balanced_accuracy_score(truth, probabilities.argmax(axis=1))
    assert metric("balanced_accuracy").function(truth, probabilities) == pytest.approx(expected)


@given(
    table=tables.filter(lambda table: table[1].shape[1] > 1), weighting=weightings, dtype=st.sampled_from(["f4", "f8"])
)
def test_log_loss_equals_scikit_learn(table: tuple[np.ndarray, np.ndarray], weighting: str, dtype: str) -> None:
    truth, probabilities = table[0], table[1].astype(dtype)
    weights, classes = weights_of(weighting, len(truth)), np.arange(probabilities.shape[1])
    expected = sk.log_loss(truth, y_proba=probabilities, labels=classes, sample_weight=weights)
    assert metric("log_loss").function(truth, probabilities, weights) == pytest.approx(expected, rel=1e-5)


@given(n=st.integers(4, 60), seed=st.integers(0, 999), decimals=st.integers(0, 3), weighting=weightings)
def test_auc_of_two_classes_equals_scikit_learn(n: int, seed: int, decimals: int, weighting: str) -> None:
    truth, probabilities = made(n, 2, seed, 0.5, decimals)
    weights = weights_of(weighting, n)
    expected = sk.roc_auc_score(truth, probabilities[:, 1], sample_weight=weights)
    assert metric("auc").function(truth, probabilities, weights) == pytest.approx(expected)


@given(n_classes=st.integers(3, 6), seed=st.integers(0, 999), decimals=st.integers(0, 3))
def test_auc_of_many_classes_equals_scikit_learn(n_classes: int, seed: int, decimals: int) -> None:
    truth, probabilities = made(30, n_classes, seed, 0.5, decimals)
    expected = sk.roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
    assert metric("auc").function(truth, probabilities) == pytest.approx(expected)


@given(n_classes=st.integers(6, 12), seed=st.integers(0, 999), decimals=st.integers(0, 3), weighting=weightings)
def test_top5_equals_scikit_learn_ties_too(n_classes: int, seed: int, decimals: int, weighting: str) -> None:
    truth, probabilities = made(40, n_classes, seed, 0.0, decimals)
    weights, classes = weights_of(weighting, 40), np.arange(n_classes)
    expected = sk.top_k_accuracy_score(truth, probabilities, k=5, labels=classes, sample_weight=weights)
    assert metric("top5").function(truth, probabilities, weights) == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 3, 10])
@given(n_classes=st.integers(11, 12), seed=st.integers(0, 999), decimals=st.integers(0, 3))
def test_top_k_is_there_for_every_k(k: int, n_classes: int, seed: int, decimals: int) -> None:
    truth, probabilities = made(40, n_classes, seed, 0.0, decimals)
    expected = sk.top_k_accuracy_score(truth, probabilities, k=k, labels=np.arange(n_classes))
    assert metric(f"top{k}").function(truth, probabilities) == pytest.approx(expected)
    assert metric(f"top{k}").name == f"top{k}" and metric(f"top{k}").direction == "higher"


@pytest.mark.parametrize("name", ["top0", "top", "top-1", "top05", "top5x", "top٣"])
def test_what_is_no_top_k_is_unknown(name: str) -> None:
    with pytest.raises(BadInput, match=r"is unknown: expected one of .*top<k>"):
        metric(name)


@pytest.mark.parametrize(
    "classes", [("0", "1", "3", "4"), ("0", "1", "10", "2"), ("4", "3", "1", "0"), ("-1", "2", "07")]
)
@given(seed=st.integers(0, 999), skill=st.sampled_from([-1.0, 0.0, 3.0]), weighting=weightings)
def test_qwk_measures_between_the_numbers_that_classes_are(
    classes: tuple[str, ...], seed: int, skill: float, weighting: str
) -> None:
    truth, probabilities = made(40, len(classes), seed, skill)
    weights, numbers = weights_of(weighting, 40), np.array([int(name) for name in classes])
    # scikit-learn measures between places: it needs every number in between as a label, whether a row has it or not
    every = np.arange(numbers.min(), numbers.max() + 1)
    expected = sk.cohen_kappa_score(
        numbers[truth], numbers[probabilities.argmax(axis=1)], weights="quadratic", labels=every, sample_weight=weights
    )
    found = metric("qwk", classes)
    assert found.function(truth, probabilities, weights) == pytest.approx(expected)
    assert found.of_labels is not None and found.name == "qwk"


def test_qwk_over_a_gap_as_worked_by_hand() -> None:
    labels = np.eye(3)[[0, 1, 1]]
    # truths 0, 1, 3 are called 0, 1, 1: squares 0, 0, 4; each truth against each label: 0 1 1, 1 0 0, 9 4 4
    assert metric("qwk", ["0", "1", "3"]).function(np.arange(3), labels) == pytest.approx(1 - (4 / 3) / (20 / 9))
    # as 0, 1, 2 the last costs 1, and by chance 0 1 1, 1 0 0, 4 1 1
    assert metric("qwk").function(np.arange(3), labels) == pytest.approx(1 - (1 / 3) / (9 / 9))


@pytest.mark.parametrize("odd", ["mild", "", "nan", "inf"])
def test_qwk_of_what_is_no_number_is_one_line(odd: str) -> None:
    with pytest.raises(BadInput, match=rf"metric qwk: class '{odd}' is no number") as refusal:
        metric("qwk", ["0", "1", odd])
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", METRICS)
@given(seed=st.integers(0, 999))
def test_a_weight_means_that_a_row_is_there_so_often(name: str, seed: int) -> None:
    truth, probabilities = made(30, 4, seed, 0.5, 1)
    counts = np.random.default_rng(seed).integers(0, 4, 30)
    counts[:4] = 1
    truth[:4] = range(4)
    repeated = metric(name).function(np.repeat(truth, counts), np.repeat(probabilities, counts, axis=0))
    assert metric(name).function(truth, probabilities, counts) == pytest.approx(repeated)


@pytest.mark.parametrize("name", METRICS)
@given(n=st.integers(2, 30), n_classes=st.integers(2, 9))
def test_the_answers_score_one(name: str, n: int, n_classes: int) -> None:
    truth = np.arange(n) % n_classes
    perfect = np.eye(n_classes, dtype=np.float32)[truth]
    assert metric(name).function(truth, perfect) == pytest.approx(0.0 if name == "log_loss" else 1.0, abs=1e-6)


def test_macro_f1_counts_a_class_that_is_only_in_the_labels() -> None:
    probabilities = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0]])
    assert metric("macro_f1").function(np.array([0, 0]), probabilities) == pytest.approx((2 / 3 + 0) / 2)


@pytest.mark.parametrize("name", METRICS)
def test_direction_says_which_way_is_better(name: str) -> None:
    bad, good = (metric(name).function(*made(400, 8, 3, skill)) for skill in (0.0, 3.0))
    assert (good > bad) == (metric(name).direction == "higher")


def test_an_unknown_metric_is_one_line_that_names_the_known() -> None:
    with pytest.raises(BadInput, match="'f2' is unknown: expected one of accuracy, macro_f1"):
        metric("f2")


@pytest.mark.parametrize(
    ("row", "said"), [([np.nan, 1.0], "nan"), ([-0.1, 1.1], "-0.1"), ([0.5, 0.4], "0.9"), ([np.inf, -np.inf], "nan")]
)
def test_the_first_row_that_is_no_probabilities_is_named(row: list[float], said: str) -> None:
    probabilities = np.array([[0.5, 0.5], [0.5004, 0.5004], row, row])
    with pytest.raises(Refused, match=rf"fold 2: .*{said}.* in row 2 \(2 such of 4\)"):
        check_probabilities(probabilities, "fold 2")


@pytest.mark.parametrize("probabilities", [np.ones(3), np.ones((3, 0)), np.ones((3, 1), int)])
def test_what_is_no_table_of_probabilities_is_refused(probabilities: np.ndarray) -> None:
    with pytest.raises(Refused, match="fold 2: expected floats, one row a photo"):
        check_probabilities(probabilities, "fold 2")


@pytest.mark.parametrize("name", METRICS)
def test_metric_and_interval_refuse_probabilities_that_are_none(name: str) -> None:
    truth, probabilities = made(12, 3, 0)
    probabilities[7] = np.nan
    for score in (metric(name).function, lambda *table: interval(metric(name), *table)):
        with pytest.raises(Refused, match="row 7"):
            score(truth, probabilities)


@pytest.mark.parametrize(
    "truth",
    [np.array([0, 1]), np.array([0, 1, -1]), np.array([0, 1, 2]), np.array([0.0, 1.0, 1.0]), np.array([[0, 1, 1]])],
)
def test_a_truth_that_does_not_fit_is_one_line(truth: np.ndarray) -> None:
    with pytest.raises(BadInput, match=r"accuracy: expected .*true class ind"):
        metric("accuracy").function(truth, np.full((3, 2), 0.5))


def test_no_rows_are_one_line() -> None:
    with pytest.raises(BadInput, match="at least one"):
        metric("accuracy").function(np.array([], int), np.empty((0, 2)))


@pytest.mark.parametrize("weights", [[1, 1], [1, 1, -1], [1, 1, np.nan], [0, 0, 0]])
def test_weights_that_weigh_nothing_are_one_line(weights: list[float]) -> None:
    with pytest.raises(BadInput, match="expected 3 weights"):
        metric("accuracy").function(np.array([0, 1, 1]), np.full((3, 2), 0.5), np.array(weights))


def test_auc_of_one_class_is_refused() -> None:
    with pytest.raises(Refused, match="auc: expected rows of at least two classes"):
        metric("auc").function(np.array([1, 1]), np.full((2, 2), 0.5))


def test_auc_leaves_out_a_class_without_rows() -> None:
    truth, probabilities = made(30, 3, 5)
    wider = np.column_stack([probabilities * 0.9, np.full(30, 0.1)])
    assert metric("auc").function(truth, wider) == pytest.approx(metric("auc").function(truth, probabilities))


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=10)
@given(seed=st.integers(0, 999))
def test_the_interval_contains_the_point(name: str, seed: int) -> None:
    truth, probabilities = made(400, 8, seed)
    low, high = interval(metric(name), truth, probabilities, n_resamples=200)
    assert low < metric(name).function(truth, probabilities) < high


@pytest.mark.parametrize("name", METRICS)
def test_the_interval_shrinks_with_more_rows_and_grows_with_the_level(name: str) -> None:
    widths = [
        np.diff(interval(metric(name), *made(n, 8, 0), n_resamples=200, level=level))[0]
        for n, level in ((1600, 0.95), (100, 0.95), (100, 0.99))
    ]
    assert widths[0] < widths[1] / 2 and widths[1] < widths[2]


def test_the_interval_is_the_seeds() -> None:
    truth, probabilities = made(100, 8, 0)
    first, again, other = (interval(metric("macro_f1"), truth, probabilities, 50, seed=seed) for seed in (3, 3, 4))
    assert first == again != other


def test_resamples_keep_the_size_of_each_class() -> None:
    truth = np.array([0] * 97 + [1, 1, 2])
    probabilities = np.full((100, 3), 1 / 3)  # label 0 in every row: recall is (1 + 0 + 0) / 3 in every resample
    assert interval(metric("balanced_accuracy"), truth, probabilities, 50) == pytest.approx((1 / 3, 1 / 3))
    assert interval(metric("accuracy"), truth, probabilities, 50) == pytest.approx((0.97, 0.97))


def test_the_interval_covers_the_true_accuracy() -> None:
    generator, n, accuracy, covered = np.random.default_rng(1), 300, 0.7, 0
    for repeat in range(200):
        truth = np.arange(n) % 3
        labels = np.where(generator.random(n) < accuracy, truth, (truth + 1) % 3)
        low, high = interval(metric("accuracy"), truth, np.eye(3)[labels], n_resamples=200, seed=repeat)
        covered += low <= accuracy <= high
    assert 0.88 <= covered / 200 <= 1.0


@pytest.mark.parametrize("options", [{"n_resamples": 0}, {"level": 1.0}, {"level": 0.0}])
def test_an_interval_of_nothing_is_one_line(options: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="interval: expected n_resamples >= 1 and 0 < level < 1"):
        interval(metric("accuracy"), *made(10, 2, 0), **options)  # type: ignore[arg-type]


def test_importing_the_metrics_does_not_import_scikit_learn() -> None:
    code = "import sys, comp.metrics; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
