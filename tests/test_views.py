"""Views that a run averages: chosen on out-of-fold rows without the fold's own say, kept where they nest better, made again by verify."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from comp.engine import ignore_events
from comp.engines.inline import InlineEngine
from comp.errors import Refused
from comp.images import CACHE, PixelSpec
from comp.metrics import metric
from comp.spec import Recipe
from folds.cv import train_runs, write_run
from folds.dataset import Dataset
from folds.oof import read_predictions
from folds.runs import RunPlan, run_dir, views_dir
from folds.views import n_views_of, own_views, predict_test, view_jobs, views_of
from submissions.combine import combine
from submissions.ensemble import choose, score_of
from submissions.matched import Matched
from submissions.postprocess import Ensemble, Pipeline, Trial, postprocess
from submissions.views import ask_by_view, choose_views, stored_views, views_words
from tests.frozen import PIXELS, fill, frozen_plan, save_tiny
from tests.made import SQUARES, run_plan, squares_dataset
from tests.made_runs import made_matched, spoil_fold, told

F1 = metric("macro_f1")


@dataclass
class MadeViews:
    """Stands for a run on disk: one made table a view, averaged as asked."""

    tables: list[np.ndarray]
    tests: list[np.ndarray]
    own: int = 1
    asked: list[int] = field(default_factory=list)

    @property
    def n_views(self) -> int:
        return len(self.tables)

    def oof(self, n: int) -> np.ndarray:
        return np.asarray(np.mean(self.tables[:n], axis=0), np.float32)

    def test(self, n: int) -> np.ndarray:
        self.asked.append(n)
        return np.asarray(np.mean(self.tests[:n], axis=0), np.float32)


def with_views(matched: Matched, skills: tuple[float, ...], seed: int = 5) -> Matched:
    """Return the runs, each with views of the given skills; the first view is what the run says by itself."""
    random = np.random.default_rng(seed)
    views = {}
    for name, oof, test in zip(matched.names, matched.oof, matched.test, strict=True):
        tables = [oof, *(told(matched.truth, skill, matched.n_classes, random) for skill in skills)]
        tests = [test, *(told(np.arange(len(test)) % matched.n_classes, s, matched.n_classes, random) for s in skills)]
        views[name] = MadeViews(tables, tests)
    return replace(matched, views=views)  # type: ignore[arg-type]


def processed(matched: Matched) -> tuple[Ensemble, dict[str, Trial]]:
    ensemble, trials = postprocess(matched, choose(matched, F1, wanted=[]).chosen, F1, "no")
    return ensemble, {one.name: one for one in trials}


def test_views_that_help_are_averaged_and_the_nested_score_is_of_what_is_handed_in() -> None:
    matched = with_views(made_matched((1.0, 1.2)), (1.0, 1.0, 1.0))
    ensemble, trials = processed(matched)
    assert trials["views"].is_kept and trials["views"].gain > 0.03
    assert min(ensemble.pipeline.views) > 1 and trials["views"].words == views_words(ensemble.pipeline.views)
    kept = [one for one in trials.values() if one.is_kept]
    assert score_of(F1, matched, ensemble.nested(matched)) == pytest.approx(kept[-1].score)
    expected = ensemble.pipeline.run(
        [matched.views[name].test(n) for name, n in zip(matched.names, ensemble.pipeline.views, strict=True)],
        matched.test_condition,
    )
    assert np.array_equal(ensemble.test(matched), expected)


def test_views_that_only_blur_are_left_out_and_no_test_row_is_asked_under_them() -> None:
    matched = with_views(made_matched((2.0,)), (-3.0, -3.0))
    ensemble, trials = processed(matched)
    assert not trials["views"].is_kept and ensemble.pipeline.views == ()
    ensemble.test(matched)
    assert matched.views["run0"].asked == []  # type: ignore[attr-defined]


def test_a_fold_has_no_say_in_the_views_that_its_rows_are_scored_under() -> None:
    matched = with_views(made_matched((1.0, 1.5)), (0.9, 1.1, 0.3))
    spoilt = spoil_fold(matched, 2)
    rows = matched.fold == 2
    for name, views in matched.views.items():
        other = [np.where(rows[:, None], spoilt.oof[0], table) for table in views.tables]  # type: ignore[attr-defined]
        spoilt.views[name].tables[:] = other  # type: ignore[attr-defined]
    rule = choose(matched, F1, wanted=["equal mean"]).judged[1].rule
    first = with_views(made_matched((1.0, 1.5)), (0.9, 1.1, 0.3))
    one, other_ = (choose_views(made, {2: rule}, F1) for made in (first, spoilt))
    assert one == other_ is not None


def test_a_run_of_one_way_keeps_it_and_none_is_tried_where_all_are() -> None:
    matched = with_views(made_matched((1.0, 1.0)), (1.0, 1.0))
    matched.views.pop("run1")  # type: ignore[attr-defined]
    chosen = choose_views(matched, {None: choose(matched, F1, wanted=[]).judged[1].rule}, F1)
    assert chosen is not None and chosen[None][0] > 1 and chosen[None][1] == 0 and views_words((3, 0)) == "3, -"
    assert "views" not in processed(made_matched())[1]


def test_chosen_views_survive_the_manifest() -> None:
    matched = with_views(made_matched((1.0, 1.2)), (1.0, 1.0))
    pipeline = processed(matched)[0].pipeline
    assert pipeline.as_dict()["views"] == list(pipeline.views)
    assert Pipeline.from_dict(pipeline.as_dict()) == pipeline


@pytest.fixture
def dataset(in_folder: Path) -> Dataset:
    return squares_dataset(in_folder / "data", [PixelSpec(PIXELS)])[0]


@pytest.fixture
def probe(dataset: Dataset, in_folder: Path) -> RunPlan:
    """Return the plan of a trained run: a head on features of three views, of which it averages two by itself."""
    plan = frozen_plan(dataset, save_tiny(in_folder / "mine" / "vgg.weights.h5"), "probe", epochs=1)
    fill(dataset, plan)
    train_runs([plan], dataset, InlineEngine(), ignore_events)
    return plan


def test_a_trained_run_by_view_gives_its_own_tables_and_the_test_rows_under_what_was_chosen(
    dataset: Dataset, probe: RunPlan
) -> None:
    run = run_dir(dataset.folder, probe)
    predictions = read_predictions(run)
    views = ask_by_view([probe], dataset, InlineEngine())[probe.name]
    assert (views.n_views, views.own) == (3, 2) and view_jobs([probe], dataset) == []
    assert np.array_equal(views.oof(2), predictions.oof) and not np.array_equal(views.oof(1), predictions.oof)
    assert np.array_equal(views.test(2), predictions.test)  # asked anew, the same bytes
    drawn = views.test(3)
    assert drawn.shape == predictions.test.shape and not np.array_equal(drawn, predictions.test)
    stored = stored_views([run], dataset)[run.name]
    assert np.array_equal(stored.test(3), drawn)
    with pytest.raises(Refused, match="the test rows under 1 views"):
        stored.test(1)
    combined = combine(SQUARES, dataset, {run.name: predictions}, views={run.name: views})
    assert combined.trials[0].name == "views"
    (views_dir(run, "fold-0") / "valid.npy").write_bytes(b"torn")
    assert len(view_jobs([probe], dataset)) == 1
    with pytest.raises(Refused, match=r"fold-0 is not whole"):
        stored.oof(1)


@pytest.mark.parametrize(("tta", "own"), [(2, 2), (1, 1), (5, 3)])
def test_a_fit_asks_its_rows_by_view_once_and_keeps_what_its_model_says_when_asked_again(
    dataset: Dataset, in_folder: Path, monkeypatch: pytest.MonkeyPatch, tta: int, own: int
) -> None:
    weights = save_tiny(in_folder / "mine" / "vgg.weights.h5")
    plan = frozen_plan(dataset, weights, "probe", epochs=1, tta_views=tta)
    fill(dataset, plan)
    with monkeypatch.context() as patch:
        patch.setattr("folds.answers.answers_by_view", None)
        (predictions,) = train_runs([plan], dataset, InlineEngine(), ignore_events, by_view=True)
    assert view_jobs([plan], dataset) == []
    views = ask_by_view([plan], dataset, InlineEngine())[plan.name]
    assert np.array_equal(views.oof(own), predictions.oof)
    tables = views_dir(run_dir(dataset.folder, plan), "fold-0") / "valid.npy"
    kept = np.load(tables)
    assert len(kept) == 3
    tables.unlink()  # as if killed in between
    ask_by_view([plan], dataset, InlineEngine())
    assert np.array_equal(np.load(tables), kept)


@pytest.mark.parametrize(
    ("symmetries", "tta", "expected"),
    [
        (("flip",), 2, (2, 2)),
        (("flip",), 1, (2, 1)),
        ((), 2, (1, 1)),
        (("flip", "shift"), 2, (2, 2)),
        (("flip", "shift"), 6, (6, 6)),
        (("flip", "shift"), 99, (10, 10)),
        (("shift",), 99, (5, 5)),
    ],
)
def test_a_photo_has_the_views_that_leave_its_label_true_and_no_more_than_are_averaged(
    dataset: Dataset, symmetries: tuple[str, ...], tta: int, expected: tuple[int, int]
) -> None:
    plan = run_plan(dataset, Recipe(tta_views=tta))
    plan = replace(plan, facts={**plan.facts, "symmetries": list(symmetries)})
    assert (n_views_of(plan), own_views(plan)) == expected
    write_run(dataset.folder, plan)
    assert (views_of(run_dir(dataset.folder, plan), dataset) is not None) == (expected[0] > 1)


def test_a_tail_answers_although_the_cache_was_emptied(dataset: Dataset, in_folder: Path) -> None:
    weights = save_tiny(in_folder / "mine" / "vgg.weights.h5")
    plan = frozen_plan(dataset, weights, "tail", cut="block3_pool", epochs=1, head_epochs=1, views=2)
    fill(dataset, plan)
    train_runs([plan], dataset, InlineEngine(), ignore_events)
    shutil.rmtree(CACHE / "features")
    predict_test(plan, dataset, 2, InlineEngine(), ignore_events)
    views = views_of(run_dir(dataset.folder, plan), dataset)
    assert views is not None
    assert np.array_equal(views.test(2), read_predictions(run_dir(dataset.folder, plan)).test)
