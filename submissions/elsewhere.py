"""One candidate trained on another machine over the same fold table, and its predictions brought home for add-run."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from comp.console import say
from comp.engine import open_engine
from comp.errors import BadInput, Refused
from comp.store import write_text
from folds.dataset import Dataset, dataset_folder
from folds.oof import Predictions
from folds.prepare import read_photos
from folds.runs import dataset_dir
from submissions.bundle import COMPETITION, FOLD_TABLE, WEIGHTS, Bundle
from submissions.outside import FOLD_COLUMN
from submissions.plan import Plan, Settings, make_plan
from submissions.submit import train_all

EXACT = "%.9g"  # nine digits give a float32 back as it was


@dataclass(frozen=True)
class Trained:
    """A run that was made elsewhere, over the fold table of an ensemble."""

    dataset: Dataset
    predictions: Predictions


def train_candidate(
    bundle: Bundle,
    data: Path | None,
    candidate: str,
    preset: str = "standard",
    weights: Path | None = None,
    precision: str = "fp32",
) -> Trained:
    """Train one candidate over the folds that an ensemble was trained over, in the current folder, asking no network.

    One job at a time: two would share one GPU's memory.

    Args:
        data: Folder of the competition's raw files; None where the competition draws its own.
        candidate: With its fit: `mobilenet:full`.
        weights: Folder of pre-trained weights; those of the ensemble where None.

    Raises:
        BadInput: If it is not one candidate, or its weights are not there.
        Refused: If the raw files are not those that the ensemble was trained on: before anything is trained.
    """
    settings = Settings(
        competition=str(bundle.folder / COMPETITION),
        data=data,
        backbones=candidate,
        preset=preset,
        weights=bundle.weights if weights in (None, bundle.folder / WEIGHTS) else str(weights),
        offline=True,
        precision=precision,
        tuned="no",
        jobs=1,
    )
    _take_folds(bundle, make_plan(settings))
    _, dataset, predictions = train_all(settings)
    return Trained(dataset, next(iter(predictions.values())))


def _take_folds(bundle: Bundle, plan: Plan) -> None:
    """Put the ensemble's fold table where training looks for it, if the photos here are those that it was made of."""
    if len(plan.choices) != 1:
        names = ", ".join(f"{choice.candidate}" for choice in plan.choices)
        raise BadInput(f"expected one candidate with its fit, such as mobilenet:full, got {names}")
    photos = read_photos(plan.tables, plan.specs, open_engine("local"))
    expected, found = bundle.dataset_folder, dataset_folder(plan.tables, photos, plan.n_folds).name
    if found != expected.name:
        raise Refused(
            f"{plan.source.folder}: these rows and photos make fold table {found}, the ensemble has {expected.name}; predictions "
            "over other folds cannot be added to it: name the raw files that it was trained on"
        )
    folder = dataset_dir(plan.competition.name, expected.name)
    folder.mkdir(parents=True, exist_ok=True)
    for name in FOLD_TABLE:
        shutil.copyfile(expected / name, folder / name)


def write_for_add_run(bundle: Bundle, trained: Trained, name: str, folder: Path) -> tuple[Path, Path]:
    """Write the two CSVs that add-run takes, say the command that takes them, and return their paths.

    Args:
        name: What the predictions shall be called at home.
    """
    dataset, found, id_column = trained.dataset, trained.predictions, bundle.competition.id_column
    folds = dict(zip(dataset.in_folds["id"], dataset.in_folds["fold"], strict=True))
    rows = _frame(found.oof_ids, found.oof, found.classes, id_column)
    if FOLD_COLUMN not in rows:  # a class may be called so; then add-run cannot tell the two apart
        rows[FOLD_COLUMN] = [folds[row_id] for row_id in found.oof_ids]
    paths = folder / f"{name}-oof.csv", folder / f"{name}-test.csv"
    for path, frame in zip(paths, (rows, _frame(found.test_ids, found.test, found.classes, id_column)), strict=True):
        write_text(path, frame.to_csv(index=False, float_format=EXACT, lineterminator="\n"))
    say(f"at home: {add_run_command(bundle, name)}")
    return paths


def _frame(ids: list[str], table: np.ndarray, classes: list[str], id_column: str) -> pd.DataFrame:
    frame = pd.DataFrame(table, columns=classes)
    frame.insert(0, id_column, ids)
    return frame


def add_run_command(bundle: Bundle, name: str) -> str:
    """Return the command that admits the two CSVs where the ensemble came from."""
    words = ["--competition", bundle.manifest["asked"], "--data8", bundle.dataset_folder.name]
    files = ["--oof", f"{name}-oof.csv", "--test", f"{name}-test.csv"]
    return shlex.join(["python", "-m", "submissions", "add-run", name, *words, *files])
