"""Tuned recipes in the plan: what studies over the plan's own folds found comes over the preset and under the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from comp.engine import Engine
from comp.errors import BadInput
from folds.cuts import bytes_of, feature_shapes
from folds.dataset import dataset_folder
from submissions.choose import Choice
from submissions.plan import Plan, known_photos
from tuning.tuned import tuned_recipe


def with_tuned(plan: Plan, engine: Engine, folder: Path | None = None) -> Plan:
    """Return the plan with the tuned recipe of each candidate that has one, and a note for each that has or might have.

    Args:
        folder: runs/<competition>/<data8>; None finds it where the photos are known, and returns the plan as it is elsewhere.

    Raises:
        BadInput: If TUNED is neither yes nor no.
        Refused: If a tuned file is damaged.
    """
    if plan.settings.tuned not in ("yes", "no"):
        raise BadInput(f"TUNED={plan.settings.tuned}: expected yes or no")
    if plan.settings.tuned == "no":
        return plan
    photos = known_photos(plan) if folder is None else {}
    if photos is None:
        return plan
    where = folder or dataset_folder(plan.tables, photos, plan.n_folds)
    found = [_tuned(plan, choice, engine, where) for choice in plan.choices]
    notes = [note for _, note in found if note and note not in plan.notes]
    return replace(plan, choices=[choice for choice, _ in found], notes=[*plan.notes, *notes])


def _tuned(plan: Plan, choice: Choice, engine: Engine, folder: Path) -> tuple[Choice, str]:
    tuned = tuned_recipe(folder, choice.candidate, choice.recipe, plan.competition, plan.settings.cut is not None)
    changed = replace(choice, recipe=tuned.recipe, tuned=tuned.source)
    if tuned.recipe.cut != choice.recipe.cut:
        shapes = feature_shapes(choice.candidate, tuned.recipe.pixels, plan.competition.channels, engine)
        changed = replace(changed, feature_bytes=bytes_of(shapes[tuned.recipe.cut]))
    return changed, tuned.note
