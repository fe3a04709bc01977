"""Studies on every storage: the same trial is never lost, never begun too often; journals that are torn are mended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from comp.errors import BadInput, Refused
from comp.spec import Recipe
from tests.made import run_plan, squares_dataset
from tests.postgres import find_programs, server
from tuning.cli import show
from tuning.objective import IS_DEFAULT
from tuning.reaper import GRACE_SECONDS, beat_name, give_up, is_gone, owner, reap, sign
from tuning.space import Knob, Space
from tuning.storage import load_studies, mend, open_storage, quiet_optuna, shown
from tuning.study import count, open_study
from tuning.worker import Order, take

SPACE = Space(
    (
        Knob(name="strength", kind="choice", choices=(0.0, 0.5, 1.0)),
        Knob(name="learning_rate", kind="log", low=1e-4, high=1e-1),
    )
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL here: initdb and pg_ctl are on no path")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    with server(programs) as url:
        yield url


@pytest.fixture
def order(in_folder: Path) -> Order:
    """Return the order of a study over made squares, kept in a journal."""
    dataset, _ = squares_dataset(in_folder / "data")
    folder = in_folder / "study"
    folder.mkdir()
    return Order(
        storage=str(folder / "study.journal"),
        study=f"squares/{dataset.data8}/{in_folder.name}",
        folder=str(folder),
        dataset=str(dataset.folder),
        base=asdict(run_plan(dataset, Recipe(pixels=16, strength=0.5, width=8))),
        knobs=[asdict(knob) for knob in SPACE.knobs],
        metric="macro_f1",
        trials=3,
        pruner="median",
        seed=0,
    )


@pytest.fixture(params=["journal", "sqlite", "postgres"])
def any_order(request: pytest.FixtureRequest, order: Order) -> Order:
    """Return the same order on each kind of storage."""
    if request.param == "journal":
        return order
    url = f"sqlite:///{order.folder}/study.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    return replace(order, storage=url)


def dead_owner() -> dict[str, Any]:
    """Return the signature of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return {**owner(), "pid": process.pid}


def suggest(trial: Any) -> dict[str, Any]:
    return SPACE.suggest(trial)


def test_first_trial_is_the_default_and_no_more_than_wanted_are_begun(any_order: Order) -> None:
    studies = [open_study(replace(any_order, number=number)) for number in (0, 1)]
    taken = [take(studies[i % 2], any_order) for i in range(5)]
    assert taken[0].user_attrs[IS_DEFAULT]
    assert suggest(taken[0]) == {"strength": 0.5, "learning_rate": 2e-3}
    assert taken[3:] == ["wait", "wait"]
    for trial in taken[:3]:
        studies[0].tell(trial, 0.5)
    assert take(studies[1], any_order) is None
    assert count(studies[1]).finished == 3


def test_trial_of_a_dead_worker_is_tried_again_twice_with_the_same_parameters(any_order: Order) -> None:
    study = open_study(any_order)
    take(study, any_order)  # the default
    trial, found = take(study, any_order), []
    for _ in range(3):
        found.append(suggest(trial))
        trial.set_user_attr("owner", dead_owner())
        assert reap(study, any_order.beats) == [trial.number]
        assert reap(study, any_order.beats) == []
        again = [each for each in study.get_trials() if each.state.name == "WAITING"]
        assert len(again) == (1 if len(found) < 3 else 0)
        trial = take(study, any_order)
    assert found[0] == found[1] == found[2]
    assert count(study).failed == 1 and count(study).taken_up_again == 2


def test_what_was_stopped_on_purpose_is_always_taken_up_again(any_order: Order) -> None:
    study = open_study(any_order)
    trial = take(study, any_order)
    first = suggest(trial)
    for _ in range(4):
        give_up(study, trial, is_meant=True)
        trial = take(study, any_order)
        assert suggest(trial) == first
    assert count(study).failed == 0


def test_only_one_of_two_marks_a_trial(any_order: Order) -> None:
    studies = [open_study(any_order), open_study(any_order)]
    trial = take(studies[0], any_order)
    frozen = studies[1].get_trials()[0]
    assert [give_up(study, frozen, is_meant=False) for study in studies] == [True, False]
    assert [each.state.name for each in studies[0].get_trials()] == ["FAIL", "WAITING"]
    assert trial.number == 0


def test_living_owner_is_left_alone(any_order: Order) -> None:
    study = open_study(any_order)
    take(study, any_order)
    assert reap(study, any_order.beats) == []


def test_worker_of_another_machine_is_gone_when_its_file_is_old(order: Order) -> None:
    study = open_study(order)
    trial = take(study, order)
    signed = {**owner(), "host": "elsewhere"}
    trial.set_user_attr("owner", signed)
    (frozen,) = study.get_trials()
    order.beats.mkdir(exist_ok=True)
    path = order.beats / beat_name(signed)
    path.touch()
    assert not is_gone(frozen, order.beats)
    old = time.time() - GRACE_SECONDS - 10
    os.utime(path, (old, old))
    assert is_gone(frozen, order.beats)


