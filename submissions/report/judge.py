"""Whose answers the report is about: the newest CSV that can be made again, else the best finished run; one table, one truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from comp.errors import BadInput, FoldboardError
from comp.metrics import Floats, Metric, metric
from comp.spec import Competition
from comp.store import read_json
from folds.dataset import Dataset
from folds.oof import Predictions, read_predictions, score
from submissions.matched import match
from submissions.stored import finished_runs, read_manifest, rebuild

NO_RUN = (
    "no finished run of {competition} over fold table {data8}, so there is nothing to report; make submit makes some"
)


@dataclass(frozen=True, eq=False)
class Judge:
    """A table of out-of-fold probabilities and what it is made of.

    Attributes:
        name: What the report calls it.
        table: (N, C) probabilities of the rows of `dataset.in_folds`; of a CSV, the nested ones.
        manifest: Of the CSV, or None where a single run is judged.
        runs: Folders of the runs in it.
        weights: Of the runs, in the same order.
        notes: Why it is not the newest CSV, one line each.
    """

    name: str
    dataset: Dataset
    metric: Metric
    table: Floats
    manifest: dict[str, Any] | None
    runs: list[Path]
    weights: list[float]
    notes: list[str]

    @cached_property
    def counted(self) -> np.ndarray:
        """Return (N,) whether a row is scored."""
        return np.asarray(~self.dataset.in_folds["label"].isin(self.dataset.facts["classes_left_out"]).to_numpy())

    @cached_property
    def truth(self) -> np.ndarray:
        """Return (n,) class index of the rows that are scored."""
        return np.asarray(self.dataset.truth[self.counted])

    @cached_property
    def scored(self) -> Floats:
        """Return (n, C) probabilities of the rows that are scored."""
        return np.asarray(self.table[self.counted])

    @cached_property
    def condition(self) -> np.ndarray:
        """Return (n,) what is known of each scored row besides its photo."""
        return np.asarray(self.dataset.in_folds["condition"].to_numpy(dtype=object)[self.counted])

    @cached_property
    def ids(self) -> list[str]:
        """Return the ids of the rows that are scored."""
        return [str(row_id) for row_id in self.dataset.in_folds["id"].to_numpy(dtype=object)[self.counted]]


def judge_of(dataset: Dataset, competition: Competition, file: Path | None = None) -> Judge:
    """Return what the report is about.

    Args:
        file: A CSV of ours; None takes the newest one that can be made again, else the best finished run.

    Raises:
        BadInput: If there is no finished run, or `file` has no manifest.
        Refused: If `file` cannot be made again.
    """
    if file is not None:
        return _of_csv(file, dataset, competition, [])
    notes: list[str] = []
    for path in newest_first(dataset):
        try:
            return _of_csv(path, dataset, competition, notes)
        except FoldboardError as error:
            notes = [*notes, f"{path.name} is passed over: {error}"]
    return _of_best_run(dataset, competition, notes)


def newest_first(dataset: Dataset) -> list[Path]:
    """Return the CSVs over a fold table, the one written last first."""
    manifests = (dataset.folder / "submissions").glob("*.json")
    dated = sorted(((str(read_json(path).get("written", "")), path) for path in manifests), reverse=True)
    return [path.with_suffix(".csv") for _, path in dated]


def _of_csv(path: Path, dataset: Dataset, competition: Competition, notes: list[str]) -> Judge:
    manifest = read_manifest(path)
    made = rebuild(manifest, str(path))
    if made.dataset.folder.resolve() != dataset.folder.resolve():
        raise BadInput(f"{path} was made over fold table {made.dataset.data8}, this report is about {dataset.data8}")
    rule = manifest["ensemble"]
    name = f"{path.stem}.csv ({rule['method']} of {len(manifest['runs'])})"
    runs = [Path(run["folder"]) for run in manifest["runs"]]
    table = made.predictions.oof
    chosen = metric(competition.metric, dataset.classes)
    return Judge(name, dataset, chosen, table, manifest, runs, list(rule["weights"]), notes)


def _of_best_run(dataset: Dataset, competition: Competition, notes: list[str]) -> Judge:
    chosen = metric(competition.metric, dataset.classes)
    best: tuple[float, Path, Predictions] | None = None
    for run in finished_runs(dataset.folder):
        found = read_predictions(run)
        value = score(dataset, match(dataset, {run.name: found}).oof[0], competition.metric).value
        if best is None or chosen.is_better(value, best[0]):
            best = (value, run, found)
    if best is None:
        raise BadInput(NO_RUN.format(competition=competition.name, data8=dataset.data8))
    _, run, found = best
    table = match(dataset, {run.name: found}).oof[0]
    notes = [*notes, f"no CSV over these folds can be judged, so the report is about the best run, {run.name}"]
    return Judge(run.name, dataset, chosen, table, None, [run], [1.0], notes)
