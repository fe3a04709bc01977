"""A finished ensemble as one folder, opened where there is no network: what a notebook on Kaggle calls to answer photos.

competition.py  the facts of the competition, as they were when it was packed
ensemble.json   the manifest of the CSV whose ensemble this is
classes.json    class names, in the order of the columns
runs/           fold table and runs, laid out as in the project; every fold's model among them
weights/        pre-trained weights that models were trained from (a probe's features come from them)
source/         this project
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from comp.engine import open_engine
from comp.errors import BadInput
from comp.registry import load_competition
from comp.spec import Competition
from folds.cv import library_versions
from submissions.predict import NewPhotos, answer
from submissions.stored import read_manifest

COMPETITION, ENSEMBLE, CLASSES = "competition.py", "ensemble.json", "classes.json"
WEIGHTS, SOURCE = "weights", "source"
FOLD_TABLE = ("dataset.json", "table.csv", "folds.csv")


@dataclass(frozen=True)
class Bundle:
    """An ensemble that lies in a folder of its own; the folder is only read.

    Attributes:
        manifest: That of the CSV, and under `asked` how the competition was named when it was packed.
    """

    folder: Path
    competition: Competition
    manifest: dict[str, Any]

    @property
    def dataset_folder(self) -> Path:
        """Return the folder of the fold table that the runs were trained over."""
        return self.folder / Path(self.manifest["runs"][0]["folder"]).parent

    @property
    def weights(self) -> str | None:
        """Return the folder of pre-trained weights, or None where no run was trained from any."""
        return str(self.folder / WEIGHTS) if (self.folder / WEIGHTS).is_dir() else None


def open_bundle(folder: Path) -> Bundle:
    """Return the ensemble that was packed into a folder.

    Raises:
        BadInput: If the folder is none of ours, or only a part of one.
    """
    lacking = [name for name in (COMPETITION, ENSEMBLE, CLASSES, "runs") if not (folder / name).exists()]
    if lacking:
        raise BadInput(
            f"{folder}: expected a data set that make notebook wrote, but it has no {lacking[0]}; upload all of it"
        )
    manifest = read_manifest((folder / ENSEMBLE).with_suffix(".csv"))
    return Bundle(folder, load_competition(str(folder / COMPETITION)), manifest)


def ask(bundle: Bundle, photos: NewPhotos, n_jobs: int | None = None) -> tuple[list[str], np.ndarray]:
    """Return the classes and (N, C) probabilities of photos: what `python -m submissions predict` computes of them.

    Args:
        n_jobs: Models asked side by side; one a core where None.

    Raises:
        Refused: If a run or a file of weights in the folder is not whole.
    """
    engine = open_engine("local", n_jobs)
    file = (bundle.folder / ENSEMBLE).with_suffix(".csv")
    return answer(photos, bundle.competition, file, bundle.weights, engine, bundle.folder)


def describe(bundle: Bundle) -> str:
    """Return what answers, in a few lines: the competition, each run with its score, and the ensemble's score."""
    manifest, metric = bundle.manifest, bundle.manifest["metric"]
    runs = [f"  {candidate_of(run)}, seed {run['seed']}: {_score_words(metric, run['cv'])}" for run in manifest["runs"]]
    return "\n".join(
        [
            f"{bundle.competition.title}: {manifest['n_classes']} classes, {manifest['n_train']:,} train rows",
            *runs,
            f"ensemble ({_how(manifest['ensemble'])}): {_score_words(metric, manifest['cv'])}",
        ]
    )


def _how(ensemble: dict[str, Any]) -> str:
    steps = [step["step"] for step in ensemble["postprocessing"]]
    return f"{ensemble['method']}, then {', '.join(steps)}" if steps else str(ensemble["method"])


def candidate_of(run: dict[str, Any]) -> str:
    """Return a run of a manifest as the candidate that it is."""
    parts = [run["backbone"], run["variant"], run["fit"], f"{run['pixels']}px"]
    return ":".join(part for part in parts if part)


def _score_words(metric: str, cv: dict[str, float]) -> str:
    return f"{metric} {cv['score']:.4f} ({cv['low']:.4f} to {cv['high']:.4f})"


def version_line(bundle: Bundle) -> str:
    """Return the libraries that the models were trained with, as one line, which warns where others are here."""
    trained, here = bundle.manifest["versions"], library_versions()
    others = [name for name in trained if here.get(name) != trained[name]]
    if not others:
        return "the libraries are those of training: " + ", ".join(f"{name} {trained[name]}" for name in trained)
    named = ", ".join(f"{name} {trained[name]} (here {here.get(name, 'none')})" for name in others)
    return f"warning: trained with {named}: probabilities may differ in their last digits, and a close call with them"
