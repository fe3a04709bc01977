"""Finished runs and CSVs as they lie on disk: found, read, and put together again from the manifest alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comp.console import say
from comp.errors import BadInput, Refused
from comp.registry import names
from comp.spec import Competition
from comp.store import MARKER, key_of, read_json, read_marker
from folds.dataset import Dataset, load_dataset
from folds.oof import Predictions, read_predictions
from folds.runs import RUNS, read_run, repeat_mark, trial_mark
from submissions.combine import predictions_of
from submissions.ensemble import SINGLE
from submissions.matched import Matched, match
from submissions.postprocess import Ensemble, Pipeline
from submissions.rules import Rule
from submissions.transcripts import Transcripts, transcribe
from submissions.views import stored_views
from submissions.write import facts_of_format

OUTSIDE = "outside-"  # the folder of predictions of another tool is named OUTSIDE + NAME


def find_dataset(competition: str, data8: str | None = None, runs: Path = RUNS) -> Dataset:
    """Return the fold table of a competition: the one named, else the only one that has finished runs, else the only one.

    Raises:
        BadInput: If there is none, or several and none is named.
    """
    found = _candidates(competition, data8, runs)
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise BadInput(
            f"{competition} has several fold tables here: {names}; name one of them: --data8 {found[0].name}"
        )
    return load_dataset(found[0])


def view_dataset(competition: str, data8: str | None = None, runs: Path = RUNS) -> Dataset:
    """Return the fold table to look at: the one named, else the one whose runs were finished last; others are told of.

    Raises:
        BadInput: If there is none.
    """
    found = _candidates(competition, data8, runs)
    newest = max(found, key=lambda folder: max((_finished_at(run) for run in finished_runs(folder)), default=0))
    if len(found) > 1:
        others = ", ".join(folder.name for folder in found if folder != newest)
        say(f"fold table {newest.name}, whose runs are the newest; others here: {others} (--data8)")
    return load_dataset(newest)


def _candidates(competition: str, data8: str | None, runs: Path) -> list[Path]:
    """Return the folders of the fold tables that may be meant: no repetitions of others, those with finished runs, else all."""
    folders = sorted(path.parent for path in (runs / competition).glob("*/dataset.json"))
    if data8 is not None:
        folders = [folder for folder in folders if folder.name == data8]
    if not folders:
        named = f" {data8}" if data8 else ""
        raise BadInput(
            f"no fold table{named} of {competition} in {runs / competition}; make submit or make folds makes one"
        )
    meant = [folder for folder in folders if not repeat_mark(folder).is_file()] or folders
    return [folder for folder in meant if finished_runs(folder)] or meant


def _finished_at(run: Path) -> int:
    return (run / MARKER).stat().st_mtime_ns


def finished_runs(dataset_folder: Path) -> list[Path]:
    """Return the folders of finished runs over a fold table, outside predictions among them, by name.

    Runs that only a search trained are not among them: each was chosen, or not, by the very score that would be shown.
    """
    folders = [path.parent for path in sorted(dataset_folder.glob("*/predictions.json"))]
    return [run for run in folders if not trial_mark(run).is_file() and read_marker(run)]


def is_outside(run: Path) -> bool:
    """Return whether a run's predictions came from another tool."""
    return run.name.startswith(OUTSIDE)


def key_of_run(run: Path) -> str:
    """Return a run's key; that of outside predictions is the hash of what was admitted."""
    if not is_outside(run):
        return str(read_run(run)["key"])
    marker = read_marker(run)
    if marker is None:
        raise Refused(f"{run} is not whole: admit these predictions again with add-run")
    return key_of(marker["files"])


def read_manifest(file: Path, home: Path = Path()) -> dict[str, Any]:
    """Return the manifest beside a CSV.

    Args:
        home: The folder that the runs it names lie below.

    Raises:
        BadInput: If it is no CSV by its name, or there is no manifest of ours.
    """
    if file.suffix.lower() != ".csv":  # the manifest itself, a name without its end, an empty FILE=
        raise BadInput(
            f"FILE={file if file.name else ''}: expected a CSV that this project wrote, such as FILE=file.csv"
        )
    path = file.with_suffix(".json")
    if not path.is_file():
        raise BadInput(f"{path} is not there: expected the manifest that this project writes beside {file.name}")
    manifest: dict[str, Any] = read_json(path)
    if not isinstance(manifest, dict) or "competition" not in manifest:
        raise BadInput(f"{path} is no manifest: expected the one that this project writes beside {file.name}")
    runs = [{**run, "folder": (home / run["folder"]).as_posix()} for run in manifest.get("runs", [])]
    return {**manifest, "runs": runs} if runs else manifest


