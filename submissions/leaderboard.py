"""The local leaderboard: every finished run and every CSV over one fold table, by CV, with what the best does not beat marked."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from comp.bootstrap import resampled_scores
from comp.console import say, show_table
from comp.errors import BadInput, FoldboardError
from comp.metrics import Floats, Metric
from comp.spec import Competition
from comp.store import read_json, read_marker, write_text
from comp.tasks import metric_of
from comp.text_metrics import TextMetric, resampled_text_scores
from folds.dataset import Dataset
from folds.oof import Predictions, align, read_predictions
from folds.runs import RUNS, fold_dir
from submissions.stored import finished_runs, is_outside, rebuild, rebuild_texts
from submissions.transcripts import transcribe

LEDGER = RUNS / "ledger.csv"
Z = 1.96  # of a 95 % interval
MEDALS = ("gold", "silver", "bronze", "median")


@dataclass(frozen=True, eq=False)
class Entry:
    """One line of the leaderboard.

    Attributes:
        draws: (B,) its score in each bootstrap resample, the same rows for all entries; None where its runs are gone.
        test: Score on the hold-out, or on other known answers, else None.
        seconds: Of work behind it.
        parameters: Of the networks behind one model of it, those of all its runs for a CSV; 0 where unknown.
        public, private: Kaggle's scores, as the ledger has them.
        is_tied: Whether the best entry whose runs are here does not beat it beyond the noise of rows.
        medal: The band of the medal lines that its best known score lies in.
    """

    name: str
    kind: str
    cv: float
    low: float
    high: float
    draws: Floats | None = None
    test: float | None = None
    seconds: float = 0.0
    parameters: int = 0
    public: str = ""
    private: str = ""
    is_tied: bool = False
    medal: str = ""


def leaderboard(dataset: Dataset, competition: Competition, ledger: Path = LEDGER) -> list[Entry]:
    """Return the entries, the best CV first.

    The CV of a CSV is its nested score. A CSV whose runs are gone keeps the score of its manifest and is not compared; where that
    score is of another metric, because the competition's was changed since, the CSV is left out, and a line says so.

    Raises:
        BadInput: If there is no finished run.
    """
    chosen = metric_of(competition)
    runs = finished_runs(dataset.folder)
    entries = [_of_run(run, dataset, chosen) for run in runs]
    known = _kaggle_scores(ledger)
    made = [_of_manifest(path, chosen, known) for path in sorted((dataset.folder / "submissions").glob("*.json"))]
    entries += [one for one in made if one is not None]
    if not entries:
        raise BadInput(f"no finished run of {competition.name} over fold table {dataset.data8}; make submit makes some")
    entries.sort(key=lambda one: (-one.cv if chosen.direction == "higher" else one.cv, one.name))
    tied = _tied(entries, chosen)
    return [
        replace(one, is_tied=is_tied, medal=medal_of(competition.medals, _best_known(one), chosen))
        for one, is_tied in zip(entries, tied, strict=True)
    ]


def _of_run(run: Path, dataset: Dataset, chosen: Metric | TextMetric) -> Entry:
    found = read_predictions(run)
    if isinstance(chosen, TextMetric):
        return _of_text_run(run, found, dataset, chosen)
    oof = align(found.oof_ids, dataset.in_folds["id"].tolist(), found.oof, run.name)
    seconds, parameters = _work(run, dataset.n_folds)
    return replace(
        _scored(run.name, "outside" if is_outside(run) else "run", oof, dataset, chosen),
        test=_holdout_score(found, dataset, chosen),
        seconds=seconds,
        parameters=parameters,
    )


def _of_text_run(run: Path, found: Predictions, dataset: Dataset, chosen: TextMetric) -> Entry:
    """Return the line of a run that reads transcripts, decoded as it would be if it were handed in alone."""
    texts = transcribe(dataset, {run.name: found}, chosen.name).oof
    seconds, parameters = _work(run, dataset.n_folds)
    return replace(_scored_texts(run.name, "run", texts, dataset, chosen), seconds=seconds, parameters=parameters)


def _work(run: Path, n_folds: int) -> tuple[float, int]:
    """Return the seconds of work behind a run and the parameters of one model of it, 0 where its folds do not say."""
    markers = [read_marker(fold_dir(run, k)) or {} for k in range(n_folds)]
    seconds = float(sum(marker.get("seconds", 0.0) for marker in markers))
    return seconds, int(max(marker.get("parameters", 0) for marker in markers))


def _scored_texts(name: str, kind: str, texts: Sequence[str], dataset: Dataset, chosen: TextMetric) -> Entry:
    truth = dataset.in_folds["label"].tolist()
    draws = resampled_text_scores(chosen, truth, texts)
    low, high = (float(end) for end in np.quantile(draws, [0.025, 0.975]))
    return Entry(name, kind, chosen.function(truth, texts), low, high, draws)


def _scored(name: str, kind: str, oof: Floats, dataset: Dataset, chosen: Metric) -> Entry:
    counted = ~dataset.in_folds["label"].isin(dataset.facts["classes_left_out"]).to_numpy()
    truth, table = dataset.truth[counted], oof[counted]
    draws = resampled_scores(chosen, truth, table)
    low, high = (float(end) for end in np.quantile(draws, [0.025, 0.975]))
    return Entry(name, kind, chosen.prepare(truth, table)(np.ones(len(truth))), low, high, draws)


def _holdout_score(found: Predictions, dataset: Dataset, chosen: Metric) -> float | None:
    if dataset.answers is None:
        return None
    known = dict(zip(dataset.test["id"], dataset.index_of(dataset.answers).tolist(), strict=True))
    truth = np.array([known[row_id] for row_id in found.test_ids])
    return chosen.prepare(truth, found.test)(np.ones(len(truth)))


def _of_manifest(path: Path, chosen: Metric | TextMetric, known: Mapping[str, dict[str, str]]) -> Entry | None:
    """Return the line of a CSV, or None where its score under the metric is neither stored nor to be had."""
    manifest: dict[str, Any] = read_json(path)
    method = manifest.get("ensemble", {}).get("method", "ensemble")
    name = f"{path.stem}.csv ({method} of {len(manifest['runs'])})"
    try:
        entry = _made_again(name, manifest, path, chosen)
    except FoldboardError:  # its runs are gone or were made anew: what its manifest says is still true of it
        if manifest["metric"] != chosen.name:
            say(
                f"{name} is left out: its score is {manifest['metric']}, and its runs are not here to score by {chosen.name}"
            )
            return None
        cv = manifest["cv"]
        entry = Entry(name, "CSV", cv["score"], cv["low"], cv["high"])
    return replace(entry, **_extras(manifest, known, chosen.name))


def _made_again(name: str, manifest: dict[str, Any], path: Path, chosen: Metric | TextMetric) -> Entry:
    """Return a CSV's entry from the stored predictions of its runs.

    Raises:
        FoldboardError: If it cannot be made again.
    """
    if isinstance(chosen, TextMetric):
        _, dataset, told = rebuild_texts(manifest, str(path))
        entry = _scored_texts(name, "CSV", told.oof, dataset, chosen)
    else:
        made = rebuild(manifest, str(path))
        dataset = made.dataset
        entry = _scored(name, "CSV", made.predictions.oof, dataset, chosen)
    each = [_work(Path(run["folder"]), dataset.n_folds)[1] for run in manifest["runs"]]
    return replace(entry, parameters=sum(each) if all(each) else 0)


def _extras(manifest: dict[str, Any], known: Mapping[str, dict[str, str]], metric_name: str) -> dict[str, Any]:
    """Return what a CSV's line says besides its CV."""
    scores = known.get(manifest["sha256"], {})
    return {
        "test": (manifest.get("test") or {}).get(metric_name),
        "seconds": float(sum(run.get("seconds", 0.0) for run in manifest["runs"])),
        "public": scores.get("public_score", ""),
        "private": scores.get("private_score", ""),
    }


