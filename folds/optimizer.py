"""AdamW with a rate that falls with depth, and layers that begin to learn one after the other; or SGD by BiT's HyperRule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from comp import hyperrule
from comp.spec import Recipe
from folds.by_rule import RULE

UNDECAYED = ("bias", "gamma", "beta")  # small vectors that weight decay would only hurt


def make_optimizer(recipe: Recipe, n_batches: int, depths: Sequence[float] = ()) -> keras.optimizers.Optimizer:
    """Return AdamW whose rate warms up linearly, then falls along a cosine to zero over the whole fit; or SGD by the HyperRule.

    Args:
        n_batches: Batches of the whole fit; several make one step where gradients are accumulated.
        depths: For each trainable variable, how far below the head it lies: 0 the head, 1 the lowest layer.
    """
    n_steps = max(1, math.ceil(n_batches / recipe.accumulation_steps))
    if recipe.optimizer == RULE:
        return _by_rule(recipe, n_steps)
    n_warmup = round(recipe.warmup * n_steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if n_warmup else recipe.learning_rate,
        decay_steps=max(1, n_steps - n_warmup),
        warmup_target=recipe.learning_rate if n_warmup else None,
        warmup_steps=n_warmup,
    )
    return AdamWByDepth(
        schedule,
        decoupled_decay=recipe.weight_decay,
        factors=[recipe.depth_decay ** (10 * depth) for depth in depths],
        first_steps=[round(recipe.unfreeze * depth * n_steps) for depth in depths],
        gradient_accumulation_steps=recipe.accumulation_steps if recipe.accumulation_steps > 1 else None,
        clipnorm=1.0,
        use_ema=recipe.ema > 0,
        ema_momentum=recipe.ema or 0.99,
    )


def _by_rule(recipe: Recipe, n_steps: int) -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(
        Stairs(recipe.learning_rate, n_steps),
        momentum=hyperrule.MOMENTUM,
        gradient_accumulation_steps=recipe.accumulation_steps if recipe.accumulation_steps > 1 else None,
    )


class Stairs(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The HyperRule's rate: up along a line for a fifth of the steps, then down by ten at two, three and four fifths.

    Those are the rule's shares for small data sets (100, 200, 300, 400 of 500 steps); larger sets warm up for a twentieth.

    Args:
        peak: Rate at the end of the warm-up.
        n_steps: Of the whole fit; more than the rule's small number of steps means a larger set.
    """

    def __init__(self, peak: float, n_steps: int) -> None:
        self.peak, self.n_steps = peak, n_steps
        rows = 0 if n_steps < 2 * hyperrule.schedule(0)[-1] else hyperrule.MEDIUM
        *marks, end = hyperrule.schedule(rows)
        self.warm, *self.falls = (mark * n_steps / end for mark in marks)

    def __call__(self, step: Any) -> Any:
        """Return the rate of a step, counted from 0."""
        step = ops.cast(step, "float32")
        rate = self.peak * ops.minimum(step / max(1.0, self.warm), 1.0)
        for fall in self.falls:
            rate = ops.where(step > fall, rate / 10, rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        """Return what it is made from."""
        return {"peak": self.peak, "n_steps": self.n_steps}


class AdamWByDepth(keras.optimizers.Adam):  # type: ignore[misc]
    """AdamW (Loshchilov and Hutter 2017, arXiv 1711.05101) with a rate of its own for each variable.

    Keras' AdamW decays weights by the common rate, so a layer of a lower rate would be pulled to zero, and a frozen one too.

    Args:
        decoupled_decay: Weight decay, times the variable's own rate at each step.
        factors: What the rate is multiplied by, one for each trainable variable in their order; empty: 1 everywhere.
        first_steps: Step from which each variable is trained; before it, it does not change at all.
    """

    def __init__(
        self,
        schedule: Any,
        *,
        decoupled_decay: float,
        factors: Sequence[float] = (),
        first_steps: Sequence[int] = (),
        **options: Any,
    ) -> None:
        super().__init__(schedule, **options)
        self.decoupled_decay, self.factors, self.first_steps = decoupled_decay, list(factors), list(first_steps)
        self._is_decayed: list[bool] = []

    def build(self, variables: Any) -> None:
        """Make the moments, and note which variables are decayed."""
        self._is_decayed = [not any(name in variable.name for name in UNDECAYED) for variable in variables]
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Decay the variable and take one step, both at its own rate."""
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype)
        if self.factors:
            rate = rate * self.factors[index]
        if self.first_steps and self.first_steps[index]:
            rate = rate * ops.cast(self.iterations >= self.first_steps[index], variable.dtype)
        if self.decoupled_decay and self._is_decayed[index]:
            self.assign_sub(variable, variable * (rate * self.decoupled_decay))
        super().update_step(gradient, variable, rate)
