"""What is tuned is what a submission would train: cuts that a competition narrows, the rule that goes by rows, seeds; and what is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comp.engines.inline import InlineEngine
from comp.errors import BadInput
from comp.registry import load_backbone, load_competition
from comp.spec import Recipe
from comp.store import read_json
from folds.by_rule import RULE
from folds.dataset import Dataset
from folds.oof import Score
from submissions.plan import Settings as PlanSettings
from submissions.plan import make_plan
from tests.made import make_squares, squares_dataset
from tuning.honest import Finalist, Verdict
from tuning.setup import Settings, Subject, read_tables_of, subjects_of
from tuning.study import Count
from tuning.tune import next_command, tune
from tuning.tuned import tuned_recipe, verdict_line, write_tuned

FILE = "./squares.py"
COMPETITION = """\
from dataclasses import replace
from tests.made import SQUARES
COMPETITION = replace(SQUARES, pixels=32, space={space!r})
"""
MOBILENET = load_backbone("mobilenet")
CUTS = MOBILENET.cuts["V2"]


@pytest.fixture
def asked(in_folder: Path) -> dict[str, Any]:
    """Return what both commands are asked: made squares, and files that lie where weights are looked for."""
    make_squares(Path("data"))
    Path(FILE).write_text(COMPETITION.format(space={}))
    Path("mine").mkdir()
    for name in (MOBILENET.weights["V2"].aliases[0], load_backbone("bit").weights["R50x1"].file):
        (Path("mine") / name).write_bytes(b"numbers")
    return {"competition": FILE, "data": Path("data"), "weights": "mine", "offline": True}


def subject_of(asked: dict[str, Any], **more: Any) -> Subject:
    settings = Settings(**asked, **more)
    (subject,) = subjects_of(settings, read_tables_of(settings), InlineEngine())
    return subject


def choices(subject: Subject) -> list[tuple[Any, ...]]:
    return [knob.choices for knob in subject.space.knobs if knob.name == "cut"]


def verdict_of(
    dataset: Dataset, changes: dict[str, Any], difference: tuple[float, float, float] = (0.1, 0.05, 0.15)
) -> Verdict:
    found = Score("macro_f1", 0.5, 0.4, 0.6, [0.5], 36)
    default = Finalist(changes={}, trial=None, searched=0.5, score=found)
    other = Finalist(changes=changes, trial=1, searched=0.6, score=found, difference=difference)
    return Verdict(default=default, others=[other], dataset=dataset, seed=1, level=0.95)


def test_a_competition_narrows_the_cuts_of_a_tail_and_the_plan_takes_what_was_found(asked: dict[str, Any]) -> None:
    assert CUTS == ("block_13_project_BN", "block_15_add")
    assert choices(subject_of(asked, backbones="mobilenet:V2:tail")) == [CUTS]
    Path(FILE).write_text(COMPETITION.format(space={"cut": CUTS[1:]}))
    subject = subject_of(asked, backbones="mobilenet:V2:tail")
    assert choices(subject) == [CUTS[1:]] and subject.recipe.cut == CUTS[0]
    dataset, _ = squares_dataset(Path("other"))
    facts = {"competition": "squares", "preset": "standard", "metric": "macro_f1"}
    write_tuned(subject, Path("runs"), verdict_of(dataset, {"cut": CUTS[1]}), Count(complete=2), facts)
    found = tuned_recipe(Path("runs"), subject.candidate, subject.recipe, load_competition(FILE))
    assert found.recipe == replace(subject.recipe, cut=CUTS[1]), found.note


def test_a_cut_that_there_is_none_of_is_still_refused(asked: dict[str, Any]) -> None:
    Path(FILE).write_text(COMPETITION.format(space={"cut": ("block_1",)}))
    with pytest.raises(BadInput, match=r"cut=\('block_1',\), which leaves none of its values: block_13_project_BN"):
        subject_of(asked, backbones="mobilenet:V2:tail")


@pytest.mark.parametrize("folds", [None, 2])
def test_what_goes_by_the_number_of_rows_is_what_the_plan_trains(asked: dict[str, Any], folds: int | None) -> None:
    more = {"backbones": "bit:R50x1:full", "preset": "best", "folds": folds}
    subject, plan = subject_of(asked, **more), make_plan(PlanSettings(**asked, **more))
    assert subject.recipe.optimizer == RULE and subject.recipe.epochs == 500  # 24 rows: a step an epoch
    assert subject.recipe == plan.choices[0].recipe


def test_a_seed_below_0_is_refused_before_anything_is_there(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOLDBOARD_COMMAND", "make tune")
    for refuse in (lambda: tune(Settings(**asked, seed=-1)), lambda: make_plan(PlanSettings(**asked, seed=-1))):
        with pytest.raises(BadInput, match=r"^SEED=-1: expected a whole number from 0 on$"):
            refuse()
    assert not Path("runs").exists() and not Path("cache").exists()


@pytest.mark.parametrize("low", [0.05, -0.05])
def test_the_verdict_says_that_one_seed_a_side_covers_rows_only(asked: dict[str, Any], low: float) -> None:
    dataset, _ = squares_dataset(Path("other"))
    verdict = verdict_of(dataset, {"strength": 1.0}, (0.1, low, 0.15))
    assert ("the tuned recipe is taken" in verdict_line(verdict)) == (low > 0)
    assert verdict_line(verdict).endswith("(rows only)")
    subject = subject_of(asked, backbones="scratch_cnn:tiny:scratch")
    found = read_json(write_tuned(subject, Path("runs"), verdict, Count(), {"metric": "macro_f1"}))
    assert found["decided_over"]["covers"] == "rows only" and found["verdict"] == verdict_line(verdict)


def test_without_another_recipe_there_is_no_difference_to_tell(in_folder: Path) -> None:
    dataset, _ = squares_dataset(Path("data"))
    verdict = replace(verdict_of(dataset, {}), others=[])
    assert verdict_line(verdict) == "the default stays: the search found no other recipe"
    assert verdict.chosen.changes == {} and Recipe().cut == ""


def test_what_cannot_be_had_is_said_and_what_nobody_named_is_left_out(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """As in the plan of a submission: a name is trained from scratch where its weights are not, the rest is left out."""
    asked["weights"] = None
    assert subject_of(asked, backbones="resnet:101").fit == "scratch"
    assert "resnet:101 is tuned from scratch: its weights resnet101v2" in capsys.readouterr().out
    text = COMPETITION.format(space={}).replace("pixels=32", "pixels=32, candidates=('resnet', 'scratch_cnn:tiny')")
    Path(FILE).write_text(text)
    assert subject_of(asked).candidate.backbone == "scratch_cnn"
    assert "resnet left out: its weights resnet50v2" in capsys.readouterr().out
    Path(FILE).write_text(text.replace(", 'scratch_cnn:tiny'", ","))
    assert str(subject_of(asked).candidate) == "scratch_cnn:base:scratch:32px"


def test_the_next_command_takes_what_was_found(asked: dict[str, Any]) -> None:
    subject = subject_of(asked, backbones="mobilenet:V2", preset="quick")
    line = next_command(Settings(**asked, backbones="mobilenet:V2", preset="quick"), subject)
    assert line == "make submit COMP=./squares.py DATA=data WEIGHTS=mine BACKBONES=mobilenet:V2:tail:32px PRESET=quick"