def test_trial_of_another_machine_whose_file_is_not_seen_is_silent_since_it_was_taken(order: Order) -> None:
    study = open_study(order)
    take(study, order).set_user_attr("owner", {**owner(), "host": "elsewhere"})
    (frozen,) = study.get_trials()
    assert not is_gone(frozen, order.beats)
    frozen.datetime_start = datetime.now() - timedelta(seconds=GRACE_SECONDS + 10)
    assert is_gone(frozen, order.beats)


def test_first_sign_of_life_comes_before_the_owner(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    trial, seen = open_study(order).ask(), []
    monkeypatch.setattr(
        trial, "set_user_attr", lambda _, signed: seen.append((order.beats / beat_name(signed)).is_file())
    )
    sign(trial, order.beats)
    assert seen == [True]


def test_trial_that_is_taken_has_shown_a_sign_of_life(order: Order) -> None:
    trial = take(open_study(order), order)
    assert (order.beats / beat_name(trial.user_attrs["owner"])).is_file()


def first_points(order: Order) -> list[dict[str, Any]]:
    """Return what two commands, each with one worker, try first beside the default where both begin at the same time."""
    studies = [open_study(order), open_study(order)]
    take(studies[0], order)
    return [suggest(take(study, order)) for study in studies]


def test_two_commands_that_begin_together_ask_for_other_points(any_order: Order) -> None:
    one, other = first_points(any_order)
    assert one != other


def test_the_same_commands_ask_for_the_same_points_again(order: Order) -> None:
    again = replace(order, storage=f"{order.storage}.again", study="squares/again")
    assert first_points(order) == first_points(again)


def test_machine_that_was_started_anew_has_lost_its_workers(order: Order) -> None:
    study = open_study(order)
    trial = take(study, order)
    trial.set_user_attr("owner", {**owner(), "boot": "before"})
    assert is_gone(study.get_trials()[0], order.beats)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_silent_heart_ends_a_trial(kind: str, order: Order, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{order.folder}/study.db" if kind == "sqlite" else request.getfixturevalue("postgres")
    open_study(replace(order, storage=url))
    with quiet_optuna() as optuna:
        storage = open_storage(url, heartbeat=(1, 2))
        study = optuna.load_study(study_name=order.study, storage=storage)
    trial = take(study, replace(order, storage=url))
    suggest(trial)
    trial.set_user_attr("owner", {**owner(), "host": "elsewhere"})
    (order.beats).mkdir(exist_ok=True)
    (order.beats / beat_name({**owner(), "host": "elsewhere"})).touch()
    storage.record_heartbeat(trial._trial_id)
    time.sleep(3.2)
    reap(study, order.beats)
    assert [each.state.name for each in study.get_trials()] == ["FAIL", "WAITING"]


def test_study_of_other_folds_or_another_space_is_refused_with_the_difference(order: Order) -> None:
    open_study(order)
    wider = [{**order.knobs[0]}, {**order.knobs[1], "high": 0.5}]
    with pytest.raises(Refused, match=r"space of learning_rate: 0.0001 to 0.1 then, 0.0001 to 0.5 now"):
        open_study(replace(order, knobs=wider))
    with pytest.raises(Refused, match=r"data8: .* then, 12345678 now"):
        open_study(replace(order, base={**order.base, "data8": "12345678"}))


@pytest.mark.parametrize("n_cut", [1, 7, 40])
def test_torn_journal_is_mended_and_said(order: Order, n_cut: int, capsys: pytest.CaptureFixture[str]) -> None:
    study = open_study(order)
    study.tell(take(study, order), 0.25)
    path = Path(order.storage)
    whole = path.read_bytes()
    path.write_bytes(whole[:-n_cut])
    (again,) = load_studies(order.storage)
    out, errors = capsys.readouterr()
    assert "its last line was torn" in errors and not out
    assert path.read_bytes().endswith(b"\n") and whole.startswith(path.read_bytes())
    give_up(again, again.get_trials()[0], is_meant=True)  # was told, and the telling was torn off
    assert again.get_trials()[0].state.name == "FAIL"


def test_json_of_a_torn_journal_is_json(order: Order, capsys: pytest.CaptureFixture[str]) -> None:
    take(open_study(order), order)
    with Path(order.storage).open("ab") as file:
        file.write(b'{"op_code": 8, "worker')
    Path("squares.py").write_text("from tests.made import SQUARES\nCOMPETITION = SQUARES\n")
    show(competition="./squares.py", storage=order.storage, as_json=True)
    out, errors = capsys.readouterr()
    assert [each["running"] for each in json.loads(out)] == [1] and "its last line was torn" in errors


def test_line_torn_while_the_study_runs_is_mended_before_the_next_is_written(order: Order) -> None:
    study = open_study(order)
    trial = take(study, order)
    with Path(order.storage).open("ab") as file:
        file.write(b'{"op_code": 8, "worker')
    trial.report(0.5, 0)
    study.tell(trial, 0.5)
    assert [each.value for each in load_studies(order.storage)[0].get_trials()] == [0.5]


def test_lock_of_a_killed_process_costs_seconds_only(order: Order) -> None:
    study = open_study(order)
    os.symlink(order.storage, f"{order.storage}.lock")
    began = time.monotonic()
    study.set_user_attr("any", 1)
    assert time.monotonic() - began < 6


def test_journal_damaged_in_the_middle_is_refused(order: Order) -> None:
    open_study(order)
    path = Path(order.storage)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0][:10] + b"\n", *lines[1:]]))
    with pytest.raises(Refused, match="damaged before its last line"):
        open_storage(order.storage)


