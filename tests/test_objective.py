"""What a trial is worth and what decides: folds are kept by recipe, the last comparison is paired and touches no hold-out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from comp.engine import Event, Job, ignore_events
from comp.engines.inline import InlineEngine
from comp.images import PixelSpec
from comp.metrics import METRICS, metric
from comp.spec import Candidate, Recipe
from comp.store import read_json, sha256_of_file, write_json, write_marker
from folds.assign import HOLDOUT
from folds.dataset import Dataset
from folds.oof import read_predictions, score
from folds.runs import fold_dir, repeat_mark, run_dir, trial_mark, tuned_path
from tests.made import SQUARES, read_all, run_plan, squares_dataset
from tuning.honest import compare, finalists_of, paired_difference, second_dataset
from tuning.objective import IS_DEFAULT, Objective, Stopped, is_better
from tuning.setup import Ground
from tuning.space import Knob, Space, space_of
from tuning.tuned import tuned_recipe, verdict_line
from tuning.worker import Order, Patience, lend_a_hand

SPACE = Space((Knob(name="learning_rate", kind="choice", choices=(1e-5, 2e-3, 1e-2)),))
NO_ORDER = ("storage", "study", "folder", "dataset", "base", "knobs", "metric", "trials", "pruner", "seed")
RECIPE = Recipe(pixels=16, epochs=1, batch_size=8, width=8, strength=0.0)


@dataclass
class Noting:
    """Runs jobs here and notes which."""

    jobs: list[str] = field(default_factory=list)

    def run(self, jobs: list[Job], listener: Callable[[Event], None]) -> list[Any]:
        """Return each job's result, in order."""
        self.jobs += [job.label for job in jobs]
        return InlineEngine().run(jobs, listener)


def objective(dataset: Dataset, engine: Any, check: Callable[[], None] = lambda: None) -> Objective:
    return Objective(
        base=run_plan(dataset, RECIPE),
        dataset=dataset,
        space=SPACE,
        metric="macro_f1",
        engine=engine,
        turn=0.0,
        check=check,
        listener=ignore_events,
    )


def test_trial_is_scored_out_of_fold_and_its_folds_are_kept(in_folder: Path) -> None:
    dataset, _ = squares_dataset(in_folder / "data")
    engine, study = Noting(), optuna.create_study(direction="maximize")
    for _ in range(2):
        study.enqueue_trial({"learning_rate": 2e-3})
    checks = iter([None, None, Stopped()])

    def stop_before_the_last_fold() -> None:
        stop = next(checks)
        if stop:
            raise stop

    with pytest.raises(Stopped):
        objective(dataset, engine, stop_before_the_last_fold)(study.ask())
    trial = study.ask()
    value = objective(dataset, engine)(trial)
    assert [label[-6:] for label in engine.jobs] == ["fold 0", "fold 1", "fold 2"]
    plan = run_plan(dataset, RECIPE)
    assert trial.user_attrs["run"] == plan.name and trial.user_attrs["changes"] == {}
    assert trial_mark(run_dir(dataset.folder, plan)).is_file()
    found = score(dataset, read_predictions(run_dir(dataset.folder, plan)).oof, "macro_f1")
    assert value == found.value
    told = study.get_trials()[1].intermediate_values
    assert list(told.values()) == pytest.approx(np.cumsum(found.fold_scores) / [1, 2, 3])


def test_a_worker_without_a_trial_trains_the_later_folds_of_another_s(in_folder: Path) -> None:
    dataset, _ = squares_dataset(in_folder / "data")
    study = optuna.create_study(direction="maximize")
    plan = run_plan(dataset, replace(RECIPE, learning_rate=1e-2))
    trained: list[int] = []

    class Writing:
        """Writes the marker of a fold instead of training it."""

        def run(self, jobs: list[Job], listener: Callable[[Event], None]) -> list[Any]:
            """Note the folds of the jobs."""
            trained.extend(job.arguments["fold"] for job in jobs)
            for fold in trained:
                fold_dir(run_dir(dataset.folder, plan), fold).mkdir(parents=True, exist_ok=True)
                write_marker(fold_dir(run_dir(dataset.folder, plan), fold), [])
            return [None for _ in jobs]

    trial, helper = study.ask(), objective(dataset, Writing())
    order = Order(**{**dict.fromkeys(NO_ORDER, ""), "number": 1})  # type: ignore[arg-type]
    trial.set_user_attr("changes", {"learning_rate": 1e-2})
    assert not lend_a_hand(study, helper, order, Patience(None))  # its features may not be there yet
    trial.report(0.5, 0)
    write_marker(fold_dir(run_dir(dataset.folder, plan), 0), [])
    assert lend_a_hand(study, helper, order, Patience(None)) and trained == [2]
    assert not lend_a_hand(study, helper, order, Patience(None))  # the fold that the trial is at is its own
    study.tell(trial, 0.5)
    assert not lend_a_hand(study, helper, order, Patience(None))


