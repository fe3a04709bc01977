"""What a person sees of a study: counts, folds that pruning spared, plots, and one HTML that needs nothing from outside."""

from __future__ import annotations

import re
from pathlib import Path

import optuna
import pytest

from comp.errors import BadInput
from tuning.report import write_report
from tuning.show import Ticker, facts_of, state_line, trial_line
from tuning.tune import search_until

STATES = optuna.trial.TrialState


def made_study(n_complete: int = 4) -> optuna.Study:
    """Return a study of made trials: some complete, one pruned after two of three folds, one whose worker died."""
    study = optuna.create_study(study_name="squares/12345678/scratch_cnn", direction="maximize")
    study.set_user_attr("made_for", {"folds": 3})
    distributions = {"strength": optuna.distributions.FloatDistribution(0, 1)}
    for i in range(n_complete):
        study.add_trial(
            optuna.trial.create_trial(
                value=0.5 + 0.1 * i,
                params={"strength": i / 10},
                distributions=distributions,
                user_attrs={"changes": {"strength": i / 10} if i else {}},
                intermediate_values=dict.fromkeys(range(3), 0.5),
            )
        )
    pruned = {"state": STATES.PRUNED, "value": 0.1, "intermediate_values": {0: 0.2, 1: 0.1}}
    study.add_trial(optuna.trial.create_trial(**pruned, user_attrs={"changes": {"strength": 1.0}}))  # type: ignore[arg-type]
    study.add_trial(optuna.trial.create_trial(state=STATES.FAIL, user_attrs={"changes": {}}))
    return study


def test_facts_count_trials_and_spared_folds() -> None:
    facts = facts_of(made_study())
    assert [facts[name] for name in ("complete", "pruned", "failed", "running")] == [4, 1, 1, 0]
    assert (facts["folds_run"], facts["folds_without_pruning"]) == (14, 15)
    assert facts["best"] == {"trial": 3, "score": pytest.approx(0.8), "changes": {"strength": 0.3}}


def test_trials_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    study, ticker = made_study(2), Ticker(4)
    for _ in range(2):
        ticker.look(study)
    assert capsys.readouterr().out.splitlines() == [
        "trial 0: 0.5000 over 3 folds, the default recipe",
        "trial 1: 0.6000 over 3 folds, strength 0.1",
        "trial 2: pruned after 2 folds at 0.1000, strength 1",
        "trial 3: its worker died, after 0 folds, the default recipe",
    ]
    assert state_line(study) == "best 0.6000 (trial 1), 1 pruned, 0 running"
    assert trial_line(study.get_trials()[1]).startswith("trial 1")


@pytest.mark.slow
def test_report_is_self_contained(tmp_path: Path) -> None:
    page = write_report(made_study(), tmp_path / "report").read_text()
    drawn = {path.name for path in (tmp_path / "report").glob("*.png")}
    assert {"history.png", "slice.png"} <= drawn
    assert page.count("data:image/png;base64,") == len(drawn)
    assert not re.search(r"(src|href)=['\"]?(https?:|//|\w+\.png)", page)


def test_report_of_too_few_trials_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="1 complete trials, a report needs 2"):
        write_report(made_study(1), tmp_path)


def test_time_is_kept_for_the_comparison_but_never_more_than_half() -> None:
    study = made_study()
    assert search_until(study, None, 0.0, 1) is None
    assert search_until(study, 100.0, 0.0, 1) == pytest.approx(100.0, abs=5)
    assert search_until(optuna.create_study(), 100.0, 0.0, 2) == 100.0
