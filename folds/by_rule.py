"""BiT's HyperRule as a recipe: for a fine-tuning that asks for it, all settings from the photos' size and number, nothing tuned.

See `comp.hyperrule` for the numbers and their source. The batch of 512 is made of 16 batches whose gradients are averaged.
"""

from __future__ import annotations

from dataclasses import replace

from comp import hyperrule
from comp.spec import Recipe

RULE = "hyperrule"
_SMALL_BATCH = 32


def by_rule(recipe: Recipe) -> Recipe:
    """Return the recipe with all that the rule fixes for every data set; one that does not ask for the rule stays as it is."""
    if recipe.optimizer != RULE:
        return recipe
    return replace(
        recipe,
        batch_size=_SMALL_BATCH,
        accumulation_steps=hyperrule.BATCH_SIZE // _SMALL_BATCH,
        learning_rate=hyperrule.LEARNING_RATE,
        weight_decay=0.0,
        label_smoothing=0.0,
        dropout=0.0,
        depth_decay=1.0,
        unfreeze=0.0,
    )


def for_rows(recipe: Recipe, n_rows: int) -> Recipe:
    """Return the recipe with the epochs and the mixup that the rule gives so many rows, where it asks for the rule.

    Args:
        n_rows: Train rows of one fold.
    """
    if recipe.optimizer != RULE:
        return recipe
    steps_an_epoch = max(1, (n_rows // recipe.batch_size) // recipe.accumulation_steps)
    epochs = max(1, round(hyperrule.schedule(n_rows)[-1] / steps_an_epoch))
    return replace(recipe, epochs=epochs, mixup=hyperrule.mixup(n_rows))


def side_by_rule(photo_side: int) -> int:
    """Return the side that the rule trains photos of a side at, in pixels."""
    return hyperrule.resolution(photo_side, photo_side)[1]
