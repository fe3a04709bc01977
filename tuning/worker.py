"""One worker of a study: takes trials until the study has enough, and can be killed at any moment without loss.

Started as `python -m tuning.worker` with its order as the first line of standard input, which stays open as long as the command
lives; what went wrong is the last line of standard output.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comp.backend import prepare_environment
from comp.console import say
from comp.engine import Engine, Event
from comp.engines.child import isolate
from comp.errors import FoldboardError, TrainingFailed
from comp.spec import Candidate, Recipe
from comp.store import locked
from folds.runs import RunPlan

if TYPE_CHECKING:
    import optuna

    from tuning.objective import Objective
    from tuning.space import Space

LOST_IN_A_ROW = 3  # trials that fail one after another end the command


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a worker is to do.

    Attributes:
        folder: The study's folder, which all its workers share: lock and signs of life lie there.
        dataset: runs/<competition>/<data8>.
        knobs: The space, as the fields of its knobs.
        trials: How many the study shall have finished.
        deadline: Unix time at which even an epoch is broken off, or None.
        number, n_workers: This worker among those of its command.
    """

    storage: str
    study: str
    folder: str
    dataset: str
    base: dict[str, Any]
    knobs: list[dict[str, Any]]
    metric: str
    trials: int
    pruner: str
    seed: int
    deadline: float | None = None
    number: int = 0
    n_workers: int = 1

    def as_json(self) -> str:
        """Return the order as one line."""
        return json.dumps(asdict(self))

    @property
    def plan(self) -> RunPlan:
        """Return the run of the default recipe."""
        parts = {**self.base, "candidate": Candidate(**self.base["candidate"]), "recipe": Recipe(**self.base["recipe"])}
        return RunPlan(**parts)

    @property
    def space(self) -> Space:
        """Return the space."""
        from tuning.space import Knob, Space

        return Space(tuple(Knob(**{**knob, "choices": tuple(knob["choices"])}) for knob in self.knobs))

    @property
    def beats(self) -> Path:
        """Return the folder of the files that workers touch."""
        return Path(self.folder) / "alive"

    @property
    def lock(self) -> Path:
        """Return the lock under which trials are taken, so that their number is exact."""
        return Path(self.folder) / ".take.lock"


@dataclass
class Patience:
    """When a worker is to stop: after the fold or the features in work where it was asked to, at once when its time is up.

    Attributes:
        failures: What was wrong with its last trials, since one went well.
        left_alone: Trials of others, by number, one of whose folds failed when it lent a hand.
    """

    deadline: float | None
    is_asked: bool = False
    failures: list[str] = field(default_factory=list)
    left_alone: set[int] = field(default_factory=set)

    @property
    def is_over(self) -> bool:
        """Return whether the time is up."""
        return self.deadline is not None and time.time() >= self.deadline

    def ask(self, *_: Any) -> None:
        """Note that the fold in work, or the features of some photos, are to be the last."""
        self.is_asked = True

    def check(self) -> None:
        """End the trial between two folds."""
        from tuning.objective import Stopped

        if self.is_asked or self.is_over:
            raise Stopped

    def listen(self, event: Event) -> None:
        """End the trial in the middle of a fold, its last epoch is on disk; or between two jobs that compute features."""
        from folds.features import EXTRACTION
        from tuning.objective import Stopped

        if event.kind == "note":
            say(event.value)
        if self.is_over and event.kind != "done":
            raise Stopped
        if self.is_asked and event.kind == "done" and event.job.function == EXTRACTION:
            raise Stopped


def work(order: Order, patience: Patience) -> None:
    """Run trials until the study has enough of them, the time is up, or the person asks to stop.

    Raises:
        FoldboardError: If the default recipe cannot be trained, or nothing can.
    """
    from folds.dataset import load_dataset
    from tuning.objective import Objective
    from tuning.study import open_study

    study = open_study(order)
    objective = Objective(
        base=order.plan,
        dataset=load_dataset(Path(order.dataset)),
        space=order.space,
        metric=order.metric,
        engine=_engine(order.plan),
        turn=order.number / order.n_workers,
        check=patience.check,
        listener=patience.listen,
    )
    while not (patience.is_asked or patience.is_over):
        trial = take(study, order)
        if trial is None:
            return
        if trial == "wait":
            if not lend_a_hand(study, objective, order, patience):
                time.sleep(0.3)
            continue
        run_trial(study, trial, objective, order, patience)


def _engine(plan: RunPlan) -> Engine:
    from comp.engines.local import LocalEngine

    return HeadsHere(LocalEngine(1)) if plan.candidate.fit == "probe" else LocalEngine(1)


