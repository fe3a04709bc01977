"""Does the phylum help? The ways to use it side by side on one recipe, each against not using it, with paired intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from comp.bootstrap import resampled_scores
from comp.console import say, show_table
from comp.errors import BadInput
from comp.marks import Marks, markdown
from comp.metrics import Floats, Metric, metric
from comp.spec import Competition
from comp.store import write_text
from folds.dataset import Dataset
from folds.oof import read_predictions
from folds.runs import plan_of
from submissions.matched import Matched, match
from submissions.phylum import IN_TRAINING, learn
from submissions.postprocess import Step
from submissions.steps import fit_decode, sight
from submissions.stored import finished_runs, is_outside

BASE = "no"
MARKS = Marks("<!-- phylum: written by `python -m submissions ablate --readme README.md` -->", "<!-- end of phylum -->")


@dataclass(frozen=True)
class Way:
    """One way to use the phylum: its score with interval, and how much better it is than not using it, with interval.

    Attributes:
        gain, gain_low, gain_high: Of paired resamples: both see the same rows; 0 for the way `no`.
    """

    name: str
    score: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float


def compare_ways(truth: np.ndarray, ways: Mapping[str, Floats], metric: Metric) -> list[Way]:
    """Return each way with its gain over the way `no`, in the order given; 95 % intervals over rows.

    Args:
        truth: (N,) class index.
        ways: An (N, C) out-of-fold table for each, `no` among them.
    """
    draws = {name: resampled_scores(metric, truth, table) for name, table in ways.items()}
    scores = {name: metric.prepare(truth, table)(np.ones(len(truth))) for name, table in ways.items()}
    sign = 1 if metric.direction == "higher" else -1
    found = []
    for name in ways:
        low, high = np.quantile(draws[name], [0.025, 0.975])
        gain_low, gain_high = np.quantile(sign * (draws[name] - draws[BASE]), [0.025, 0.975])
        gain = metric.gain(scores[name], scores[BASE])
        found.append(Way(name, scores[name], *map(float, (low, high, gain, gain_low, gain_high))))
    return found


def decoded(matched: Matched, run: int, metric: Metric) -> Floats:
    """Return (N, C): a run's out-of-fold table, each fold decoded by what the rows outside it tell of the phyla.

    Raises:
        BadInput: If the phylum is no function of the class.
    """
    table = matched.oof[run].copy()
    for k in matched.folds:
        facts = fit_decode(sight(matched, matched.oof[run], matched.fitted(k), metric))
        if facts is None:
            lines = "; ".join(learn(matched.truth, matched.condition, matched.classes).contradictions[:5])
            raise BadInput(f"the condition cannot be decoded: {lines or 'no train row has one'}; mend the table")
        rows = matched.fold == k
        table[rows] = Step("decode", facts).apply(matched.oof[run][rows], matched.condition[rows])
    return table


def ablate(dataset: Dataset, competition: Competition) -> dict[str, list[Way]]:
    """Return for each finished run over a fold table the ways to use the phylum: those of training where such runs are finished too.

    Raises:
        BadInput: If the competition has no condition column, or there is no finished run.
    """
    if competition.condition_column is None:
        raise BadInput(f"{competition.name} has no condition column, so there is nothing to leave out")
    folders = finished_runs(dataset.folder)
    runs = {run.name: read_predictions(run) for run in folders}
    if not runs:
        raise BadInput(f"no finished run of {competition.name} over fold table {dataset.data8}; make submit makes some")
    matched, chosen = match(dataset, runs), metric(competition.metric, dataset.classes)
    trained = trained_ways(folders)
    tables = {name: matched.oof[index] for index, name in enumerate(matched.names)}
    counted = matched.is_counted
    found = {}
    for index, name in enumerate(matched.names):
        if name in trained:
            ways = {BASE: tables[name], "decode": decoded(matched, index, chosen)}
            ways |= {way: tables[other] for way, other in trained[name].items()}
            ways = {way: table[counted] for way, table in ways.items()}
            found[name] = compare_ways(matched.truth[counted], ways, chosen)
    return found


def trained_ways(folders: Sequence[Path]) -> dict[str, dict[str, str]]:
    """Return for each run that does not use the condition in training the runs that do, by way, all else being equal."""
    plans = {run.name: None if is_outside(run) else plan_of(run) for run in folders}
    ways: dict[str, dict[str, str]] = {
        name: {} for name, plan in plans.items() if plan is None or plan.recipe.condition == BASE
    }
    by_key = {plan.key: name for name, plan in plans.items() if plan is not None}
    for name, plan in plans.items():
        if plan is None or plan.recipe.condition == BASE:
            continue
        without = by_key.get(replace(plan, recipe=replace(plan.recipe, condition="no")).key)
        if without is not None:
            ways[without][plan.recipe.condition] = name
    return ways


def without_partner(folders: Sequence[Path]) -> dict[str, str]:
    """Return the runs that use the condition in training and have none to be held against, with their way."""
    plans = {run.name: plan_of(run) for run in folders if not is_outside(run)}
    paired = {name for ways in trained_ways(folders).values() for name in ways.values()}
    conditions = {name: plan.recipe.condition for name, plan in plans.items()}
    return {name: way for name, way in conditions.items() if way != BASE and name not in paired}


def show_ablation(
    found: Mapping[str, list[Way]], dataset: Dataset, competition: Competition, readme: Path | None = None
) -> Path:
    """Print the table, write it as ablation.csv beside the runs, and into a Markdown file where one is named.

    A run that uses the condition in training and has no partner without is named below the table.

    Returns:
        The Markdown file, or else the CSV.

    Raises:
        BadInput: If the Markdown file lacks the marks.
    """
    if readme is not None:
        MARKS.check(readme)
    columns, rows = _columns(competition), ablation_rows(found)
    show_table(f"{competition.name}, out-of-fold over {len(dataset.in_folds):,} rows", columns, rows)
    lines, alone = ablation_lines(found), without_partner(finished_runs(dataset.folder))
    for line in [*lines, *_alone_lines(alone), *_missing_ways(found, set(alone.values()))]:
        say(line)
    path = dataset.folder / "ablation.csv"
    table = pd.DataFrame([{"run": name, **vars(way)} for name, ways in found.items() for way in ways])
    write_text(path, table.to_csv(index=False, float_format="%.6f", lineterminator="\n"))
    return path if readme is None else MARKS.write(readme, "\n\n".join([markdown(columns, rows), *lines]))


def _columns(competition: Competition) -> list[str]:
    first = ["run", competition.condition_column or "", competition.metric]
    return [*first, "95 % interval", "gain", "95 % interval of it"]


def ablation_rows(found: Mapping[str, list[Way]]) -> list[list[str]]:
    """Return a row for each run and way, in words: score and gain over not using the condition, each with its interval."""
    return [
        [
            name if way.name == BASE else "",
            way.name,
            f"{way.score:.4f}",
            f"{way.low:.4f} to {way.high:.4f}",
            "" if way.name == BASE else f"{way.gain:+.4f}",
            "" if way.name == BASE else f"{way.gain_low:+.4f} to {way.gain_high:+.4f}",
        ]
        for name, ways in found.items()
        for way in ways
    ]


def ablation_lines(found: Mapping[str, list[Way]]) -> list[str]:
    """Return how many of the gains are beyond the noise of rows, as one line."""
    gains = [way.gain_low for ways in found.values() for way in ways if way.name != BASE]
    n_real = sum(low > 0 for low in gains)
    return [f"{n_real} of {len(gains)} gains lie above zero with their whole interval (rows only, paired)."]


def _alone_lines(alone: Mapping[str, str]) -> list[str]:
    """Return a line for each run of training with the condition that is not in the table."""
    return [
        f"{name} ({way}) is left out: no finished run differs from it in nothing but PHYLUM; the same command with PHYLUM=no makes one"
        for name, way in alone.items()
    ]


def _missing_ways(found: Mapping[str, list[Way]], others: set[str]) -> list[str]:
    """Return a line that names the ways of training no run has, and the commands that add them.

    Args:
        others: Ways of runs that are not in the table.
    """
    known = {way.name for ways in found.values() for way in ways} | others
    missing = [way for way in IN_TRAINING if way not in known]
    commands = " and ".join(f"make train ... PHYLUM={way}" for way in missing)
    return [f"{' and '.join(missing)} not trained here; {commands} would add them to this table"] if missing else []
