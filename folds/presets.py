"""The one table from (preset, fit) to recipe, and from a candidate to the recipe it is trained with.

Budgets a candidate, 3,570 photos, five folds, two cores: quick 4 minutes, standard 15, best 60.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from comp.errors import BadInput
from comp.registry import did_you_mean, load_backbone
from comp.spec import Backbone, Candidate, Competition, Fit, Recipe
from folds.by_rule import RULE, by_rule, side_by_rule

# Heads and tails start from features that are good already: 16 bits of them, a high rate for the head, many short epochs.
_HEAD: Mapping[str, Any] = {
    "batch_size": 256,
    "learning_rate": 4e-3,
    "weight_decay": 0.05,
    "dropout": 0.4,
    "tta_views": 2,
}
# A tail starts from such a head (Kumar et al. 2022, arXiv 2202.10054): a low rate then bends good features, not a random head's.
_TAIL: Mapping[str, Any] = {
    "learning_rate": 3e-4,
    "depth_decay": 0.85,
    "dropout": 0.4,
    "tta_views": 2,
    "head_epochs": 40,
}
_FULL: Mapping[str, Any] = {
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "depth_decay": 0.85,
    "dropout": 0.4,
    "tta_views": 2,
    "unfreeze": 0.3,
}

PRESETS: Mapping[str, Mapping[Fit, Mapping[str, Any]]] = {
    "quick": {
        "scratch": {"pixels": 64, "epochs": 10, "strength": 0.25},
        "probe": {**_HEAD, "pixels": 160, "epochs": 40, "views": 2, "strength": 0.5},
        "tail": {**_TAIL, "pixels": 160, "epochs": 2, "views": 2, "strength": 0.5},
        "full": {**_FULL, "pixels": 96, "epochs": 2, "strength": 0.25},
    },
    "standard": {
        "scratch": {"pixels": 80, "epochs": 24, "strength": 0.3},
        "probe": {**_HEAD, "pixels": 224, "epochs": 60, "views": 6, "strength": 0.5},
        "tail": {**_TAIL, "pixels": 224, "epochs": 4, "views": 6, "strength": 0.5},
        "full": {**_FULL, "pixels": 160, "epochs": 4, "strength": 0.3},
    },
    "best": {
        "scratch": {"pixels": 96, "epochs": 64, "strength": 0.4},
        "probe": {**_HEAD, "pixels": 224, "epochs": 80, "views": 10, "strength": 0.5},
        "tail": {**_TAIL, "pixels": 224, "epochs": 12, "views": 10, "strength": 0.5},
        # here a backbone's own optimizer counts (BiT's HyperRule): its steps are more than shorter presets have
        "full": {name: value for name, value in _FULL.items() if name != "optimizer"}
        | {"pixels": 224, "epochs": 8, "strength": 0.4},
    },
}
# Readers of transcripts, from scratch: the blank is learnt first, then letters; 3,178 words of 115 pixels at most, five folds.
TEXTS: Mapping[str, Mapping[str, Any]] = {
    "quick": {"pixels": 32, "epochs": 6, "strength": 0.2, "learning_rate": 3e-3},
    "standard": {"pixels": 32, "epochs": 44, "strength": 0.5},
    "best": {"pixels": 48, "epochs": 100, "strength": 0.6},
}
DEFAULT_PRESET = "standard"
FITS_WITH_WEIGHTS: Mapping[str, tuple[Fit, ...]] = {
    "quick": ("probe",),
    "standard": ("probe",),
    "best": ("probe", "tail"),
}


def complete(candidate: Candidate, preset: str, competition: Competition) -> tuple[Candidate, Recipe]:
    """Return the candidate with its variant, fit and pixels filled in, and the recipe that the preset gives it.

    A candidate without a fit is trained from scratch: whether there are weights is found out before. The size is the one asked
    for, else the only one that its weights fit, else the preset's, but never larger than the competition's photos; or what BiT's
    HyperRule says, where it is used.

    Raises:
        BadInput: If the preset is unknown, the weights do not fit the size asked for, or the recipe contradicts the fit.
    """
    check_preset(preset)
    backbone = load_backbone(candidate.backbone)
    fit = candidate.fit or "scratch"
    values = {**backbone.recipe.get(fit, {}), **PRESETS[preset][fit]}
    if competition.task == "transcribe":
        values |= TEXTS[preset]
    if fit == "scratch":
        values |= _own_recipe(competition)
    recipe = by_rule(replace(Recipe(), **values))
    variant = candidate.variant or variant_for(backbone, fit)
    whole = Candidate(candidate.backbone, variant, fit, candidate.pixels)
    _check_pool(whole, recipe)
    largest = side_by_rule(competition.pixels) if recipe.optimizer == RULE else min(recipe.pixels, competition.pixels)
    pixels = _pixels_of_weights(whole) or candidate.pixels or largest
    epochs = max(1, round(recipe.epochs * competition.epochs_scale)) if fit == "scratch" else recipe.epochs
    strength = min(1.0, recipe.strength * competition.strength_scale) if fit == "scratch" else recipe.strength
    return replace(whole, pixels=pixels), replace(recipe, pixels=pixels, epochs=epochs, strength=strength)


FEWEST_EPOCHS = 3


def shortened(candidate: Candidate, recipe: Recipe, n_rows: int, most_rows: int) -> Recipe:
    """Return the recipe with as many passes fewer as there are more rows than its minutes are made for, three at least.

    Heads and tails stay as they are: what they cost is features, which no number of passes changes.

    Args:
        most_rows: Train rows that the minutes are made for; 0: any number.
    """
    if candidate.fit in ("probe", "tail") or not most_rows or n_rows <= most_rows:
        return recipe
    epochs = max(FEWEST_EPOCHS, round(recipe.epochs * most_rows / n_rows))
    return replace(recipe, epochs=min(recipe.epochs, epochs))


def _own_recipe(competition: Competition) -> Mapping[str, Any]:
    known = {one.name for one in fields(Recipe)}
    for name in competition.scratch:
        if name not in known:
            raise BadInput(
                f"competition {competition.name}: its scratch names {name!r}, which is no field of a recipe"
                f"{did_you_mean(name, known)}"
            )
    return competition.scratch


def _check_pool(candidate: Candidate, recipe: Recipe) -> None:
    if candidate.fit == "probe" and recipe.pool != "mean":
        raise BadInput(
            f"candidate {candidate}: its recipe says pool={recipe.pool}, but a probe's stored features are means already; "
            "leave pool out, or ask for a tail"
        )


def _pixels_of_weights(candidate: Candidate) -> int:
    """Return the only side that a candidate's weights fit, 0 where it starts from none or any will do."""
    if candidate.fit == "scratch":
        return 0
    weights = load_backbone(candidate.backbone).weights.get(candidate.variant or "")
    if weights is None:
        return 0
    if weights.pixels and candidate.pixels not in (None, weights.pixels):
        raise BadInput(
            f"candidate {candidate}: its weights fit photos of {weights.pixels} px only; ask for {weights.pixels}px, or for "
            f"{replace(candidate, fit='scratch')}"
        )
    return weights.pixels


