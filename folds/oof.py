"""Out-of-fold tables: each train row predicted by the model that did not see it, aligned by id and by class name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from comp.bootstrap import interval
from comp.errors import Refused
from comp.metrics import check_probabilities, metric
from comp.store import MARKER, read_json, read_marker, write_array, write_json, write_marker
from comp.text_metrics import resampled_text_scores, text_metric
from folds.dataset import Dataset
from folds.frames import Frames, as_facts, from_facts, in_order, mean_of, put_together
from folds.runs import fold_dir


@dataclass(frozen=True)
class Predictions:
    """What a run says of train rows (out-of-fold) and of test rows.

    Attributes:
        oof_ids: (N,) ids of the rows of `oof`, in the order of the table.
        oof: (N, C) float32 probabilities.
        test_ids: (M,) ids of the readable test rows, in the order of the table.
        test: (M, C) float32 probabilities, averaged over the models of all folds.
        classes: (C,) names of the columns.
        oof_lengths, test_lengths: (N,) and (M,) frames of each row, where predictions are frames of a transcript: `oof` and
            `test` are then (sum T, A), and classes the alphabet; None elsewhere.
    """

    oof_ids: list[str]
    oof: np.ndarray
    test_ids: list[str]
    test: np.ndarray
    classes: list[str]
    oof_lengths: np.ndarray | None = None
    test_lengths: np.ndarray | None = None

    @property
    def frames(self) -> tuple[Frames, Frames]:
        """Return the frames of the train rows and of the test rows.

        Raises:
            Refused: If these are probabilities of classes.
        """
        if self.oof_lengths is None or self.test_lengths is None:
            raise Refused("probabilities of classes were found where frames of transcripts were expected")
        oof = Frames(self.oof_ids, self.oof, self.oof_lengths, self.classes)
        return oof, Frames(self.test_ids, self.test, self.test_lengths, self.classes)


def read_fold(run: Path, fold: int) -> tuple[dict[str, Any], dict[str, Any], np.ndarray, np.ndarray]:
    """Return a finished fold's marker, ids, and valid and test probabilities.

    Raises:
        Refused: If the fold is not finished or an output of it was changed.
    """
    folder = fold_dir(run, fold)
    marker = read_marker(folder)
    if marker is None:
        raise Refused(f"{folder} is not a finished fold, or was changed since; run the same command again to make it")
    return marker, read_json(folder / "ids.json"), np.load(folder / "valid.npy"), np.load(folder / "test.npy")


def assemble(run: Path, dataset: Dataset) -> Predictions:
    """Put a run's folds together, check that nothing leaked, and write the tables beside the folds.

    Raises:
        Refused: If a model was trained on the fold it scores, a row is missing or there twice, or classes differ.
    """
    predictions = _frames_of(run, dataset) if dataset.is_text else _tables_of(run, dataset)
    _write(run, predictions)
    return predictions


def _tables_of(run: Path, dataset: Dataset) -> Predictions:
    rows = dataset.in_folds
    oof = np.full((len(rows), len(dataset.classes)), np.nan, np.float32)
    tests = []
    test_ids = dataset.readable_test["id"].tolist()
    position = {row_id: index for index, row_id in enumerate(rows["id"])}
    for fold in range(dataset.n_folds):
        marker, ids, valid, test = read_fold(run, fold)
        check_fold(f"{run.name} fold {fold}", marker, ids, dataset, fold)
        oof[[position[row_id] for row_id in ids["valid"]]] = valid
        tests.append(align(ids["test"], test_ids, test, f"{run.name} fold {fold}, test rows"))
    check_probabilities(oof, f"{run.name}, out-of-fold")
    return Predictions(rows["id"].tolist(), oof, test_ids, mean_of_tables(tests), dataset.classes)


def mean_of_tables(tables: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Return the float32 mean of tables of one shape, by fold, seed or view, summed in double precision."""
    return np.asarray(np.mean(tables, axis=0, dtype=np.float64), dtype=np.float32)


def _frames_of(run: Path, dataset: Dataset) -> Predictions:
    """Return the frames of all folds: train rows as they are, test rows averaged over the folds' models."""
    oofs, tests = [], []
    test_ids = dataset.readable_test["id"].tolist()
    for fold in range(dataset.n_folds):
        name = f"{run.name} fold {fold}"
        marker, ids, valid, test = read_fold(run, fold)
        check_fold(name, marker, ids, dataset, fold)
        oofs.append(from_facts(valid, ids, "valid").checked(name))
        tests.append(in_order(from_facts(test, ids, "test").checked(name), test_ids, f"{name}, test rows"))
    oof = in_order(put_together(oofs), dataset.in_folds["id"].tolist(), f"{run.name}, out-of-fold")
    test_mean = mean_of(tests)
    return Predictions(oof.ids, oof.values, test_ids, test_mean.values, dataset.classes, oof.lengths, test_mean.lengths)


def check_fold(name: str, marker: dict[str, Any], ids: dict[str, Any], dataset: Dataset, fold: int) -> None:
    """Refuse a fold whose model saw what it scores, or that scores other rows or classes than its own.

    Raises:
        Refused: With one line that names the fold and the first row.
    """
    if ids["classes"] != dataset.classes:
        foreign = sorted(set(ids["classes"]) ^ set(dataset.classes)) or ["their order"]
        raise Refused(f"{name}: its classes are not those of the table, the first that differs is {foreign[0]!r}")
    if fold in marker["trained_on_folds"] or -1 in marker["trained_on_folds"]:
        raise Refused(
            f"{name}: leak, its model was trained on folds {marker['trained_on_folds']}, the scored or held-out among them"
        )
    if marker["folds_sha256"] != dataset.facts["fingerprints"]["folds.csv"]:
        raise Refused(f"{name}: it was trained over another fold table")
    expected = dataset.train["id"][dataset.train["fold"] == fold].tolist()
    if sorted(ids["valid"]) != sorted(expected):
        wrong = _first_at_fault(ids["valid"], expected)
        raise Refused(
            f"{name}: it scores {len(ids['valid'])} rows, expected {len(expected)}, each once; the first at fault is {wrong!r}"
        )


