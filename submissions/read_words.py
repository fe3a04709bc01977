"""Transcripts of new pictures by a finished ensemble: the same readers and decoding as the CSV that it is named by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from comp.console import relative, say
from comp.engine import Engine, Job
from comp.errors import BadInput
from comp.images import CACHE, PixelSpec, cache_images
from comp.spec import Competition
from comp.store import write_text
from folds.dataset import Dataset
from folds.frames import Frames, mean_of
from folds.prepare import bar_if
from folds.runs import plan_of
from submissions.predict import NewPhotos
from submissions.stored import check_competition, read_manifest, stored_runs
from submissions.transcripts import AUTO, Decoder, read_new, usual_text


def read_words(photos: NewPhotos, competition: Competition, file: Path, engine: Engine, top: int, out: Path) -> Path:
    """Write id and text of each picture, as the ensemble of a CSV reads it, and return the path.

    A picture that cannot be read gets the text that is written most often.

    Args:
        top: 1; of a transcript only the likeliest is told.

    Raises:
        BadInput: If more than one answer a picture is asked for, or the CSV is of another competition.
        Refused: If a run of the ensemble is gone or was changed.
    """
    if top != 1:
        raise BadInput(
            f"TOP={top}: {competition.name} asks for transcripts, and one is told of each picture; leave it out"
        )
    manifest = read_manifest(file)
    check_competition(manifest, competition, file)
    runs, dataset = stored_runs(manifest, str(file))
    specs = [PixelSpec(plan_of(run).recipe.pixels, competition.channels, competition.resize) for run in runs]
    with bar_if("photos", len(photos.paths), "photos") as listener:
        facts = cache_images(photos.folder, photos.paths, specs, engine, listener, CACHE)
    shas = {row_id: found.sha for row_id, found in zip(photos.ids, facts, strict=True) if not found.unreadable}
    frames = _frames(runs, dataset, shas, engine) if shas else []
    texts = dict.fromkeys(photos.ids, usual_text(dataset))
    told = manifest["ensemble"]
    texts |= read_new(dataset, frames, list(shas), Decoder(**told["decoder"]), told.get("lexicon", AUTO))
    n_bad = len(facts) - len(shas)
    if n_bad:
        say(f"{n_bad} of {len(facts)} pictures cannot be read, they get the text that is written most often")
    table = pd.DataFrame({competition.id_column: photos.ids, competition.target_column: [texts[i] for i in photos.ids]})
    write_text(out, table.to_csv(index=False, lineterminator="\n"))
    say(f"{len(table)} pictures read (in {relative(out)})")
    return out


def _frames(runs: Sequence[Path], dataset: Dataset, shas: dict[str, str], engine: Engine) -> list[Frames]:
    """Return for each run the mean of its folds' frames."""
    out = CACHE / "predictions"
    jobs = [
        Job(
            function="folds.transcribe:read_new",
            arguments={
                "run": str(run),
                "fold": fold,
                "shas": list(shas.values()),
                "cache_dir": str(CACHE),
                "out": str(out / f"{run.name}-{fold}.npz"),
            },
            label=f"{run.name} model {fold}",
            needs_keras=True,
            log_path=str(out / "log.txt"),
        )
        for run in runs
        for fold in range(dataset.n_folds)
    ]
    with bar_if("models", len(jobs)) as listener:
        found = [_loaded(Path(path), list(shas), dataset.classes) for path in engine.run(jobs, listener)]
    n_folds = dataset.n_folds
    return [mean_of(found[place * n_folds : (place + 1) * n_folds]) for place in range(len(runs))]


def _loaded(path: Path, ids: list[str], alphabet: list[str]) -> Frames:
    with np.load(path, allow_pickle=False) as arrays:
        return Frames(ids, arrays["frames"], arrays["lengths"], alphabet)