class HeadsHere:
    """Fits heads in this process, which has Keras already, and hands everything else to another engine."""

    def __init__(self, other: Engine) -> None:
        self.other = other

    def run(self, jobs: Any, listener: Any) -> list[Any]:
        """Return each job's result, in order."""
        from comp.engines.inline import InlineEngine

        is_head = all(job.function == "folds.train:fit_fold" for job in jobs)
        engine: Engine = InlineEngine() if is_head else self.other
        return engine.run(jobs, listener)


def take(study: optuna.Study, order: Order) -> Any:
    """Return the next trial, None where the study has enough, `wait` where others still run those it needs.

    One worker at a time takes a trial, so no more than wanted are ever begun.
    """
    from tuning.reaper import reap, sign
    from tuning.storage import quiet_optuna
    from tuning.study import count, put_up_default, put_up_level

    with locked(order.lock):
        reap(study, order.beats)
        counts = count(study)
        if counts.finished >= order.trials:
            return None
        if counts.finished + counts.running >= order.trials:
            return "wait"
        with quiet_optuna():
            put_up_default(study, order)
            put_up_level(study, order)
            trial = study.ask()
            sign(trial, order.beats)
        return trial


def lend_a_hand(study: optuna.Study, objective: Objective, order: Order, patience: Patience) -> bool:
    """Train a later fold of a trial that another worker is at, as long as that trial runs; return whether there was one.

    At the end of a study there are fewer trials than workers: who would wait makes the last ones end sooner.
    """
    from tuning.objective import Stopped
    from tuning.storage import quiet_optuna

    with quiet_optuna() as optuna:
        running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    for trial in running:
        if trial.number in patience.left_alone:
            continue

        def listen(event: Event, number: int = trial.number) -> None:
            patience.listen(event)
            if event.kind != "done" and study.get_trials(deepcopy=False)[number].state.is_finished():
                raise Stopped  # it was pruned meanwhile: nobody needs this fold now

        try:
            if objective.train_ahead(trial, order.number, listen):
                return True
        except Stopped:
            return True
        except FoldboardError:  # the trial comes to that fold itself, and says what is wrong with it
            patience.left_alone.add(trial.number)
    return False


def run_trial(study: optuna.Study, trial: optuna.Trial, objective: Any, order: Order, patience: Patience) -> None:
    """Run one trial to its end and tell the study what came of it.

    Raises:
        FoldboardError: If going on makes no sense: the disk is full, the default recipe fails, or three trials in a row did.
    """
    from tuning.objective import IS_DEFAULT, Stopped
    from tuning.reaper import alive, give_up
    from tuning.storage import quiet_optuna

    with quiet_optuna() as optuna, alive(study, trial, order.beats):
        state, value, failure = optuna.trial.TrialState.COMPLETE, None, None
        try:
            value = objective(trial)
        except optuna.TrialPruned:
            state = optuna.trial.TrialState.PRUNED
        except optuna.exceptions.UpdateFinishedTrialError:
            return  # it seemed dead for too long (a laptop that slept), and was put up again
        except Stopped:
            give_up(study, trial, is_meant=True)
            return
        except FoldboardError as error:
            state, failure = optuna.trial.TrialState.FAIL, error
            trial.set_user_attr("failure", str(error))
        _tell(study, trial, value, state)
    if failure is None:
        patience.failures.clear()
        return
    patience.failures.append(str(failure))
    if not isinstance(failure, TrainingFailed) or trial.user_attrs.get(IS_DEFAULT):
        raise failure
    if len(patience.failures) >= LOST_IN_A_ROW:
        raise TrainingFailed(f"{LOST_IN_A_ROW} trials in a row could not be trained; the last: {failure}")


def _tell(study: optuna.Study, trial: optuna.Trial, value: float | None, state: Any) -> None:
    from tuning.storage import quiet_optuna

    with quiet_optuna() as optuna:
        try:
            study.tell(trial, value, state)
        except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
            if not study.get_trials(deepcopy=False)[trial.number].state.is_finished():
                raise


def serve() -> None:
    """Be the worker process of the order on standard input."""
    order = Order(**json.loads(sys.stdin.readline()))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    patience = Patience(order.deadline)
    signal.signal(signal.SIGTERM, patience.ask)
    prepare_environment()
    from tuning.storage import LOST, storage_errors

    isolate(os.dup(0))
    with open(Path(order.folder) / f"worker-{order.number}.log", "ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        work(order, patience)
    except FoldboardError as error:
        print(json.dumps([type(error).__name__, str(error)]), file=answers, flush=True)
        sys.exit(error.exit_status)
    except storage_errors():
        traceback.print_exc()  # into the log
        sys.exit(LOST)


if __name__ == "__main__":
    serve()
