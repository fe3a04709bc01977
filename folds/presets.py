"""The one table from (preset, fit) to recipe, and from a candidate to the recipe it is trained with.

Budgets a candidate, 3,570 photos, five folds, two cores: quick 4 minutes, standard 15, best 60.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from comp.errors import BadInput
from comp.registry import load_backbone
from comp.spec import Candidate, Competition, Fit, Recipe

PRESETS: Mapping[str, Mapping[Fit, Recipe]] = {
    "quick": {
        "scratch": Recipe(pixels=64, epochs=16, strength=0.25),
    },
    "standard": {
        "scratch": Recipe(pixels=96, epochs=30, strength=0.4),
    },
    "best": {
        "scratch": Recipe(pixels=128, epochs=56, strength=0.5),
    },
}
DEFAULT_PRESET = "standard"


def complete(candidate: Candidate, preset: str, competition: Competition) -> tuple[Candidate, Recipe]:
    """Return the candidate with its variant, fit and pixels filled in, and the recipe that the preset gives it.

    The size is the one asked for, else the preset's, but never larger than the competition's photos.

    Raises:
        BadInput: If the preset is unknown, or the candidate cannot be fitted that way.
    """
    if preset not in PRESETS:
        raise BadInput(f"PRESET={preset}: expected one of {', '.join(PRESETS)}")
    backbone = load_backbone(candidate.backbone)
    fit = candidate.fit or "scratch"
    if fit not in PRESETS[preset]:
        raise BadInput(f"candidate {candidate}: {candidate.backbone} has no pre-trained weights, so its fit is scratch")
    recipe = PRESETS[preset][fit]
    pixels = candidate.pixels or min(recipe.pixels, competition.pixels)
    variant = candidate.variant or backbone.default_variant
    return Candidate(candidate.backbone, variant, fit, pixels), replace(recipe, pixels=pixels)


def seconds_of_fold(candidate: Candidate, recipe: Recipe, n_rows: int) -> float:
    """Return the estimated seconds of training one fold on one core, from the backbone's measured step.

    A step costs in proportion to the number of pixels; starting and compiling adds 5 s.

    Args:
        n_rows: Train rows of the fold.
    """
    backbone: Any = load_backbone(candidate.backbone)
    step = backbone.seconds_per_photo.get(candidate.variant or backbone.default_variant, 0.005)
    scale = (recipe.pixels / backbone.measured_pixels) ** 2
    return float(5 + step * scale * n_rows * recipe.epochs)
