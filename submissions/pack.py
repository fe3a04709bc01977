"""From a finished ensemble to a folder that Kaggle takes as a data set: models, weights, class names, facts and source, no more.

Nothing in it tells of the machine it was made on: paths are relative, and the command in the manifest is made portable.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

from comp.errors import BadInput, Refused
from comp.registry import load_backbone
from comp.spec import Competition
from comp.store import MARKER, read_json, read_marker, write_json, write_text
from comp.typed import portable
from folds.dataset import Dataset
from folds.predict import plans_of
from folds.runs import MODEL, RUNS, RunPlan, fold_dir, views_dir
from submissions.bundle import CLASSES, COMPETITION, ENSEMBLE, FOLD_TABLE, SOURCE, WEIGHTS
from submissions.predict import newest_csv
from submissions.stored import check_competition, read_manifest, rebuild

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("comp", "folds", "tuning", "submissions")


def find_ensemble(competition: str, run: str | None, runs: Path = RUNS) -> Path:
    """Return the CSV whose ensemble is meant: the last one, or the one that RUN names.

    Args:
        run: A CSV of ours, the first digits of its hash, or a run's folder name: then the last CSV of that run alone.

    Raises:
        BadInput: If there is no CSV yet, or RUN names none.
    """
    newest = newest_csv(competition, runs)
    if run is None:
        return newest
    if run.endswith(".csv"):
        return Path(run)
    files = sorted(
        (path.with_suffix(".csv") for path in (runs / competition).glob("*/submissions/*.json")), key=_written
    )
    found = [file for file in files if file.stem.startswith(run) or _names_of(file) == [run]]
    if not found:
        known = ", ".join(dict.fromkeys([*(file.stem for file in files), *(n for f in files for n in _lone_name(f))]))
        raise BadInput(
            f"RUN={run}: no CSV of {competition} begins so, and none is of that run alone; known: {known}; make submit "
            "BACKBONES=... with one candidate writes the CSV of one run"
        )
    return found[-1]


def _written(file: Path) -> str:
    return str(read_manifest(file)["written"])


def _names_of(file: Path) -> list[str]:
    return [Path(run["folder"]).name for run in read_manifest(file).get("runs", [])]


def _lone_name(file: Path) -> list[str]:
    names = _names_of(file)
    return names if len(names) == 1 else []


def pack(record: Competition, asked: str, file: Path, weights: str | None, folder: Path) -> None:
    """Copy all that answers photos into a new folder: a data set but for its `dataset-metadata.json`.

    Args:
        asked: How the person named the competition.
        file: The CSV whose ensemble it is.
        weights: What WEIGHTS names, or None.

    Raises:
        BadInput: If it is of another competition, or cannot answer photos elsewhere: outside predictions, or a preset of keras-hub, are in it.
        Refused: If a run, a model or a file of pre-trained weights is gone or was changed.
    """
    manifest = read_manifest(file)
    check_competition(manifest, record, file)
    made = rebuild(manifest, str(file))
    runs = [Path(run["folder"]) for run in manifest["runs"]]
    _refuse_unpackable(file, manifest)
    plans = plans_of(runs, weights)
    for run, plan in zip(runs, plans, strict=True):
        _check_models(run, plan, made.dataset.n_folds)
    for path in _files_of(made.dataset, runs):
        _copy(path, folder / path)
    for used in {Path(plan.weights_path) for plan in plans if plan.weights_path}:
        _copy(used, folder / WEIGHTS / used.name)
    _copy_source(folder / SOURCE)
    write_text(folder / COMPETITION, as_source(_as_trained(record, made.dataset)))
    write_json(folder / CLASSES, made.dataset.classes)
    write_json(folder / ENSEMBLE, {**manifest, "command": portable(manifest["command"]), "asked": portable(asked)})


def _refuse_unpackable(file: Path, manifest: dict[str, Any]) -> None:
    for run in manifest["runs"]:
        if run["backbone"] == "outside":
            raise BadInput(
                f"{file}: predictions of another tool ({run['variant']}) are in this ensemble, and new photos cannot be asked "
                "of it; make submit without WITH, or name another with RUN"
            )
        if run["variant"] != "tiny" and load_backbone(run["backbone"]).any_variant:
            raise BadInput(
                f"{file}: run {run['folder']} is built of the preset {run['variant']}, which a machine without network has "
                "not; leave it out, or name another ensemble with RUN"
            )


def _check_models(run: Path, plan: RunPlan, n_folds: int) -> None:
    for fold in range(n_folds):
        marker = read_marker(fold_dir(run, fold))
        # a fold that is split by the condition may have parts that need no model
        if marker is None or not (plan.recipe.condition == "split" or MODEL in marker["files"]):
            command = "run the command of the manifest again to make it"
            raise Refused(f"{fold_dir(run, fold)}: its model is gone or was changed since it was trained; {command}")


def _files_of(dataset: Dataset, runs: Sequence[Path]) -> Iterator[Path]:
    """Return the files that are read to answer photos, as they are named from the current folder."""
    yield from (dataset.folder / name for name in FOLD_TABLE)
    for run in runs:
        yield run / "run.json"
        by_view = sorted(marker.parent for marker in run.glob(f"{views_dir(Path(), '*')}/{MARKER}"))
        for folder in (run, *(fold_dir(run, fold) for fold in range(dataset.n_folds)), *by_view):
            yield from (folder / name for name in (MARKER, *read_json(folder / MARKER)["files"]))


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)  # not its time and rights: those are of this machine


def _copy_source(folder: Path) -> None:
    for package in PACKAGES:
        for path in sorted((PROJECT / package).rglob("*.py")):
            _copy(path, folder / path.relative_to(PROJECT))


def _as_trained(record: Competition, dataset: Dataset) -> Competition:
    """Return the competition with the folds that the runs were trained over, and no places of this machine."""
    facts = dataset.facts
    named = tuple(name for name in record.folders if re.fullmatch(r"[\w.-]+", name))
    return replace(
        record,
        n_folds=facts["n_folds"],
        fold_seed=facts["fold_seed"],
        group_column=facts["group_column"],
        folders=named,
    )


def as_source(record: Competition) -> str:
    """Return a competition as the Python file that it could have come from; what is as by default is left out."""
    lines = [
        f"    {field.name}={_literal(getattr(record, field.name))},\n"
        for field in fields(record)
        if _is_given(record, field)
    ]
    head = '"""Facts of a competition, as they were when its ensemble was packed."""\n\nfrom comp.spec import Competition\n\n'
    return f"{head}COMPETITION = Competition(\n{''.join(lines)})\n"


def _is_given(record: Competition, field: Any) -> bool:
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    return bool(getattr(record, field.name) != default)


def _literal(value: Any) -> str:
    """Return a value as Python; sets in order, so that the same facts are the same text."""
    if isinstance(value, frozenset):
        return f"frozenset({_literal(sorted(value))})"
    return repr(dict(value)) if hasattr(value, "items") else repr(value)


def n_bytes_of(paths: Iterable[Path]) -> int:
    """Return how much files take together."""
    return sum(path.stat().st_size for path in paths if path.is_file())
