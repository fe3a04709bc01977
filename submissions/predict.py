"""Answers for new photos by a finished ensemble: the same models, weights and steps as the CSV that it is named by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from comp.console import relative, say
from comp.engine import Engine
from comp.errors import BadInput
from comp.images import CACHE, PhotoFacts, PixelSpec, cache_images
from comp.layouts.class_folders import is_photo_name
from comp.spec import Competition
from comp.store import read_json, write_text
from comp.tables import read_csv
from folds.predict import n_steps, plans_of, predict_run
from folds.prepare import bar_if
from folds.runs import RUNS
from submissions.combine import fallback_lines, prior_table
from submissions.phylum import IN_TRAINING
from submissions.stored import Rebuilt, check_competition, manifest_of_run, read_manifest, rebuild


@dataclass(frozen=True)
class NewPhotos:
    """Photos to answer.

    Attributes:
        ids: What each is called in the answer: its id, or its path below the folder.
        conditions: What is known of each besides its content; empty strings where nothing is.
    """

    folder: Path
    paths: list[str]
    ids: list[str]
    conditions: list[str]


def newest_csv(competition: str, runs: Path = RUNS) -> Path:
    """Return the CSV that the last `make submit` of a competition wrote.

    Raises:
        BadInput: If there is none.
    """
    manifests = list((runs / competition).glob("*/submissions/*.json"))
    if not manifests:
        raise BadInput(f"no CSV of {competition} in {runs / competition}: make submit writes one")
    return max(manifests, key=lambda path: str(read_json(path)["written"])).with_suffix(".csv")


def find_photos(images: Path, competition: Competition, phylum: str | None) -> NewPhotos:
    """Return the photos of a folder, or those that a CSV names by path below its own folder.

    Args:
        images: A folder, or a CSV with the competition's path column, `path` or `file_path`; its id column and its condition
            column are used where it has them.
        phylum: What is known of all of them, or None.

    Raises:
        BadInput: If there are no photos, a CSV has no column of paths, or a competition without such a column is told a phylum.
    """
    if phylum is not None and competition.condition_column is None:
        raise BadInput(
            f"--phylum {phylum}: competition {competition.name} has no condition column that it could be of; leave it out"
        )
    if images.is_dir():
        paths = sorted(path.relative_to(images).as_posix() for path in images.rglob("*") if is_photo_name(path.name))
        found = NewPhotos(images, paths, paths, [phylum or ""] * len(paths))
    elif images.is_file():
        found = _photos_of_csv(images, competition, phylum)
    else:
        raise BadInput(f"IMAGES={images}: no such folder or CSV")
    if not found.paths:
        raise BadInput(f"IMAGES={images}: no photos there")
    return found


def _photos_of_csv(images: Path, competition: Competition, phylum: str | None) -> NewPhotos:
    table = read_csv(images)
    columns = [name for name in (competition.path_column, "path", "file_path") if name in table]
    if not columns:
        raise BadInput(
            f"IMAGES={images}: expected a column path with each photo's place, got {', '.join(map(str, table.columns))}"
        )
    paths = table[columns[0]].tolist()
    ids = table[competition.id_column].tolist() if competition.id_column in table else paths
    has_condition = phylum is None and competition.condition_column in table
    conditions = table[competition.condition_column].tolist() if has_condition else [phylum or ""] * len(paths)
    return NewPhotos(images.parent, paths, ids, conditions)


def answer(
    photos: NewPhotos, competition: Competition, file: Path, weights: str | None, engine: Engine, home: Path = Path()
) -> tuple[list[str], np.ndarray]:
    """Return the classes and (N, C) probabilities of photos, by the ensemble of a CSV or by a run; the prior where one cannot be read.

    Photos that the phylum is not used for, though the ensemble uses it, are counted in a line.

    Args:
        file: The CSV, or the folder of a finished run.
        home: The folder that the runs of the CSV lie below.

    Raises:
        Refused: If a run of it is gone or was changed, or its weights are not here.
        BadInput: If it is of another competition, or predictions of another tool are in the ensemble.
    """
    manifest = manifest_of_run(file, competition) if file.is_dir() else read_manifest(file, home)
    check_competition(manifest, competition, file)
    if any(run["backbone"] == "outside" for run in manifest["runs"]):
        raise BadInput(
            f"{file}: predictions of another tool are in this ensemble, and new photos cannot be asked of it"
        )
    rebuilt = rebuild(manifest, str(file))
    runs = [Path(run["folder"]) for run in manifest["runs"]]
    plans = plans_of(runs, weights)
    trained_on = rebuilt.matched.condition if any(plan.recipe.condition in IN_TRAINING for plan in plans) else ()
    column = str(competition.condition_column)
    for line in fallback_lines(rebuilt.ensemble.pipeline, trained_on, photos.conditions, column, "photos"):
        say(line)
    specs = [PixelSpec(plan.recipe.pixels, competition.channels, competition.resize) for plan in plans]
    with bar_if("photos", len(photos.paths), "photos") as listener:
        facts = cache_images(photos.folder, photos.paths, specs, engine, listener, CACHE)
    is_readable = np.array([not found.unreadable for found in facts])
    shas = [found.sha for found in facts if not found.unreadable]
    conditions = [known for known, found in zip(photos.conditions, facts, strict=True) if not found.unreadable]
    tables = []
    views = rebuilt.ensemble.pipeline.views or (0,) * len(runs)
    work = sum(n_steps(plan, rebuilt.dataset.n_folds, shas, n) for plan, n in zip(plans, views, strict=True))
    with bar_if("models", work if shas else 0) as listener:
        for run, plan, n in zip(runs, plans, views, strict=True) if shas else ():
            out = CACHE / "predictions"
            tables.append(predict_run(run, plan, rebuilt.dataset, shas, conditions, engine, listener, out, n_views=n))
    return rebuilt.matched.classes, _together(rebuilt, tables, conditions, photos, facts, is_readable)


def _together(
    rebuilt: Rebuilt,
    tables: Sequence[np.ndarray],
    conditions: Sequence[str],
    photos: NewPhotos,
    facts: Sequence[PhotoFacts],
    is_readable: np.ndarray,
) -> np.ndarray:
    """Return the ensemble's table of all photos, those that cannot be read too, and say how many those are."""
    pipeline, matched = rebuilt.ensemble.pipeline, rebuilt.matched
    whole = prior_table(pipeline, matched, np.array(photos.conditions, dtype=object))
    if tables:
        whole[is_readable] = pipeline.run(tables, np.array(conditions, dtype=object))
    bad = [path for path, found in zip(photos.paths, facts, strict=True) if found.unreadable]
    if bad:
        say(f"{len(bad)} of {len(facts)} photos cannot be read, they get the prior; the first: {', '.join(bad[:3])}")
    return whole


def write_answers(
    photos: NewPhotos, competition: Competition, classes: Sequence[str], table: np.ndarray, top: int, out: Path
) -> Path:
    """Write id and answer of each photo, or the `top` likeliest with their probabilities; return the path.

    Raises:
        BadInput: If `top` is under 1.
    """
    if not top >= 1:
        raise BadInput(f"--top {top}: expected a whole number from 1 on")
    best = np.argsort(-table, axis=1, kind="stable")[:, : min(top, len(classes))]
    names = np.array(classes, dtype=object)[best]
    frame = pd.DataFrame({competition.id_column: photos.ids, competition.target_column: names[:, 0]})
    if top > 1:
        for place in range(best.shape[1]):
            frame[f"top{place + 1}"] = names[:, place]
            frame[f"probability{place + 1}"] = np.take_along_axis(table, best, axis=1)[:, place].round(4)
    write_text(out, frame.to_csv(index=False, lineterminator="\n"))
    say(f"{len(frame)} photos answered (in {relative(out)})")
    return out
