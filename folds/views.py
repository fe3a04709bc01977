"""What each view of a photo says: out-of-fold rows predicted view by view, so that how many are averaged can be chosen afterwards.

    <run>/views/fold-<k>/      valid.npy (V, n, C): the rows of the fold under each view, by the model that did not see them
    <run>/views/test-<n>/      test.npy (M, C): the test rows under the mean of n views, made where n was chosen

Test rows are asked under further views only where these help: features of a view that nobody averages are never computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from comp.console import say
from comp.engine import Engine, Job, Listener, Report
from comp.errors import Refused
from comp.images import CACHE
from comp.store import locked, read_json, read_marker, sweep, write_array, write_json, write_marker
from folds.banks import banks_of
from folds.dataset import Dataset
from folds.inputs import views_of_photo
from folds.oof import align, mean_of_tables
from folds.predict import predict_run
from folds.runs import RunPlan, plan_of, run_dir, views_dir

OUTPUTS = ["valid.npy", "ids.json"]


def n_views_of(plan: RunPlan) -> int:
    """Return how many views of a photo a run can be asked about: those it was trained on, or a photo, its mirror image and what
    else its recipe averages.
    """
    if plan.candidate.fit in ("probe", "tail"):
        return len(banks_of(plan))
    symmetries = plan.facts["symmetries"]
    asked = max(plan.recipe.tta_views, 2 if "flip" in symmetries else 1)
    return min(asked, len(views_of_photo(symmetries)))


def own_views(plan: RunPlan) -> int:
    """Return how many views a run averages where nothing else was chosen."""
    return min(max(1, plan.recipe.tta_views), n_views_of(plan))


def view_jobs(plans: Sequence[RunPlan], dataset: Dataset, cache_dir: Path = CACHE) -> list[Job]:
    """Return a job for each fold that was not asked view by view yet, of the runs that have several views."""
    return [
        Job(
            function="folds.views:predict_views",
            arguments={
                "run": str(run_dir(dataset.folder, plan)),
                "fold": fold,
                "cache_dir": str(cache_dir),
                "weights": plan.weights_path,
            },
            label=f"{plan.candidate} fold {fold}, by view",
            needs_keras=True,
            log_path=str(views_dir(run_dir(dataset.folder, plan), f"fold-{fold}") / "log.txt"),
            size=n_views_of(plan),
        )
        for plan in plans
        if n_views_of(plan) > 1
        for fold in range(dataset.n_folds)
        if read_marker(views_dir(run_dir(dataset.folder, plan), f"fold-{fold}")) is None
    ]


def predict_views(report: Report, run: str, fold: int, cache_dir: str, weights: str) -> str:
    """Ask the model of a finished fold about the fold's rows, view by view; return the folder of the tables.

    Raises:
        Refused: If the fold is not finished.
    """
    folder = views_dir(Path(run), f"fold-{fold}")
    with locked(folder / ".lock", lambda line: report("note", line)):
        sweep(folder)
        if read_marker(folder) is None:
            _write_views(folder, Path(run), fold, Path(cache_dir), weights)
    return str(folder)


def _write_views(folder: Path, run: Path, fold: int, cache_dir: Path, weights: str) -> None:
    from folds.answers import answers_by_view  # only where a job runs: it needs Keras

    def table_of(dataset: Dataset) -> tuple[list[str], list[str]]:
        rows = dataset.train[dataset.train["fold"] == fold]
        return rows["sha"].tolist(), rows["condition"].tolist()

    found = answers_by_view(run, fold, cache_dir, weights, n_views_of(plan_of(run)), table_of)
    _write_tables(folder, fold, found.dataset, found.tables)


def store_views(run: Path, fold: int, dataset: Dataset, tables: np.ndarray) -> None:
    """Keep what a fit said of its fold's rows under each view: nobody has to ask its model again.

    Args:
        tables: (V, n, C), rows in the order of the fold table.
    """
    folder = views_dir(run, f"fold-{fold}")
    with locked(folder / ".lock", say):
        sweep(folder)
        if read_marker(folder) is None:
            _write_tables(folder, fold, dataset, tables)


def _write_tables(folder: Path, fold: int, dataset: Dataset, tables: np.ndarray) -> None:
    write_array(folder / "valid.npy", tables)
    ids = dataset.train["id"][dataset.train["fold"] == fold].tolist()
    write_json(folder / "ids.json", {"valid": ids, "classes": dataset.classes})
    write_marker(folder, OUTPUTS, {"folds_sha256": dataset.facts["fingerprints"]["folds.csv"]})


@dataclass(frozen=True, eq=False)
class Views:
    """A finished run by the number of views that are averaged.

    Attributes:
        run: Its folder.
        own: How many views it averages where nothing else is chosen.
        make_test: Makes the table of test rows under the mean of n views where it is not there, or None: then that is refused.
    """

    run: Path
    dataset: Dataset
    n_views: int
    own: int
    make_test: Callable[[int], None] | None = None

    def oof(self, n: int) -> np.ndarray:
        """Return (N, C) float32 out-of-fold probabilities under the mean of the first n views, rows as in the fold table.

        Raises:
            Refused: If a fold was not asked by view, or its tables were changed or belong to another fold table.
        """
        rows = self.dataset.in_folds
        table = np.full((len(rows), len(self.dataset.classes)), np.nan, np.float32)
        for fold in range(self.dataset.n_folds):
            is_mine = (rows["fold"] == fold).to_numpy()
            table[is_mine] = self._fold(fold, rows["id"][is_mine].tolist(), n)
        return table

    def _fold(self, fold: int, wanted: list[str], n: int) -> np.ndarray:
        folder = views_dir(self.run, f"fold-{fold}")
        marker = read_marker(folder)
        fingerprint = self.dataset.facts["fingerprints"]["folds.csv"]
        if marker is None or marker["folds_sha256"] != fingerprint:
            raise Refused(f"{folder} is not whole, or of another fold table; run the same command again to make it")
        ids = read_json(folder / "ids.json")
        if ids["classes"] != self.dataset.classes:
            raise Refused(f"{folder}: its classes are not those of the table; remove it and run the same command again")
        found = np.load(folder / "valid.npy", mmap_mode="r")
        return align(ids["valid"], wanted, mean_of_tables(found[:n]), f"{self.run.name} fold {fold}, by view")

    def test(self, n: int) -> np.ndarray:
        """Return (M, C) float32 probabilities of the readable test rows under the mean of the first n views.

        Raises:
            Refused: If they are not there and nobody makes them.
        """
        folder = views_dir(self.run, f"test-{n}")
        if read_marker(folder) is None and self.make_test is not None:
            self.make_test(n)
        if read_marker(folder) is None:
            raise Refused(
                f"{folder} is not whole: the test rows under {n} views; run the same command again to make it"
            )
        ids = read_json(folder / "ids.json")
        wanted = self.dataset.readable_test["id"].tolist()
        return align(ids["test"], wanted, np.load(folder / "test.npy"), f"{self.run.name}, test rows under {n} views")


def views_of(run: Path, dataset: Dataset, make_test: Callable[[int], None] | None = None) -> Views | None:
    """Return a finished run by its views, or None where a photo has one view only."""
    plan = plan_of(run)
    n_views = n_views_of(plan)
    return Views(run, dataset, n_views, own_views(plan), make_test) if n_views > 1 else None


def predict_test(
    plan: RunPlan, dataset: Dataset, n: int, engine: Engine, listener: Listener, cache_dir: Path = CACHE
) -> None:
    """Ask a run's models about the test rows under the first n views, and store the mean beside the run.

    Args:
        plan: The run's, with the place of its weights.
    """
    run, rows = run_dir(dataset.folder, plan), dataset.readable_test
    folder = views_dir(run, f"test-{n}")
    with locked(folder / ".lock", say):
        if read_marker(folder) is not None:
            return
        shas, conditions = rows["sha"].tolist(), rows["condition"].tolist()
        table = predict_run(run, plan, dataset, shas, conditions, engine, listener, folder / "folds", cache_dir, n)
        write_array(folder / "test.npy", table)
        write_json(folder / "ids.json", {"test": rows["id"].tolist(), "classes": dataset.classes})
        write_marker(folder, ["test.npy", "ids.json"])