def _first_at_fault(have: Sequence[str], want: Sequence[str]) -> str:
    """Return the first id that is foreign, else missing, else there twice."""
    double = [row_id for row_id in have if list(have).count(row_id) > 1] if len(set(have)) < len(have) else []
    return [*sorted(set(have) - set(want)), *sorted(set(want) - set(have)), *sorted(double)][0]


def align(have: Sequence[str], want: Sequence[str], values: np.ndarray, what: str) -> np.ndarray:
    """Return the rows of `values` in the order of the ids wanted, by id, never by position.

    Raises:
        Refused: If an id is missing, foreign or there twice.
    """
    position = {row_id: index for index, row_id in enumerate(have)}
    if len(position) != len(have) or set(position) != set(want):
        wrong = _first_at_fault(have, want)
        raise Refused(
            f"{what}: expected {len(want)} ids, got {len(have)}; the first foreign, missing or double is {wrong!r}"
        )
    return np.asarray(values[[position[row_id] for row_id in want]])


def _write(run: Path, predictions: Predictions) -> None:
    if read_marker(run) is not None:
        return
    write_array(run / "oof.npy", predictions.oof)
    write_array(run / "test.npy", predictions.test)
    ids: dict[str, Any] = {"oof": predictions.oof_ids, "test": predictions.test_ids, "classes": predictions.classes}
    if predictions.oof_lengths is not None:
        oof, test = predictions.frames
        ids |= {**as_facts(oof, "oof"), **as_facts(test, "test")}
    write_json(run / "predictions.json", ids)
    write_marker(run, ["oof.npy", "test.npy", "predictions.json"])


def read_predictions(run: Path) -> Predictions:
    """Return a finished run's predictions: the one way that everything downstream reads them.

    Raises:
        Refused: If the run is not finished or was changed since.
    """
    if read_marker(run) is None:
        raise Refused(f"{run / MARKER} is missing or does not match its files: the run is not finished, or was changed")
    ids = read_json(run / "predictions.json")
    lengths = [np.array(ids[name], np.int64) if name in ids else None for name in ("oof_lengths", "test_lengths")]
    oof, test = np.load(run / "oof.npy"), np.load(run / "test.npy")
    return Predictions(ids["oof"], oof, ids["test"], test, ids["classes"], *lengths)


@dataclass(frozen=True)
class Score:
    """A metric over a whole out-of-fold table.

    Attributes:
        low, high: Bootstrap interval (95 %), resampled within class.
        fold_scores: The metric over the rows of each fold; their mean and deviation tell how much one fold would.
        n_rows: Rows that are scored.
        n_classes_left_out: Classes with fewer groups than folds, whose rows are not scored.
    """

    metric: str
    value: float
    low: float
    high: float
    fold_scores: list[float]
    n_rows: int
    n_classes_left_out: int = 0

    @property
    def fold_mean(self) -> float:
        """Return the mean over folds."""
        return float(np.mean(self.fold_scores))

    @property
    def fold_deviation(self) -> float:
        """Return the standard deviation over folds (n - 1)."""
        return float(np.std(self.fold_scores, ddof=1))


def text_score(dataset: Dataset, texts: Sequence[str], metric_name: str) -> Score:
    """Return a metric of transcripts over the out-of-fold table, with its interval, resampled over rows.

    Args:
        texts: (N,) of the rows of `dataset.in_folds`.
    """
    chosen, truth = text_metric(metric_name), dataset.in_folds["label"].tolist()
    folds, told = dataset.in_folds["fold"].to_numpy(), np.array(texts, dtype=object)
    true = np.array(truth, dtype=object)
    low, high = np.quantile(resampled_text_scores(chosen, truth, texts), [0.025, 0.975])
    by_fold = [chosen.function(true[folds == k].tolist(), told[folds == k].tolist()) for k in range(dataset.n_folds)]
    return Score(metric_name, chosen.function(truth, texts), float(low), float(high), by_fold, len(truth))


def score(dataset: Dataset, oof: np.ndarray, metric_name: str) -> Score:
    """Return a metric over the out-of-fold table, with its interval; classes that are left out of the folds are left out here.

    Args:
        oof: (N, C) probabilities of the rows of `dataset.in_folds`.
    """
    left_out = set(dataset.facts["classes_left_out"])
    counted = ~dataset.in_folds["label"].isin(left_out).to_numpy()
    truth, probabilities = dataset.truth[counted], oof[counted]
    folds = dataset.in_folds["fold"].to_numpy()[counted]
    chosen = metric(metric_name, dataset.classes)
    low, high = interval(chosen, truth, probabilities)
    by_fold = [
        float(chosen.function(truth[folds == k], probabilities[folds == k], None))
        for k in range(dataset.n_folds)
        if (folds == k).any()
    ]
    value = float(chosen.function(truth, probabilities, None))
    return Score(metric_name, value, low, high, by_fold, int(counted.sum()), len(left_out))
