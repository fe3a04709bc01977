"""The report's second section: backbones, recipes in words, what augmentation does to real photos, and what tuning found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from comp.augment import image_seeds, policy
from comp.errors import BadInput
from comp.registry import load_backbone
from comp.spec import Competition
from comp.store import read_json, read_marker
from comp.weights import facts_of
from folds.dataset import Dataset
from folds.runs import RunPlan, fold_dir, plan_of
from submissions.report.photos import Album, Photo, jpeg_uri
from submissions.report.words import FITS, recipe_words
from submissions.stored import OUTSIDE, is_outside

AUGMENTED, TIMES = 3, 2  # photos shown, and how often each is drawn anew at a strength
SIDE = 112


def method_facts(dataset: Dataset, competition: Competition, runs: list[Path], album: Album) -> dict[str, Any]:
    """Return what the template tells of how the runs were made.

    Args:
        runs: Finished runs, predictions of other tools among them.
    """
    ours = [run for run in runs if not is_outside(run)]
    plans = [plan_of(run) for run in ours]
    tuned = [read_json(path) for path in sorted((dataset.folder / "tuned").glob("*.json"))]
    return {
        "runs": [_run(run, plan) for run, plan in zip(ours, plans, strict=True)],
        "outside": [run.name.removeprefix(OUTSIDE) for run in runs if is_outside(run)],
        "strengths": strengths(plans, tuned),
        "augmented": augmented(dataset, competition, strengths(plans, tuned), album),
        "symmetries": sorted(competition.symmetries),
        "tuned": [{"candidate": one["candidate"], "verdict": one.get("verdict", "")} for one in tuned],
    }


def _run(run: Path, plan: RunPlan) -> dict[str, str]:
    candidate = plan.candidate
    marker = read_marker(fold_dir(run, 0)) or {}
    published, trained = _published(plan), int(marker.get("parameters", 0))
    fit = candidate.fit or ""
    return {
        "name": run.name,
        "candidate": str(candidate),
        "fit": f"{fit.capitalize()}: {FITS.get(fit, '')}",
        "backbone_parameters": f"{published:,}" if published else "",
        "trained_parameters": f"{trained:,}" if trained else "",
        "weights": origin(plan),
        "recipe": recipe_words(plan.recipe, fit),
        "precision": plan.precision,
    }


def _published(plan: RunPlan) -> int:
    try:
        return int(load_backbone(plan.candidate.backbone).parameters.get(plan.candidate.variant or "", 0))
    except BadInput:  # a backbone of another version of the project
        return 0


def origin(plan: RunPlan) -> str:
    """Return where a run's pre-trained weights come from."""
    if not plan.weights_sha:
        return "none: random at the start"
    try:
        facts = facts_of(plan.candidate)
    except BadInput:
        facts = None
    known = f"those published as {facts.url}; " if facts else ""
    return f"{known}the file that was used has sha256 {plan.weights_sha[:12]}"


def strengths(plans: list[RunPlan], tuned: list[dict[str, Any]]) -> list[tuple[float, str]]:
    """Return the strengths of augmentation to show, with what each is: none, what was tuned or used, the strongest."""
    changed = {float(one["changes"]["strength"]): "tuned" for one in tuned if "strength" in one.get("changes", {})}
    used = {plan.recipe.strength: "used" for plan in plans}
    found = {0.0: "none", 1.0: "the strongest"}
    for value, word in {**used, **changed}.items():
        found[value] = f"{found[value]}, {word}" if value in found else word
    return sorted(found.items())


def augmented(
    dataset: Dataset, competition: Competition, wanted: list[tuple[float, str]], album: Album
) -> list[dict[str, Any]]:
    """Return for each strength a few real photos as training would see them; nothing where photos are gone."""
    shas = shown_shas(dataset)
    photos = [pixels for pixels in map(album.pixels, shas) if pixels is not None]
    if not photos:
        return []
    return [
        {"strength": f"{value:g}", "what": word, "photos": _drawn(photos, value, competition)} for value, word in wanted
    ]


def _drawn(photos: list[np.ndarray], strength: float, competition: Competition) -> list[Photo]:
    change = policy(strength, frozenset(competition.symmetries))
    found = []
    for row, photo in enumerate(photos):
        for time in range(TIMES if strength else 1):
            pixels = change.apply(photo[None], image_seeds(time, 0, np.array([row])))[0]
            alt = f"training photo {row + 1}" + (
                f" augmented with strength {strength:g}, draw {time + 1}" if strength else " as it is"
            )
            found.append(Photo(jpeg_uri(pixels, SIDE), alt))
    return found


def shown_shas(dataset: Dataset) -> list[str]:
    """Return the photos that augmentation is shown on: the first ones of families spread over the table."""
    firsts = dataset.train.groupby("label").head(1)["sha"].tolist()
    step = max(1, len(firsts) // AUGMENTED)
    return firsts[::step][:AUGMENTED]
