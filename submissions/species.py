"""Seen and unseen species: one recipe over folds that mix the groups of a class, and over folds that keep each group together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from comp.bootstrap import resampled_scores
from comp.console import say, show_table
from comp.errors import BadInput
from comp.metrics import Metric, metric
from comp.spec import Competition
from comp.store import write_text
from folds.dataset import Dataset, load_dataset
from folds.oof import align, read_predictions
from folds.runs import RUNS, read_run
from submissions.stored import finished_runs, is_outside


@dataclass(frozen=True)
class SeenUnseen:
    """What a recipe scores on the same rows when their group was among the training rows, and when it was not.

    Attributes:
        drop: How much worse it is on unseen groups, with its 95 % interval over rows (paired).
        n_rows, n_classes: That are scored: those of classes whose rows the grouped folds have in two folds or more. Each of
            these rows was answered by a model that knew its class and had never seen its group.
    """

    name: str
    seen: float
    unseen: float
    drop: float
    drop_low: float
    drop_high: float
    n_rows: int
    n_classes: int


def seen_and_unseen(mixed: Dataset, grouped: Dataset, chosen: Metric) -> list[SeenUnseen]:
    """Return a line for each recipe that has a finished run of the same seed over both fold tables.

    Both are scored on the same rows: see `is_scored`.

    Args:
        mixed: The fold table whose folds mix groups: its rows are scored by models that saw their group.
        grouped: The one whose folds keep groups together.
    """
    runs = {_recipe(run): run for run in finished_runs(mixed.folder) if not is_outside(run)}
    pairs = [(runs.get(_recipe(run)), run) for run in finished_runs(grouped.folder) if not is_outside(run)]
    return [_compared(one, other, mixed, grouped, chosen) for one, other in pairs if one is not None]


def is_scored(grouped: Dataset) -> np.ndarray:
    """Return (N,) whether a row of the grouped folds tells anything of unseen groups: its class is in another fold too.

    A class with a single group lies in one fold, whose model never saw the class and can only be wrong; so does one whose groups
    are chained by twins. A class with fewer groups than folds, which other scores leave out, is scored: no fold is by itself here.
    """
    rows = grouped.in_folds
    return np.asarray(rows.groupby("label")["fold"].transform("nunique") > 1)


def _recipe(run: Path) -> str:
    """Return what two runs share that differ in nothing but the fold table."""
    parts: dict[str, Any] = read_run(run)["key_parts"]
    return str(sorted((name, str(value)) for name, value in parts.items() if name != "data8"))


def _compared(seen: Path, unseen: Path, mixed: Dataset, grouped: Dataset, chosen: Metric) -> SeenUnseen:
    rows = grouped.in_folds[is_scored(grouped)]
    rows = rows[rows["id"].isin(set(mixed.in_folds["id"]))]  # a hold-out of one table may be in the folds of the other
    ids, truth = rows["id"].tolist(), mixed.index_of(rows["label"])
    tables = [_rows_of(run, ids, mixed.classes) for run in (seen, unseen)]
    scores = [chosen.prepare(truth, table)(np.ones(len(truth))) for table in tables]
    draws = [resampled_scores(chosen, truth, table) for table in tables]
    sign = 1 if chosen.direction == "higher" else -1
    low, high = np.quantile(sign * (draws[0] - draws[1]), [0.025, 0.975])
    name = str(read_run(unseen)["key_parts"]["candidate"]) + f" seed {read_run(unseen)['key_parts']['seed']}"
    drop = chosen.gain(scores[0], scores[1])
    return SeenUnseen(name, scores[0], scores[1], drop, float(low), float(high), len(ids), rows["label"].nunique())


def _rows_of(run: Path, ids: list[str], classes: list[str]) -> np.ndarray:
    found = read_predictions(run)
    wanted = set(ids)
    is_wanted = np.array([row_id in wanted for row_id in found.oof_ids])
    have = [row_id for row_id in found.oof_ids if row_id in wanted]
    columns = align(found.classes, classes, np.arange(len(classes)), f"{run.name}, classes")
    return align(have, ids, found.oof[is_wanted], f"{run.name}, out-of-fold")[:, columns]


def fold_tables(competition: Competition, group: str, runs: Path = RUNS) -> list[tuple[Dataset, Dataset]]:
    """Return every pair of a fold table without groups and one grouped by a column that share their rows.

    Raises:
        BadInput: If there is no such pair.
    """
    every = [load_dataset(path.parent) for path in sorted((runs / competition.name).glob("*/dataset.json"))]
    pairs = [
        (mixed, grouped)
        for mixed in every
        for grouped in every
        if mixed.facts["group_column"] is None and grouped.facts["group_column"] == group
        if mixed.classes == grouped.classes and set(mixed.train["id"]) == set(grouped.train["id"])
    ]
    if not pairs:
        raise BadInput(
            f"{competition.name}: expected finished runs over plain folds and over folds grouped by {group!r}, found no such "
            f"pair; run the same command twice, once with GROUP={group}"
        )
    return pairs


def show_seen_unseen(competition: Competition, group: str, metric_name: str) -> Path:
    """Print the table for all recipes with runs over both kinds of folds, write it as unseen.csv, and return that path.

    Raises:
        BadInput: If no recipe has.
    """
    found = [
        (grouped, seen_and_unseen(mixed, grouped, metric(metric_name, mixed.classes)))
        for mixed, grouped in fold_tables(competition, group)
    ]
    grouped, lines = max(found, key=lambda pair: len(pair[1]))
    if not lines:
        raise BadInput(
            f"{competition.name}: no recipe has a finished run over both kinds of folds; train one with GROUP={group}"
        )
    rows = [
        [
            one.name,
            f"{one.seen:.4f}",
            f"{one.unseen:.4f}",
            f"{one.drop:+.4f}",
            f"{one.drop_low:+.4f} to {one.drop_high:+.4f}",
        ]
        for one in lines
    ]
    show_table(
        f"{competition.name}, {metric_name}", ["", f"seen {group}", f"unseen {group}", "drop", "95 % interval"], rows
    )
    n_left_out = grouped.in_folds["label"][~is_scored(grouped)].nunique()
    say(
        f"on the same {lines[0].n_rows:,} rows of {lines[0].n_classes} classes; {n_left_out} classes are left out: all their rows "
        f"are of one {group}, or of several that lie in one fold, whose model never saw the class"
    )
    path = grouped.folder / "unseen.csv"
    table = pd.DataFrame([vars(one) for one in lines])
    write_text(path, table.to_csv(index=False, float_format="%.6f", lineterminator="\n"))
    return path
