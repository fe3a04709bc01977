"""One study: made or opened, refused where it was made for something else, counted; its first trial is the default recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from comp.errors import Refused
from comp.metrics import metric
from comp.store import locked
from tuning.objective import IS_DEFAULT, facts_of_study
from tuning.space import differences
from tuning.storage import open_storage, quiet_optuna, shown

if TYPE_CHECKING:
    import optuna
    from optuna import Study
    from optuna.trial import FrozenTrial

    from tuning.worker import Order

MADE_FOR = "made_for"
LEVEL = "level"  # the strength that a trial was put up for
OPENED = "opened"  # how often the study was opened to be worked on
SHOWN_DIFFERENCES = 3
BEFORE_SEARCHING = 8  # trials drawn at random before the sampler learns from them; a third of a short search


@dataclass(frozen=True)
class Count:
    """How many trials of a study are in which state."""

    complete: int = 0
    pruned: int = 0
    failed: int = 0
    running: int = 0
    waiting: int = 0
    taken_up_again: int = 0

    @property
    def finished(self) -> int:
        """Return what TRIALS counts."""
        return self.complete + self.pruned


def count(study: optuna.Study) -> Count:
    """Return how many trials are in which state; one that was put up again counts as that, not as failed."""
    with quiet_optuna() as optuna:
        trials = study.get_trials(deepcopy=False)
        again = {trial.user_attrs["again"] for trial in trials if "again" in trial.user_attrs}
        states = optuna.trial.TrialState
        n = {state: sum(trial.state == state for trial in trials) for state in states}
        return Count(
            complete=n[states.COMPLETE],
            pruned=n[states.PRUNED],
            failed=n[states.FAIL] - len(again),
            running=n[states.RUNNING],
            waiting=n[states.WAITING],
            taken_up_again=len(again),
        )


def open_study(order: Order) -> Study:
    """Return the study of an order, made where it is not there yet, with a sampler of this opening's own seed.

    No two openings have the same seed, whichever command or machine they are of: two workers with one would ask for the same
    first points. One command alone with one worker opens a study in the same order each time, and searches the same.

    Raises:
        BadInput: If its storage cannot be reached.
        Refused: If a study of that name was made for something else.
    """
    from tuning.pruners import pruner_of

    storage = open_storage(order.storage)
    with locked(order.lock), quiet_optuna() as optuna:
        study: Study = optuna.create_study(
            storage=storage,
            study_name=order.study,
            direction="maximize" if metric(order.metric).direction == "higher" else "minimize",
            pruner=pruner_of(order.pruner),
            load_if_exists=True,
        )
        _check(study, order)
        n_opened = study.user_attrs.get(OPENED, 0)
        study.set_user_attr(OPENED, n_opened + 1)
        study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=min(BEFORE_SEARCHING, max(3, order.trials // 3)),
            n_ei_candidates=24,
            multivariate=True,
            constant_liar=True,
            seed=_seed(order.seed, n_opened),
        )
        return study


def _seed(*parts: int) -> int:
    """Return a seed that differs where any part does."""
    import numpy as np

    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _check(study: optuna.Study, order: Order) -> None:
    """Note what a new study is made for; refuse another one than was asked for, with the difference."""
    from folds.dataset import load_dataset

    n_folds = load_dataset(Path(order.dataset)).n_folds
    facts = facts_of_study(order.plan, order.space, order.metric, n_folds)
    made_for = study.user_attrs.get(MADE_FOR)
    if made_for is None:
        study.set_user_attr(MADE_FOR, facts)
        return
    found = differences(made_for, facts)
    if found:
        more = f" and {len(found) - SHOWN_DIFFERENCES} more" if len(found) > SHOWN_DIFFERENCES else ""
        raise Refused(
            f"study {order.study} in {shown(order.storage)} was made for something else ({'; '.join(found[:SHOWN_DIFFERENCES])}"
            f"{more}); run it with the settings it was made with, or move it away to begin anew"
        )


def put_up_default(study: optuna.Study, order: Order) -> None:
    """Make the default recipe the next trial, where it has not been one yet."""
    with quiet_optuna() as optuna:
        states = optuna.trial.TrialState
        counted = (states.COMPLETE, states.RUNNING, states.WAITING)
        if not any(trial.user_attrs.get(IS_DEFAULT) for trial in study.get_trials(deepcopy=False, states=counted)):
            study.enqueue_trial(order.space.nearest(order.plan.recipe), user_attrs={IS_DEFAULT: True})


def put_up_level(study: optuna.Study, order: Order) -> None:
    """Make the next trial one of a strength that none was put up for yet, where nothing else waits; the rest of it is sampled.

    Strengths whose features trials share are few, and drawn at random a search of twelve would leave some of them out.
    """
    levels = [knob.choices for knob in order.space.knobs if (knob.name, knob.kind) == ("strength", "choice")]
    with quiet_optuna() as optuna:
        trials = study.get_trials(deepcopy=False)
        if any(trial.state == optuna.trial.TrialState.WAITING for trial in trials):
            return
        known = {order.plan.recipe.strength, *(trial.user_attrs.get(LEVEL) for trial in trials)}
        for level in [level for choices in levels for level in choices if level not in known][:1]:
            study.enqueue_trial({"strength": level}, user_attrs={LEVEL: level})


def complete_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that ran over all folds, the best first; of equals the earlier."""
    with quiet_optuna() as optuna:
        done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
        return sorted(done, key=lambda trial: (sign * (trial.value or 0.0), trial.number))