def test_a_helping_hand_stops_when_the_trial_is_pruned(in_folder: Path) -> None:
    dataset, _ = squares_dataset(in_folder / "data")
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial({"learning_rate": 1e-2})
    trial = study.ask()
    trial.set_user_attr("changes", {"learning_rate": 1e-2})
    trial.report(0.1, 0)

    class Pruned:
        """An engine in whose first job the trial is pruned by its own worker."""

        def run(self, jobs: list[Job], listener: Callable[[Event], None]) -> list[Any]:
            """Say that the job has begun; it must not go on."""
            listener(Event(jobs[0], "progress", 0.1))
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            listener(Event(jobs[0], "progress", 0.2))
            pytest.fail("it went on")

    order = Order(**{**dict.fromkeys(NO_ORDER, ""), "number": 1})  # type: ignore[arg-type]
    assert lend_a_hand(study, objective(dataset, Pruned()), order, Patience(None))
    assert not lend_a_hand(study, objective(dataset, Pruned()), order, Patience(None))


class PruneAlways(optuna.pruners.BasePruner):
    """Prunes whatever it is asked about."""

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        """Return True."""
        return True


@pytest.mark.slow
def test_default_is_never_pruned_and_others_are(in_folder: Path) -> None:
    dataset, _ = squares_dataset(in_folder / "data")
    study = optuna.create_study(direction="maximize", pruner=PruneAlways())
    study.enqueue_trial({"learning_rate": 2e-3}, user_attrs={IS_DEFAULT: True})
    engine = Noting()
    assert 0 <= objective(dataset, engine)(study.ask()) <= 1
    study.enqueue_trial({"learning_rate": 1e-5})
    with pytest.raises(optuna.TrialPruned):
        objective(dataset, engine)(study.ask())
    assert len(engine.jobs) == 4


@pytest.mark.slow
def test_asha_spares_the_last_fold_of_a_poor_recipe_and_keeps_the_others(in_folder: Path) -> None:
    dataset, _ = squares_dataset(in_folder / "data")
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    good = study.ask()
    good.report(1.0, 0)
    good.report(1.0, 1)
    assert not good.should_prune()
    engine = Noting()
    study.enqueue_trial({"learning_rate": 1e-5})
    with pytest.raises(optuna.TrialPruned):
        objective(dataset, engine)(study.ask())
    assert [label[-6:] for label in engine.jobs] == ["fold 0", "fold 1"]


def ground_of(dataset: Dataset, tables: Any) -> Ground:
    photos = read_all(tables, [PixelSpec(16)])
    return Ground(competition=SQUARES, tables=tables, photos=photos, dataset=dataset)


def test_second_assignment_has_other_folds_and_the_same_rows_and_is_marked(in_folder: Path) -> None:
    dataset, tables = squares_dataset(in_folder / "data")
    second = second_dataset(ground_of(dataset, tables))
    assert second.data8 != dataset.data8 and second.n_folds == dataset.n_folds
    assert read_json(repeat_mark(second.folder)) == {"repeats": dataset.data8}
    assert not repeat_mark(dataset.folder).exists()
    assert second.train["id"].tolist() == dataset.train["id"].tolist()
    assert second.train["fold"].tolist() != dataset.train["fold"].tolist()
    assert second.test["id"].tolist() == dataset.test["id"].tolist()


def test_hold_out_stays_held_out(in_folder: Path) -> None:
    dataset, tables = squares_dataset(in_folder / "data", n_test=0)
    second = second_dataset(ground_of(dataset, tables))
    held = set(dataset.train["id"][dataset.train["fold"] == HOLDOUT])
    assert held and not held & set(second.train["id"])
    assert HOLDOUT not in set(second.train["fold"])
    assert set(second.test["id"]) == held


@pytest.mark.slow
def test_comparison_takes_the_default_unless_beaten_beyond_the_noise(in_folder: Path) -> None:
    dataset, tables = squares_dataset(in_folder / "data")
    study = optuna.create_study(direction="maximize")
    for value, changes in [(0.5, {}), (0.9, {"learning_rate": 1e-6}), (0.4, {"learning_rate": 1e-6})]:
        trial = optuna.trial.create_trial(value=value, user_attrs={"changes": changes})
        study.add_trial(trial)
    assert finalists_of(study) == [(1, 0.9, {"learning_rate": 1e-6})]
    ground = ground_of(dataset, tables)
    verdict = compare(run_plan(dataset, RECIPE), ground, study, "macro_f1", InlineEngine())
    assert verdict.chosen is verdict.default and "the default stays" in verdict_line(verdict)
    assert verdict.default.searched == 0.5 and verdict.others[0].searched == 0.9
    assert verdict.seed == 1 and verdict.dataset.data8 != dataset.data8


