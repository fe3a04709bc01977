"""Where the model looks, for the report: Grad-CAM on typical right answers and on the surest mistakes, or why it is left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from comp.engine import Job, ignore_events
from comp.errors import FoldboardError
from comp.images import CACHE, ImageStore, PixelSpec, cache_images
from comp.store import key_of
from folds.found import with_weights
from folds.oof import read_predictions
from folds.runs import RunPlan, fold_dir, plan_of
from submissions.matched import match
from submissions.report.judge import Judge
from submissions.report.mistakes import Mistake, surest, told
from submissions.report.photos import Album, Photo, coloured, jpeg_uri
from submissions.stored import is_outside

RIGHT = WRONG = 4
SIDE = 150
GLOW = 0.65  # of the colour where the evidence is strongest


def gradcam_facts(judge: Judge, album: Album, weights: str | None) -> dict[str, Any]:
    """Return pairs of photo and heat map, by the run of the ensemble with the largest weight that has such maps.

    Returns:
        `run`, `right` and `wrong`, or `why_not`; `skipped` says for which runs it does not apply, and why.
    """
    skipped: list[str] = []
    order = np.argsort([-abs(weight) for weight in judge.weights], kind="stable")
    for run in (judge.runs[place] for place in order.tolist() if judge.weights[place]):
        found, why = _of_run(run, judge, album, weights)
        if found:
            return {"run": run.name, "skipped": skipped, **found}
        skipped.append(f"{run.name}: {why}")
    return {"why_not": "; ".join(skipped), "skipped": skipped}


def _of_run(run: Path, judge: Judge, album: Album, weights: str | None) -> tuple[dict[str, Any], str]:
    if is_outside(run):
        return {}, "predictions of another tool have no model here"
    plan = plan_of(run)
    if plan.recipe.condition == "split":
        return {}, "it is one model for each value of the condition"
    if not all(list(fold_dir(run, k).glob("*.weights.h5")) for k in range(judge.dataset.n_folds)):
        return {}, "its models were not kept"
    try:
        plan = with_weights(plan, weights)
        rows = _rows(run, judge)
        right, wrong = (_with_pixels(part, plan, album) for part in rows)
        if not right and not wrong:
            return {}, "the photos are gone"
        heats = _heats(run, plan, judge, [*right, *wrong], album)
    except FoldboardError as error:
        return {}, str(error)
    if heats is None:
        return {}, "Grad-CAM needs a map of places, and this backbone is no convolutional one"
    frames = [_frame(one, heat, plan) for one, heat in zip([*right, *wrong], heats, strict=True)]
    return {"right": frames[: len(right)], "wrong": frames[len(right) :]}, ""


def _rows(run: Path, judge: Judge) -> tuple[list[Mistake], list[Mistake]]:
    """Return typical right answers, one a class, and the surest mistakes; the run itself answers them as the report does."""
    own = match(judge.dataset, {run.name: read_predictions(run)}).oof[0][judge.counted].argmax(axis=1)
    said, sure = judge.scored.argmax(axis=1), judge.scored.max(axis=1)
    right = np.flatnonzero((said == judge.truth) & (own == said))
    if len(right):
        right = right[np.argsort(np.abs(sure[right] - np.median(sure[right])), kind="stable")]
    seen: dict[int, int] = {}
    for row in right.tolist():
        seen.setdefault(int(judge.truth[row]), row)
    wrong = [one for one in surest(judge) if own[one.row] == said[one.row]]
    return [told(judge, row) for row in list(seen.values())[:RIGHT]], wrong[:WRONG]


def _spec(plan: RunPlan) -> PixelSpec:
    return PixelSpec(plan.recipe.pixels, plan.facts["channels"], plan.facts["resize"])


def _with_pixels(rows: Sequence[Mistake], plan: RunPlan, album: Album) -> list[Mistake]:
    """Return the rows whose photos the model can be shown; those that are on disk are brought into the cache first."""
    if album.tables is not None:
        paths = album.paths()
        wanted = [paths[one.sha] for one in rows if one.sha in paths]
        cache_images(album.tables.data_dir, wanted, [_spec(plan)], album.engine, ignore_events, CACHE)
    store = ImageStore(_spec(plan), CACHE)
    return [one for one in rows if one.sha in store]


def _heats(run: Path, plan: RunPlan, judge: Judge, rows: Sequence[Mistake], album: Album) -> np.ndarray | None:
    """Return (N, side, side) heat of the answer given to each row, each by the model that did not see it."""
    fold = judge.dataset.in_folds["fold"].to_numpy()[judge.counted][[one.row for one in rows]]
    jobs, places = [], []
    for k in sorted(set(fold.tolist())):
        at = np.flatnonzero(fold == k)
        jobs.append(_job(run, plan, judge, [rows[place] for place in at.tolist()], int(k)))
        places.append(at)
    files = album.engine.run(jobs, ignore_events)
    if not all(files):
        return None
    side = plan.recipe.pixels
    heats = np.empty((len(rows), side, side), np.float32)
    for at, file in zip(places, files, strict=True):
        for place, heat in zip(at.tolist(), np.load(file), strict=True):
            heats[place] = np.clip(cv2.resize(heat, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)
    return heats


def _job(run: Path, plan: RunPlan, judge: Judge, rows: Sequence[Mistake], fold: int) -> Job:
    position = {name: index for index, name in enumerate(judge.dataset.classes)}
    arguments: dict[str, Any] = {
        "run": str(run),
        "fold": fold,
        "shas": [one.sha for one in rows],
        "classes": [position[one.top[0][0]] for one in rows],
        "conditions": [str(judge.condition[one.row]) for one in rows],
        "cache_dir": str(CACHE),
        "weights": plan.weights_path,
    }
    out = CACHE / "report" / f"{key_of([plan.key, arguments])[:24]}.npy"
    return Job(
        function="submissions.report.heat:heat_maps",
        arguments={**arguments, "out": str(out)},
        label=f"Grad-CAM, fold {fold}",
        needs_keras=True,
        log_path=str(CACHE / "report" / "log.txt"),
    )


def _frame(one: Mistake, heat: np.ndarray, plan: RunPlan) -> dict[str, Any]:
    photo = coloured(ImageStore(_spec(plan), CACHE).gather([one.sha])[0])
    glow = cv2.applyColorMap((255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    share = GLOW * heat[..., None]
    mixed = (photo * (1 - share) + glow * share).astype(np.uint8)
    answer, sure = one.top[0]
    return {
        "mistake": one,
        "answer": answer,
        "sure": sure,
        "plain": Photo(jpeg_uri(photo, SIDE), f"a photo of {one.truth}"),
        "heated": Photo(jpeg_uri(mixed, SIDE), f"the same photo; the evidence for {answer} is strongest {where(heat)}"),
    }


def where(heat: np.ndarray) -> str:
    """Return in words where the heat (H, W) has its centre, in ninths of the photo."""
    total = float(heat.sum())
    if not total:
        return "nowhere"
    y, x = (
        float((heat.sum(axis=1 - axis) * np.arange(heat.shape[axis])).sum()) / total / heat.shape[axis]
        for axis in (0, 1)
    )
    row, column = (min(2, int(3 * share)) for share in (y, x))
    names = [["at the top left", "at the top", "at the top right"], ["on the left", "in the middle", "on the right"]]
    names.append(["at the bottom left", "at the bottom", "at the bottom right"])
    return names[row][column]
