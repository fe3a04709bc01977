"""The tuning job: one study a candidate, searched by several workers, decided on other folds, written as a recipe for the plan."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from comp.console import duration, relative, say, show_facts, show_table
from comp.engine import Engine, Event, Listener, n_cores, open_engine
from comp.images import CACHE
from comp.machine import machine_class, slowness
from comp.tables import Tables
from comp.typed import submit_line
from folds.banks import Wanted, n_passes, wanted_banks
from folds.features import EXTRACTION
from folds.kept import trim
from folds.prepare import number_of_folds, rows_of_fit
from folds.presets import DEFAULT_PRESET, seconds_of_fold
from folds.runs import RunPlan, tuning_dir
from tuning.crew import Crew
from tuning.honest import N_FINALISTS, Finalist, Guard, Verdict, compare
from tuning.interrupt import after_the_fold
from tuning.objective import Stopped
from tuning.setup import BANKED, Ground, Settings, Subject, make_ground, read_tables_of, subjects_of
from tuning.show import count_line, saved_folds, ticking
from tuning.storage import command_line, shown
from tuning.study import complete_trials, count, open_study
from tuning.tuned import in_words, verdict_line, write_tuned
from tuning.worker import Order

if TYPE_CHECKING:
    import optuna

LARGEST_RESERVE = 0.5  # share of MINUTES that is kept for the comparison at the end


@dataclass(frozen=True, kw_only=True)
class Session:
    """One command: what was asked, since when, and until when."""

    settings: Settings
    ground: Ground
    engine: Engine
    n_jobs: int
    began: float

    @property
    def deadline(self) -> float | None:
        """Return the Unix time at which even an epoch is broken off."""
        minutes = self.settings.minutes
        return None if minutes is None else self.began + 60 * minutes


def tune(settings: Settings) -> Path:
    """Tune each candidate and return the path of the last file made: a recipe, or the folder of a study that is not decided yet.

    Raises:
        FoldboardError: With one clear line; what was finished is kept and taken by the next run.
    """
    began = time.time()
    os.environ["FOLDBOARD_COMMAND"] = command_line()  # stands beside locks that are held: never with a password
    engine = open_engine("local", settings.jobs)
    tables = read_tables_of(settings)
    subjects = subjects_of(settings, tables, engine)
    _show_plan(settings, subjects, tables)
    ground = make_ground(settings, tables, subjects, engine)
    session = Session(settings=settings, ground=ground, engine=engine, n_jobs=settings.jobs or n_cores(), began=began)
    made = []
    for subject in subjects:
        made.append(_tune_one(session, subject, began))
        began = time.time()
    return made[-1]


def _show_plan(settings: Settings, subjects: list[Subject], tables: Tables) -> None:
    minutes = "" if settings.minutes is None else f", at most {settings.minutes:g} minutes for all"
    for subject in subjects:
        knobs = [(knob.name, str(knob)) for knob in subject.space.knobs]
        weights = f", weights {relative(subject.weights.path)}" if subject.weights else ""
        show_facts(
            f"tuning {subject.candidate}, preset {settings.preset}{weights}",
            [
                ("trials", f"{settings.trials} finished ones{minutes}"),
                ("to do", _estimate(settings, subject, tables)),
                *knobs,
            ],
        )
    if (settings.jobs or n_cores()) > 1:
        say("several workers: which trials come depends on who is first; JOBS=1 searches the same each time")


def _estimate(settings: Settings, subject: Subject, tables: Tables) -> str:
    """Return how long search and comparison take at most, features left out: they may be stored."""
    n_jobs, n_folds = settings.jobs or n_cores(), number_of_folds(tables, settings.folds)
    a_fold = slowness() * seconds_of_fold(subject.candidate, subject.recipe, rows_of_fit(tables, n_folds))
    a_run = n_folds * a_fold / n_jobs
    search, comparison = settings.trials * a_run, (1 + N_FINALISTS) * a_run
    return f"at most about {duration(search)} of trials and {duration(comparison)} of comparison, {n_jobs} workers"


def _tune_one(session: Session, subject: Subject, began: float) -> Path:
    """Search and decide for one candidate; return the path of what was made.

    Args:
        began: Unix time at which work on it began.
    """
    ground, settings = session.ground, session.settings
    base = subject.plan(ground.dataset, ground.competition, settings.seed)
    order = _order(session, subject, base)
    study = open_study(order)
    _trim(session, subject, base)
    is_new = not count(study).finished
    n_to_compute = n_passes(_banks(session, subject, base), CACHE)
    if count(study).finished < settings.trials:
        _search(session, order, study)
    counts = count(study)
    ran, whole = saved_folds(study)
    say(f"{subject.candidate}: {count_line(counts)}; pruning spared {whole - ran} of {whole} folds")
    verdict = _decide(session, base, study)
    if verdict is None:
        return Path(order.folder)
    _trim(session, subject, base)
    show_verdict(subject, verdict)
    say(f"what takes it: {next_command(settings, subject)}")
    facts = {
        "competition": ground.competition.name,
        "data8": ground.dataset.data8,
        "preset": settings.preset,
        "metric": ground.competition.metric,
        "study": {"name": order.study, "storage": shown(order.storage)},
        "seconds": round(time.time() - began),
        "in_one_go": is_new,
        "features_computed": n_to_compute,
        "machine": machine_class(settings.jobs),
    }
    return write_tuned(subject, ground.dataset.folder, verdict, counts, facts)


def _order(session: Session, subject: Subject, base: RunPlan) -> Order:
    ground, settings = session.ground, session.settings
    folder = tuning_dir(ground.dataset.folder, subject.candidate)
    folder.mkdir(parents=True, exist_ok=True)
    return Order(
        storage=settings.storage or str(folder / "study.journal"),
        study=f"{ground.competition.name}/{ground.dataset.data8}/{subject.candidate}",
        folder=str(folder),
        dataset=str(ground.dataset.folder),
        base=asdict(base),
        knobs=[asdict(knob) for knob in subject.space.knobs],
        metric=ground.competition.metric,
        trials=settings.trials,
        pruner=settings.pruner,
        seed=settings.seed,
        deadline=session.deadline,
        n_workers=session.n_jobs,
    )


def _banks(session: Session, subject: Subject, base: RunPlan) -> list[Wanted]:
    """Return the banks that any trial may ask for, with all photos; none where nothing is frozen."""
    if subject.fit not in BANKED:
        return []
    dataset = session.ground.dataset
    train, test = dataset.in_folds["sha"].tolist(), dataset.readable_test["sha"].tolist()
    choices = {knob.name: knob.choices for knob in subject.space.knobs}
    recipes = [
        replace(base.recipe, strength=strength, cut=cut)
        for strength in choices["strength"]
        for cut in choices.get("cut", (base.recipe.cut,))
    ]
    return [bank for recipe in recipes for bank in wanted_banks(replace(base, recipe=recipe), train, test)]


def _trim(session: Session, subject: Subject, base: RunPlan) -> None:
    """Throw old features away where there are too many, never those that a trial of this study may ask for."""
    keep = {bank.spec.key for bank in _banks(session, subject, base)}
    if keep:
        trim(session.settings.cache_gb * 1e9, keep, CACHE)


def _search(session: Session, order: Order, study: optuna.Study) -> None:
    done = count(study)
    if done.finished:
        say(f"study {order.study} goes on: {count_line(done)} so far")
    with ticking(order.trials) as ticker:
        ticker.skip(study)
        Crew(
            order, study, ticker.look, lambda: search_until(study, session.deadline, session.began, order.n_workers)
        ).run()


def search_until(study: optuna.Study, deadline: float | None, began: float, n_workers: int) -> float | None:
    """Return when to begin no further fold, so that the comparison at the end has its time too."""
    if deadline is None:
        return None
    seconds = [
        (trial.datetime_complete - trial.datetime_start).total_seconds()
        for trial in complete_trials(study)
        if trial.datetime_complete and trial.datetime_start
    ]
    n_runs = min(len(seconds), 4)
    reserve = n_runs * sum(seconds) / len(seconds) / min(n_workers, n_runs) if seconds else 0.0
    return deadline - min(reserve, LARGEST_RESERVE * (deadline - began))


def _decide(session: Session, base: RunPlan, study: optuna.Study) -> Verdict | None:
    """Compare the finalists, or say why there is nothing to decide yet."""
    if not complete_trials(study):
        say("no trial is complete yet, so there is nothing to choose from; the same command goes on")
        return None
    settings = session.settings
    counts = count(study)
    if counts.finished < settings.trials:
        say(f"{counts.finished} of {settings.trials} trials are finished; the same command goes on")
    say("the best recipes and the default once more, on other folds and another seed, which alone decides:")
    try:
        with after_the_fold() as check:
            until = _until(session.deadline, check)
            return compare(base, session.ground, study, session.ground.competition.metric, session.engine, until)
    except Stopped:
        say("MINUTES were over before the comparison was; the same command goes on with it")
        return None


def _until(deadline: float | None, check: Callable[[Event], None]) -> Guard:
    """Return what makes a listener stop everything when the time is up, or when `check` says so."""

    def guard(listener: Listener) -> Listener:
        def listen(event: Event) -> None:
            listener(event)
            check(event)
            is_amid = event.kind != "done" or event.job.function == EXTRACTION  # a fold that is done is told first
            if deadline is not None and time.time() >= deadline and is_amid:
                raise Stopped

        return listen

    return guard


def next_command(settings: Settings, subject: Subject) -> str:
    """Return the `make submit` whose plan takes what was found."""
    return submit_line(settings, subject.candidate, settings.preset if settings.preset != DEFAULT_PRESET else None)


def show_verdict(subject: Subject, verdict: Verdict) -> None:
    """Print the comparison and what it decided."""
    rows = [_row(each) for each in (verdict.default, *verdict.others)]
    say()
    name = verdict.default.score.metric
    columns = ["recipe", "in the search", f"{name}, other folds", "95 % interval", "better by", "interval"]
    show_table(f"{subject.candidate}, out-of-fold over folds that the search never saw", columns, rows)
    for each in verdict.others:
        say(f"{_name(each)}: {in_words(each.changes)}")
    say(f"{subject.candidate}: {verdict_line(verdict)}")


def _name(finalist: Finalist) -> str:
    return "default" if finalist.trial is None else f"trial {finalist.trial}"


def _row(finalist: Finalist) -> list[str]:
    found, difference = finalist.score, finalist.difference
    return [
        _name(finalist),
        "" if finalist.searched is None else f"{finalist.searched:.4f}",
        f"{found.value:.4f}",
        f"{found.low:.4f} to {found.high:.4f}",
        f"{difference[0]:+.4f}" if difference else "",
        f"{difference[1]:+.4f} to {difference[2]:+.4f}" if difference else "",
    ]