def _kaggle_scores(ledger: Path) -> dict[str, dict[str, str]]:
    """Return what Kaggle last said of each CSV, by its hash; nothing where there is no ledger."""
    found: dict[str, dict[str, str]] = {}
    if not ledger.is_file():
        return found
    with ledger.open(newline="") as file:
        for event in csv.DictReader(file):
            scores = found.setdefault(str(event.get("sha256")), {})
            scores.update({name: event[name] for name in ("public_score", "private_score") if event.get(name)})
    return found


def _tied(entries: Sequence[Entry], chosen: Metric | TextMetric) -> list[bool]:
    """Return for each entry whether the best that can be compared does not beat it by more than 1.96 standard errors.

    The error is that of the difference. An entry whose runs are gone is neither compared nor compared with.
    """
    best = next((one for one in entries if one.draws is not None), entries[0])
    return [chosen.gain(best.cv, one.cv) <= Z * _error_of_difference(best, one) for one in entries]


def _error_of_difference(one: Entry, other: Entry) -> float:
    """Return the standard error of a difference over rows; NaN, which nothing is within, where there is no telling."""
    if one.draws is None or other.draws is None:
        return float("nan")
    return float((one.draws - other.draws).std(ddof=1))


def _best_known(entry: Entry) -> float:
    """Return the score that says most of the private board: its own, else the public one, else CV."""
    for told in (entry.private, entry.public):
        if told:
            return float(told)
    return entry.cv


