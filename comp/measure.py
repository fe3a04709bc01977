"""The figures behind a backbone's facts: seconds a photo, forward and in training, in float32 and bfloat16, on one core."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from comp.backend import fast_forward, has_bf16, jit_compile
from comp.errors import BadInput
from comp.registry import load_backbone
from comp.spec import Backbone

BATCH = {"extract": 8, "train": 32}
ROUNDS = 5
PRECISIONS = ("float32", "mixed_bfloat16")


@dataclass(frozen=True)
class Measured:
    """Milliseconds a photo of one use, by precision, and whether the backbone's file says that bfloat16 pays."""

    use: str
    milliseconds: dict[str, float]
    is_said_to_pay: bool

    @property
    def gain(self) -> float:
        """Return how many times as fast bfloat16 is."""
        return self.milliseconds["float32"] / self.milliseconds["mixed_bfloat16"]


def measure(name: str, variant: str | None = None, pixels: int | None = None) -> list[Measured]:
    """Return the figures of a backbone with random weights: medians of rounds that take turns.

    Raises:
        BadInput: If there is no such backbone, it reads strips, or it cannot be built at that size.
    """
    backbone = load_backbone(name)
    if backbone.takes_widths:
        raise BadInput(f"backbone {name}: it reads strips of any width; bfloat16 is measured on square photos only")
    variant, pixels = variant or backbone.default_variant, pixels or backbone.measured_pixels
    found = []
    for use, maker in (("extract", _forward), ("train", _step)):
        runs = {precision: maker(backbone, variant, pixels, precision) for precision in PRECISIONS}
        seconds: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
        for _ in range(ROUNDS):
            for precision, run in runs.items():
                seconds[precision].append(_time(run) / BATCH[use])
        medians = {precision: 1000 * statistics.median(times) for precision, times in seconds.items()}
        found.append(Measured(use, medians, use in backbone.bf16_pays))
    return found


def _time(run: Callable[[], Any], least: float = 0.5) -> float:
    """Return the seconds of one call, from as many as fill half a second."""
    began, n_calls = time.perf_counter(), 0
    while time.perf_counter() - began < least:
        run()
        n_calls += 1
    return (time.perf_counter() - began) / n_calls


def _built(backbone: Backbone, variant: str, pixels: int, precision: str) -> Any:
    import keras

    keras.config.set_dtype_policy(precision)
    return backbone.build(pixels, variant, None)


def _noise(use: str, pixels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (BATCH[use], pixels, pixels, 3), dtype=np.uint8)


def _forward(backbone: Backbone, variant: str, pixels: int, precision: str) -> Callable[[], Any]:
    run, photos = (
        fast_forward(_built(backbone, variant, pixels, precision), BATCH["extract"]),
        _noise("extract", pixels),
    )
    run(photos)
    return lambda: run(photos)


def _step(backbone: Backbone, variant: str, pixels: int, precision: str) -> Callable[[], Any]:
    import keras

    body = _built(backbone, variant, pixels, precision)
    flat = keras.layers.Flatten(dtype="float32")(body.output)
    model = keras.Model(body.input, keras.layers.Dense(2, dtype="float32")(flat))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(), loss, jit_compile=jit_compile())
    photos, labels = _noise("train", pixels), np.arange(BATCH["train"]) % 2
    model.train_on_batch(photos, labels)
    return lambda: model.train_on_batch(photos, labels)


def rows(found: list[Measured]) -> list[list[str]]:
    """Return the rows of the table: use, both times, the gain, and whether the fact agrees."""
    said = {True: "pays", False: "does not pay"}
    return [
        [
            line.use,
            *(f"{line.milliseconds[precision]:.2f}" for precision in PRECISIONS),
            f"{line.gain:.2f}",
            said[line.is_said_to_pay],
            "" if not has_bf16() else "agrees" if (line.gain > 1) == line.is_said_to_pay else "differs",
        ]
        for line in found
    ]
