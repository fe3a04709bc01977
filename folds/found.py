"""What a finished run needs to be asked again, found by its content; Keras is not needed for that."""

from __future__ import annotations

from dataclasses import replace

from comp.errors import Refused
from comp.weights import facts_of, find_weights
from folds.runs import RunPlan


def with_weights(plan: RunPlan, folder: str | None) -> RunPlan:
    """Return a finished run's plan with the place of its pre-trained weights, found by their content.

    Args:
        folder: What WEIGHTS names, or None.

    Raises:
        Refused: If they are nowhere, or others lie under their name.
    """
    if not plan.weights_sha:
        return plan
    facts = facts_of(plan.candidate)
    found = find_weights(facts, folder) if facts else None
    if found is None or found.sha256 != plan.weights_sha:
        name = facts.file if facts else str(plan.candidate)
        raise Refused(
            f"run {plan.name}: the weights {name} that it was trained from are not here; name their folder with WEIGHTS=folder"
        )
    return replace(plan, weights_path=str(found.path.resolve()))