def check_competition(manifest: Mapping[str, Any], competition: Competition, file: Path) -> None:
    """Do nothing if a CSV, or a run, is of a competition.

    Args:
        file: The CSV or the run's folder, the subject of the message.

    Raises:
        BadInput: If it is of another one; the line says how that is named.
    """
    owner = manifest["competition"]
    if owner != competition.name:
        named = owner if owner in names("comp.competitions") else f"./FILE.py, the file of {owner}"
        raise BadInput(f"{file}: it is of competition {owner}, not of {competition.name}; say so: COMP={named}")


def manifest_of_run(run: Path, competition: Competition) -> dict[str, Any]:
    """Return what a manifest would say of one finished run taken as it is: for whoever asks a run and not a CSV.

    Raises:
        BadInput: If the folder is no finished run.
    """
    if not (run / "predictions.json").is_file():
        raise BadInput(
            f"{run}: expected a CSV that this project wrote, or the folder of a finished run; make train makes runs"
        )
    alone = Pipeline(Rule(SINGLE, "mean", (1.0,))).as_dict()
    by_fold = {str(k): alone for k in range(load_dataset(run.parent).n_folds)}
    facts = {} if is_outside(run) else read_run(run)
    backbone = facts["candidate"]["backbone"] if facts else "outside"
    return {
        "competition": facts["key_parts"]["competition"]["name"] if facts else competition.name,
        "metric": competition.metric,
        "runs": [{"backbone": backbone, "folder": run.as_posix(), "key": key_of_run(run)}],
        "ensemble": {**alone, "by_fold": by_fold},
        "format": facts_of_format(competition),
    }


@dataclass(frozen=True, eq=False)
class Rebuilt:
    """What a manifest describes, made again from stored predictions.

    Attributes:
        competition: How answers are written down; what else a competition has, no manifest tells.
    """

    manifest: dict[str, Any]
    competition: Competition
    dataset: Dataset
    matched: Matched
    ensemble: Ensemble
    predictions: Predictions


def rebuild(manifest: Mapping[str, Any], what: str) -> Rebuilt:
    """Return the ensemble of a manifest, made again from the stored predictions that it names.

    Args:
        what: Whose manifest it is, the subject of messages.

    Raises:
        BadInput: If the manifest does not say enough, being of an older version.
        Refused: If a run that it names is gone, was changed, or is another one now.
    """
    if not {"ensemble", "format", "runs"} <= set(manifest) or "by_fold" not in manifest["ensemble"]:
        raise BadInput(
            f"{what}: its manifest does not say how it was made; run the command in it again: make submit ..."
        )
    if manifest["format"]["submission"] == "text":
        raise BadInput(f"{what}: it holds transcripts, and this works on probabilities of classes")
    folders, dataset = stored_runs(manifest, what)
    views = stored_views([folder for folder in folders if not is_outside(folder)], dataset)
    matched = match(dataset, {folder.name: read_predictions(folder) for folder in folders}, views)
    facts = manifest["ensemble"]
    ensemble = Ensemble(
        Pipeline.from_dict(facts), {int(k): Pipeline.from_dict(found) for k, found in facts["by_fold"].items()}
    )
    competition = Competition(name=manifest["competition"], title="", layout="", **manifest["format"])
    return Rebuilt(dict(manifest), competition, dataset, matched, ensemble, predictions_of(ensemble, matched, dataset))


def rebuild_texts(manifest: Mapping[str, Any], what: str) -> tuple[Competition, Dataset, Transcripts]:
    """Return the transcripts of a manifest, made again from the stored frames that it names, and what they are written by.

    Args:
        what: Whose manifest it is, the subject of messages.

    Raises:
        Refused: If a run that it names is gone, was changed, or is another one now.
    """
    folders, dataset = stored_runs(manifest, what)
    runs = {folder.name: read_predictions(folder) for folder in folders}
    competition = Competition(name=manifest["competition"], title="", layout="", **manifest["format"])
    return competition, dataset, transcribe(dataset, runs, manifest["metric"], manifest["ensemble"])


def stored_runs(manifest: Mapping[str, Any], what: str) -> tuple[list[Path], Dataset]:
    """Return the folders of a manifest's runs, and the fold table that they lie over.

    Raises:
        Refused: If a run is gone, or is another one now.
    """
    folders = [Path(run["folder"]) for run in manifest["runs"]]
    for folder, run in zip(folders, manifest["runs"], strict=True):
        _check_run(folder, run["key"], what)
    return folders, load_dataset(folders[0].parent)


def _check_run(folder: Path, key: str, what: str) -> None:
    if not (folder / "predictions.json").is_file():
        raise Refused(f"{what}: run {folder} is not there; run the command of the manifest again to make it")
    if key_of_run(folder) != key:
        raise Refused(
            f"{what}: run {folder} is another one now: its key is {key_of_run(folder)[:8]}, expected {key[:8]}"
        )
