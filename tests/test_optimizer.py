"""AdamW by depth: with equal rates it is Keras' AdamW; a rate of 0 and a first step to come mean that nothing moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest

from comp.spec import Candidate, Recipe
from folds.model import depths, make_network
from folds.optimizer import UNDECAYED, AdamWByDepth, make_optimizer

RATE, DECAY = 0.01, 0.1


def network() -> keras.Model:
    keras.utils.set_random_seed(1)
    taken = keras.Input((5,))
    x = keras.layers.Dense(7, activation="tanh", name="low")(taken)
    x = keras.layers.BatchNormalization(name="norm")(x)
    return keras.Model(taken, keras.layers.Dense(3, name="logits")(x))


def train(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, n_steps: int = 12, is_traced: bool = True
) -> list[np.ndarray]:
    """Train on noise, step by step where tracing a step takes longer than all of them; return the trainable variables."""
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False, run_eagerly=not is_traced)
    random = np.random.default_rng(0)
    for _ in range(n_steps):
        model.train_on_batch(random.normal(0, 1, (8, 5)), np.eye(3)[random.integers(0, 3, 8)])
    return [np.asarray(variable) for variable in model.trainable_variables]


def by_depth(factors: Sequence[float] = (), first_steps: Sequence[int] = (), **options: Any) -> AdamWByDepth:
    return AdamWByDepth(RATE, decoupled_decay=DECAY, factors=factors, first_steps=first_steps, **options)


def by_keras(**options: Any) -> keras.optimizers.AdamW:
    optimizer = keras.optimizers.AdamW(RATE, weight_decay=DECAY, **options)
    optimizer.exclude_from_weight_decay(var_names=list(UNDECAYED))
    return optimizer


@pytest.mark.parametrize(
    "options",
    [{}, {"clipnorm": 1.0}, {"gradient_accumulation_steps": 3}, {"use_ema": True, "ema_momentum": 0.9}],
    ids=["plain", "clipped", "accumulated", "averaged"],
)
def test_with_equal_rates_it_is_adamw(options: dict[str, Any]) -> None:
    found = []
    for optimizer in (by_keras(**options), by_depth((), **options), by_depth((1.0,) * 6, **options)):
        model = network()
        trained = train(model, optimizer, is_traced=not options)
        optimizer.finalize_variable_values(model.trainable_variables)
        found.append([*trained, *(np.asarray(variable) for variable in model.trainable_variables)])
    for expected, without_factors, all_1 in zip(*found, strict=True):
        assert np.allclose(without_factors, expected, atol=2e-6) and np.allclose(all_1, expected, atol=2e-6)


def test_a_lower_rate_is_adamw_with_a_lower_rate() -> None:
    ours = train(network(), by_depth((0.1,) * 6))
    optimizer = keras.optimizers.AdamW(RATE / 10, weight_decay=DECAY)
    optimizer.exclude_from_weight_decay(var_names=list(UNDECAYED))
    assert all(np.allclose(a, b, atol=2e-6) for a, b in zip(ours, train(network(), optimizer), strict=True))


def test_what_has_no_rate_is_not_decayed_either() -> None:
    model = network()
    before = [np.asarray(variable) for variable in model.trainable_variables]
    after = train(model, by_depth((0.0, 0.0, 0.0, 0.0, 1.0, 1.0)))
    assert [bool((a == b).all()) for a, b in zip(before, after, strict=True)] == [True] * 4 + [False] * 2


@pytest.mark.parametrize("accumulation", [None, 2])
def test_nothing_moves_before_its_first_step(accumulation: int | None) -> None:
    first_steps = (6, 6, 3, 3, 0, 0)
    optimizer = by_depth((1.0,) * 6, first_steps, gradient_accumulation_steps=accumulation)
    model = network()
    before = [np.asarray(variable) for variable in model.trainable_variables]
    moved_at: dict[int, int] = {}
    for batch in range(10 * (accumulation or 1)):
        after = train(model, optimizer, 1) if not batch else _one_more(model)
        for i, variable in enumerate(after):
            if (variable != before[i]).any():
                moved_at.setdefault(i, batch // (accumulation or 1))
    assert [moved_at[i] for i in range(6)] == list(first_steps)


def _one_more(model: keras.Model) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    model.train_on_batch(random.normal(0, 1, (8, 5)), np.eye(3)[random.integers(0, 3, 8)])
    return [np.asarray(variable) for variable in model.trainable_variables]


def test_only_matrices_are_decayed() -> None:
    model = network()
    optimizer = by_depth()
    optimizer.build(model.trainable_variables)
    decayed = [
        v.path for v, is_decayed in zip(model.trainable_variables, optimizer._is_decayed, strict=True) if is_decayed
    ]
    assert decayed == ["low/kernel", "logits/kernel"]


def test_rates_fall_with_depth_and_layers_begin_from_the_head_down() -> None:
    recipe = Recipe(pixels=32, epochs=1, depth_decay=0.8, unfreeze=0.5, warmup=0.0, ema=0.99)
    below = depths(make_network(Candidate("vgg16", "tiny", "full", 32), recipe, 4, 3))
    optimizer = make_optimizer(recipe, 100, below)
    assert below[-2:] == [0.0, 0.0] and below[0] == 1 and below[:-1] == sorted(below[:-1], reverse=True)
    assert optimizer.factors[-1] == 1 and optimizer.factors[0] == pytest.approx(0.8**10)
    assert optimizer.factors == sorted(optimizer.factors)
    assert optimizer.first_steps[0] == 50 and optimizer.first_steps[-1] == 0
    assert optimizer.use_ema and optimizer.ema_momentum == 0.99


@pytest.mark.parametrize(("pool", "head"), [("gem", "dense"), ("mean", "cosine"), ("gem", "cosine")])
def test_every_trainable_variable_has_a_depth_and_the_head_alone_lies_at_0(pool: Any, head: Any) -> None:
    recipe = Recipe(pixels=32, pool=pool, head=head)
    model = make_network(Candidate("vgg16", "tiny", "full", 32), recipe, 4, 3)
    found = depths(model)
    assert len(found) == len(model.trainable_variables)
    for variable, depth in zip(model.trainable_variables, found, strict=True):
        assert (depth == 0) is ("logits" in variable.path) and 0 <= depth <= 1
