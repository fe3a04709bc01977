"""Arthropods of the drawn sample, from above: a chain of segments, pairs of jointed legs, what the head and the end carry."""

from __future__ import annotations

import numpy as np

from comp.samples._canvas import Canvas, oval, rounded, tapered
from comp.samples._coat import BLACK, Coat, Traits, paint_markings


def arthropod(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    """Draw a chain of segments from above, with pairs of jointed legs, and feelers, claws and a tail as the traits say."""
    widths = _segment_widths(traits)
    halves = traits["length"] * widths**0.6 / np.sum(widths**0.6)
    along = 2 * np.cumsum(halves) - halves - traits["length"]
    _legs(canvas, coat, traits, rng)
    _head_gear(canvas, coat, traits, rng)
    if traits["tail"]:
        back = -0.9 * traits["length"]
        sting = np.array([(back, 0), (back - 0.75 * traits["tail"], rng.normal(0, 0.1))])
        canvas.fill(tapered(sting, 0.06, 0.01), coat.limbs)
    for i, (x, half, width) in enumerate(zip(along, halves, widths, strict=True)):
        part = oval((x, 0), (1.25 * half, width), n=16)
        canvas.fill(part, coat.accent if coat.markings == "bands" and i % 2 else coat.base, relief=210)
        if coat.markings in ("spots", "line") and (len(widths) < 6 or i % 2):
            paint_markings(canvas, part, coat, rng)
    for side in (-1, 1):
        canvas.dot(traits["length"] - 0.4 * halves[-1], side * 0.5 * widths[-1], 0.035, BLACK)


def _segment_widths(traits: Traits) -> np.ndarray:
    """Return half-widths from the last segment to the first: widest at `middle`, `tip` of that at the far end."""
    along = np.linspace(-1, 1, int(traits["segments"]))
    away = np.abs(along - traits["middle"]) / (1 + abs(traits["middle"]))
    return traits["girth"] * (1 - (1 - traits["tip"]) * away**1.7)


def _legs(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    pairs, reach, spread = int(traits["legs"]), traits["reach"], traits["spread"]
    roots = np.linspace(-spread, spread, pairs) + traits["root"]
    gait = rng.uniform(0, 2 * np.pi)
    lines = []
    for i, x in enumerate(roots):
        fan = traits["fan"] * (i / max(pairs - 1, 1) - 0.5)
        for side in (-1, 1):
            step = 0.12 * np.sin(gait + 1.9 * i + (side > 0) * np.pi) * reach
            knee = (x + 0.45 * fan * reach + step, side * (0.6 * traits["girth"] + 0.62 * reach))
            foot = (x + fan * reach + 2 * step, side * (0.6 * traits["girth"] + reach * (1 - 0.25 * abs(fan))))
            lines.append(np.array([(x, 0), knee, foot]))
    canvas.stroke(lines, traits["leg_width"], coat.limbs)


def _head_gear(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    front = traits["length"]
    for side in (-1, 1):
        if traits["feelers"]:
            tip = (front + traits["feelers"], side * (0.15 + 0.5 * traits["feelers"]) + rng.normal(0, 0.05))
            feeler = rounded(
                [(front - 0.08, 0.05 * side), (front + 0.5 * traits["feelers"], 0.1 * side), tip], closed=False
            )
            canvas.stroke([feeler], 0.028, coat.limbs)
        if traits["claws"]:
            _claw(canvas, coat, traits["claws"], side, rng)


def _claw(canvas: Canvas, coat: Coat, size: float, side: int, rng: np.random.Generator) -> None:
    elbow = np.array([0.75, side * (0.35 + 0.6 * size)])
    hand = elbow + (0.25 + rng.normal(0, 0.05), -side * 0.12)
    canvas.stroke([np.array([(0.45, side * 0.1), elbow, hand])], 0.08, coat.limbs)
    for open_ in (-0.35, 0.35):
        finger = rounded([(0, -0.2), (1.3, -0.12), (1.5, 0.08), (0.6, 0.25), (0, 0.2)]) * size * 0.6
        turn = np.array([[np.cos(open_), -np.sin(open_)], [np.sin(open_), np.cos(open_)]])
        canvas.fill(finger @ turn.T + hand, coat.accent)
