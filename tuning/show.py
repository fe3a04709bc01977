"""What a person sees of a study: how far it is while it runs, and its state in words or JSON at any time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comp.console import console, say, show_table
from tuning.storage import load_studies, quiet_optuna
from tuning.study import Count, complete_trials, count
from tuning.tuned import in_words

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial


class Ticker:
    """Tells of a study while it runs: a line for each trial that ended, and on a terminal a bar with the best so far."""

    def __init__(self, n_trials: int, bar: Any = None) -> None:
        self.n_trials, self.bar = n_trials, bar
        self.told: set[int] = set()
        self.task = bar.add_task("trials", total=n_trials, state="") if bar else None

    def skip(self, study: optuna.Study) -> None:
        """Count the trials that ended before as told."""
        self.told |= {trial.number for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()}

    def look(self, study: optuna.Study) -> None:
        """Show what is new."""
        trials = study.get_trials(deepcopy=False)
        for trial in trials:
            if trial.state.is_finished() and trial.number not in self.told:
                self.told.add(trial.number)
                self._say(trial_line(trial))
        if self.bar:
            self.bar.update(self.task, completed=count(study).finished, state=state_line(study))

    def _say(self, line: str) -> None:
        if self.bar:
            self.bar.console.print(line)
        else:
            say(line)


@contextmanager
def ticking(n_trials: int) -> Iterator[Ticker]:
    """Yield what shows a study's progress: a bar on a terminal, plain lines elsewhere."""
    if not sys.stdout.isatty():
        yield Ticker(n_trials)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("trials"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[state]}"),
    )
    with Progress(*columns, console=console()) as bar:
        yield Ticker(n_trials, bar)


def trial_line(trial: FrozenTrial) -> str:
    """Return how a trial ended, in one line."""
    changes = trial.user_attrs.get("changes")
    what = in_words(changes) if changes else "the default recipe" if changes is not None else "not begun"
    n_folds = len(trial.intermediate_values)
    name = trial.state.name.lower()
    if name == "complete":
        return f"trial {trial.number}: {trial.value:.4f} over {n_folds} folds, {what}"
    if name == "pruned":
        return f"trial {trial.number}: pruned after {n_folds} folds at {trial.value:.4f}, {what}"
    why = trial.user_attrs.get("failure") or ("stopped" if trial.user_attrs.get("stopped") else "its worker died")
    return f"trial {trial.number}: {why}, after {n_folds} folds, {what}"


def state_line(study: optuna.Study) -> str:
    """Return the best so far, pruned and running trials in a few words."""
    best, counts = next(iter(complete_trials(study)), None), count(study)
    parts = [f"best {best.value:.4f} (trial {best.number})" if best else "none complete yet"]
    parts += [f"{counts.pruned} pruned", f"{counts.running} running"]
    return ", ".join(parts)


def saved_folds(study: optuna.Study) -> tuple[int, int]:
    """Return how many folds the finished trials ran, and how many they would have run without pruning."""
    with quiet_optuna() as optuna:
        states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
        trials = study.get_trials(deepcopy=False, states=states)
    n_folds = int(study.user_attrs.get("made_for", {}).get("folds", 0))
    return sum(len(trial.intermediate_values) for trial in trials), n_folds * len(trials)


def facts_of(study: optuna.Study) -> dict[str, Any]:
    """Return a study's state as plain JSON values."""
    best, counts = next(iter(complete_trials(study)), None), count(study)
    ran, whole = saved_folds(study)
    return {
        "study": study.study_name,
        "complete": counts.complete,
        "pruned": counts.pruned,
        "failed": counts.failed,
        "running": counts.running,
        "waiting": counts.waiting,
        "taken_up_again": counts.taken_up_again,
        "folds_run": ran,
        "folds_without_pruning": whole,
        "best": {"trial": best.number, "score": best.value, "changes": best.user_attrs["changes"]} if best else None,
    }


def journals(competition: str, runs: Path) -> list[Path]:
    """Return the journals of a competition's studies, over whatever folds."""
    return sorted((runs / competition).glob("*/tuning/*/study.journal"))


def studies_of(competition: str, storage: str | None, runs: Path) -> list[optuna.Study]:
    """Return a competition's studies: those of a storage, else those whose journals lie here."""
    places = [storage] if storage else [str(path) for path in journals(competition, runs)]
    found = [study for place in places for study in load_studies(place)]
    return [study for study in found if study.study_name.startswith(f"{competition}/")]


def show_studies(studies: list[optuna.Study]) -> None:
    """Print a table of studies and the best recipe of each."""
    facts = [facts_of(study) for study in studies]
    names = ("complete", "pruned", "failed", "running")
    rows = [
        [
            each["study"],
            *(str(each[name]) for name in names),
            _best(each),
            f"{each['folds_run']} of {each['folds_without_pruning']}",
        ]
        for each in facts
    ]
    show_table("", ["study", *names, "best", "folds run"], rows)
    for each in facts:
        if each["best"]:
            say(
                f"{each['study']}: best is trial {each['best']['trial']}, {in_words(each['best']['changes']) or 'the default recipe'}"
            )


def _best(facts: dict[str, Any]) -> str:
    return f"{facts['best']['score']:.4f}" if facts["best"] else ""


def count_line(counts: Count) -> str:
    """Return the counts in words."""
    return f"{counts.complete} complete, {counts.pruned} pruned, {counts.failed} failed"