def check_preset(preset: str) -> None:
    """Refuse a preset that is not known.

    Raises:
        BadInput: With those that are.
    """
    if preset not in PRESETS:
        raise BadInput(f"PRESET={preset}: expected one of {', '.join(PRESETS)}")


def variant_for(backbone: Backbone, fit: Fit) -> str:
    """Return the variant that a candidate without one means."""
    return (backbone.scratch_variant if fit == "scratch" else "") or backbone.default_variant


START_SECONDS = {
    "scratch": 5.0,
    "probe": 1.5,
    "tail": 25.0,
    "full": 8.0,
}  # building and compiling once a fold, and the head of a tail
FORWARD = 0.17  # of a training step: MobileNetV2 at 224 px, 11 ms against 65 ms on one core
ABOVE_CUT = 0.09  # of a training step, from block_13_project_BN on: three quarters of the 7 ms measured there from block_12_add on
SECONDS_A_FEATURE = 2e-5  # of training a head, per photo and epoch


def seconds_of_fold(candidate: Candidate, recipe: Recipe, n_rows: int) -> float:
    """Return the estimated seconds of training one fold on one core, from the backbone's measured step.

    A step costs in proportion to the number of pixels.

    Args:
        n_rows: Train rows of the fold.
    """
    fit = candidate.fit or "scratch"
    a_photo = {"probe": SECONDS_A_FEATURE, "tail": ABOVE_CUT * _step(candidate, recipe)}.get(
        fit, _step(candidate, recipe)
    )
    return float(START_SECONDS[fit] + a_photo * n_rows * recipe.epochs)


def seconds_of_features(candidate: Candidate, recipe: Recipe) -> float:
    """Return the estimated seconds of computing the features of one photo and view on one core."""
    return FORWARD * _step(candidate, recipe)


def _step(candidate: Candidate, recipe: Recipe) -> float:
    backbone = load_backbone(candidate.backbone)
    step = backbone.seconds_per_photo.get(candidate.variant or backbone.default_variant, 0.005)
    return step * (recipe.pixels / backbone.measured_pixels) ** 2