def truth_and_tables(n_better: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return classes and two tables: one right everywhere, the other wrong for the first rows."""
    truth = np.arange(200) % 2
    right = np.eye(2, dtype=np.float32)[truth] * 0.8 + 0.1
    other = right.copy()
    other[:n_better] = other[:n_better, ::-1]
    return truth, right, other


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "log_loss"])
def test_paired_difference_is_positive_for_the_better_one_whatever_the_direction(name: str) -> None:
    truth, right, other = truth_and_tables(40)
    by, low, high = paired_difference(metric(name), truth, right, other)
    assert 0 < low < by < high
    back = paired_difference(metric(name), truth, other, right)
    assert back == pytest.approx((-by, -high, -low), abs=1e-3)


def test_paired_difference_of_equal_tables_is_nothing() -> None:
    truth, right, _ = truth_and_tables(0)
    assert paired_difference(metric("macro_f1"), truth, right, right) == (0, 0, 0)
    assert paired_difference(metric("accuracy"), *truth_and_tables(1))[1] == 0


def test_better_goes_by_the_direction() -> None:
    assert {name for name in METRICS if is_better(name, 0.1, 0.2)} == {"log_loss"}


PROBE = Candidate("mobilenet", "V2", "probe", 96)


def write_result(folder: Path, **changed: Any) -> None:
    recipe = Recipe(pixels=96)
    facts = {
        "candidate": str(PROBE),
        "changes": {"strength": 0.0, "learning_rate": 0.01},
        "date": "2026-11-21T10:00:00Z",
        "default_recipe": recipe.as_dict(),
        "space": space_of("probe", recipe, SQUARES, (), ()).as_dict(),
    }
    write_json(tuned_path(folder, PROBE), {**facts, **changed})


def test_plan_takes_a_tuned_recipe(tmp_path: Path) -> None:
    write_result(tmp_path)
    found = tuned_recipe(tmp_path, PROBE, Recipe(pixels=96), SQUARES)
    assert found.recipe == Recipe(pixels=96, strength=0.0, learning_rate=0.01)
    assert "tuned recipe, strength 0, learning_rate 0.01 (TUNED=no" in found.note
    path = tuned_path(tmp_path, PROBE)
    assert found.source == {
        "file": path.as_posix(),
        "sha256": sha256_of_file(path),
        "date": "2026-11-21T10:00:00Z",
        "changes": {"strength": 0.0, "learning_rate": 0.01},
    }


@pytest.mark.parametrize(
    ("changed", "recipe", "competition", "why"),
    [
        ({}, Recipe(pixels=96, epochs=7), SQUARES, "another recipe (epochs: 20 then, 7 now"),
        ({}, Recipe(pixels=96), replace(SQUARES, space={"dropout": (0.0, 0.5)}), "another space (dropout"),
        ({"metric": "log_loss"}, Recipe(pixels=96), SQUARES, "it was made for metric log_loss; make tune anew"),
        ({"candidate": "mobilenet:V2:tail:96px"}, Recipe(pixels=96), SQUARES, "candidate mobilenet:V2:tail:96px"),
    ],
)
def test_result_for_something_else_is_left_out_and_said(
    tmp_path: Path, changed: Any, recipe: Recipe, competition: Any, why: str
) -> None:
    write_result(tmp_path, **changed)
    found = tuned_recipe(tmp_path, PROBE, recipe, competition)
    assert found.recipe == recipe and why in found.note and "left out" in found.note and found.source is None


def test_plan_takes_it_whatever_training_does_with_the_phylum(tmp_path: Path) -> None:
    write_result(tmp_path, metric=SQUARES.metric)
    found = tuned_recipe(tmp_path, PROBE, Recipe(pixels=96, condition="split"), SQUARES)
    assert found.recipe == Recipe(pixels=96, condition="split", strength=0.0, learning_rate=0.01)


def test_result_of_other_pixels_is_said(tmp_path: Path) -> None:
    write_result(tmp_path)
    other = replace(PROBE, pixels=64)
    found = tuned_recipe(tmp_path, other, Recipe(pixels=64), SQUARES)
    assert "tuned recipe of mobilenet:V2:probe:96px left out" in found.note
    assert tuned_recipe(tmp_path, replace(other, variant="tiny"), Recipe(pixels=64), SQUARES).note == ""


def test_cut_of_the_command_line_stands(tmp_path: Path) -> None:
    write_result(tmp_path, changes={"cut": "b", "strength": 1.0})
    asked = Recipe(pixels=96, cut="a")
    assert tuned_recipe(tmp_path, PROBE, asked, SQUARES, is_cut_asked=True).recipe == replace(asked, strength=1.0)