def medal_of(medals: Mapping[str, float], value: float, chosen: Metric | TextMetric) -> str:
    """Return the highest medal line that a score reaches, `below median` where it reaches none, '' without lines."""
    if not medals:
        return ""
    for name in MEDALS:
        if name in medals and not chosen.is_better(medals[name], value):
            return name
    return "below median"


SHOWN: dict[str, Callable[[Entry], str]] = {
    "test": lambda one: "" if one.test is None else f"{one.test:.4f}",
    "public": lambda one: one.public,
    "private": lambda one: one.private,
    "medal": lambda one: one.medal,
    "seconds": lambda one: f"{one.seconds:.0f}",
    "parameters": lambda one: f"{one.parameters:,}" if one.parameters else "",
}


def marks_line(entries: Sequence[Entry]) -> str:
    """Return what the mark before an entry says, and how many entries it says nothing of."""
    n_gone = sum(one.draws is None for one in entries)
    best = "the best one whose runs are here" if entries[0].draws is None else "the top one"
    line = f"= marks what {best} does not beat beyond the noise of rows; seeds of training are not in it"
    return f"{line}; not compared: {n_gone} whose runs are gone" if n_gone else line


def show_leaderboard(entries: Sequence[Entry], dataset: Dataset, competition: Competition) -> Path:
    """Print the leaderboard, write it as leaderboard.csv beside the runs, and return that path."""
    columns = {name: [tell(one) for one in entries] for name, tell in SHOWN.items()}
    shown = {
        "": [("= " if one.is_tied else "  ") + one.name for one in entries],
        competition.metric: [f"{one.cv:.4f}" for one in entries],
        "95 % interval": [f"{one.low:.4f} to {one.high:.4f}" for one in entries],
        **{name: values for name, values in columns.items() if any(values)},
    }
    title = f"{competition.name}, fold table {dataset.data8}, {len(dataset.in_folds):,} rows"
    show_table(title, list(shown), list(zip(*shown.values(), strict=True)))
    say(marks_line(entries))
    path = dataset.folder / "leaderboard.csv"
    names = [each.name for each in fields(Entry) if each.name != "draws"]
    table = pd.DataFrame([{name: getattr(one, name) for name in names} for one in entries])
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
    return path