def test_mending_leaves_whole_files_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    assert mend(path) == 0
    for content in (b"", b"a\n", b"a\nb\n"):
        path.write_bytes(content)
        assert mend(path) == 0 and path.read_bytes() == content
    path.write_bytes(b"no end")
    assert mend(path) == 6 and path.read_bytes() == b""


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@127.0.0.1:1/x", "nonsense://x", "sqlite:////no/such/folder/x.db"]
)
def test_storage_that_cannot_be_reached_is_one_line_without_the_password(url: str) -> None:
    with pytest.raises(BadInput, match=r"cannot be reached|not installed") as caught:
        open_storage(url)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["/proc/no/such/folder/study.journal", "."])
def test_journal_where_none_can_be_kept_is_one_line(name: str, in_folder: Path) -> None:
    with pytest.raises(BadInput, match="no journal can be kept there"):
        open_storage(name)


def test_password_is_never_shown() -> None:
    assert shown("postgresql://me:secret@host/x") == "postgresql://me:***@host/x"


def report(trial: Any, scores: list[float]) -> int:
    """Report the running mean of fold scores as the objective does; return after how many folds the pruner had enough."""
    for fold in range(len(scores)):
        trial.report(sum(scores[: fold + 1]) / (fold + 1), fold)
        if fold < len(scores) - 1 and trial.should_prune() and not trial.user_attrs.get(IS_DEFAULT):
            return fold + 1
    return len(scores)


@pytest.mark.parametrize(("pruner", "n_folds_of_the_poor"), [("asha", [2] * 6), ("median", [5] + [1] * 5)])
def test_each_pruner_spares_the_folds_of_poor_trials_and_never_those_of_the_default(
    order: Order, pruner: str, n_folds_of_the_poor: list[int]
) -> None:
    """Two workers by turns; ASHA judges from the second trial on, the median from the third on."""
    order = replace(order, trials=9, pruner=pruner)
    studies = [open_study(replace(order, number=number)) for number in (0, 1)]
    found = []
    for i in range(7):
        trial = take(studies[i % 2], order)
        suggest(trial)
        n_folds = report(trial, [0.5 if i == 0 else 0.4 - i / 100] * 5)
        found.append(n_folds)
        with quiet_optuna() as optuna:
            state = optuna.trial.TrialState.COMPLETE if n_folds == 5 else optuna.trial.TrialState.PRUNED
        studies[i % 2].tell(trial, 0.4 if n_folds == 5 else None, state)
    assert found == [5, *n_folds_of_the_poor]
    assert report(take(studies[0], order), [0.9] * 5) == 5
    assert count(studies[1]).pruned == sum(n_folds < 5 for n_folds in found)


def test_an_easy_first_fold_shields_no_trial_from_the_median(order: Order) -> None:
    """Optuna's own pruner compares the best of all that was reported, which is the running mean after the easy fold."""
    study = open_study(order)
    for scores in ([0.8, 0.7, 0.75, 0.76, 0.77],) * 3:
        trial = take(study, replace(order, trials=9))
        suggest(trial)
        assert report(trial, scores) == 5
        study.tell(trial, sum(scores) / 5)
    trial = take(study, replace(order, trials=9))
    suggest(trial)
    assert report(trial, [0.82, 0.5, 0.5, 0.5, 0.5]) == 2
    study.tell(trial, state=TrialState.PRUNED)
    trial = take(study, replace(order, trials=9))
    suggest(trial)
    assert report(trial, [0.8, 0.7, 0.76, 0.76, 0.77]) == 5, "no worse than the median"


def test_every_strength_that_trials_share_is_tried_once_early(order: Order) -> None:
    order = replace(order, trials=20)
    study, found = open_study(order), []
    for _ in range(4):
        trial = take(study, order)
        found.append(suggest(trial)["strength"])
        study.tell(trial, 0.5)
    assert found[:3] == [0.5, 0.0, 1.0], "the default's own, then the others"
    again = open_study(order)
    take(again, order)
    assert sum("level" in trial.user_attrs for trial in again.get_trials()) == 2
