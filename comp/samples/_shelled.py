"""Molluscs of the drawn sample, from the side: a foot or arms, and a coiled, towering or fanned shell, or none."""

from __future__ import annotations

import numpy as np

from comp.samples._canvas import Canvas, oval, ring, rounded, shade, tapered
from comp.samples._coat import BLACK, WHITE, Coat, Traits, paint_markings


def snail(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    """Draw a creeping foot with feelers from the side and, as the traits say, a coiled or a towering shell on it."""
    foot = traits["foot"]
    rise = 0.14 + 0.1 * rng.uniform()
    outline = rounded([(-0.95, 0.5), (-0.5, 0.5 - foot), (0.3, 0.46 - foot), (0.62, 0.5 - foot - rise), (0.9, 0.42 - foot),
                       (0.85, 0.5), (0, 0.54)])  # fmt: skip
    for offset in (0.0, 0.12):
        tip = (0.86 + offset + rng.normal(0, 0.04), 0.42 - foot - rise - traits["feelers"] + rng.normal(0, 0.03))
        canvas.stroke([np.array([(0.7 + 0.6 * offset, 0.46 - foot), tip])], 0.035, coat.limbs)
        canvas.dot(*tip, 0.035, BLACK)
    canvas.fill(outline, coat.limbs, relief=150)
    if traits["coil"]:
        _coil(canvas, coat, traits, rng, at=(-0.12, 0.42 - foot - 0.72 * traits["coil"]))
    elif traits["tower"]:
        _tower(canvas, coat, traits, rng, foot)
    else:
        back = rounded([(-0.9, 0.46), (-0.4, 0.44 - 1.5 * foot), (0.35, 0.44 - 1.5 * foot), (0.6, 0.3), (0.5, 0.46)])
        canvas.fill(back, coat.base)
        paint_markings(canvas, back, coat, rng)


def _coil(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator, at: tuple[float, float]) -> None:
    size = traits["coil"]
    shell = rounded(ring(12) * (size * 1.06, size) + at)
    canvas.fill(shell, coat.base, relief=235)
    paint_markings(canvas, shell, coat, rng)
    angles = np.linspace(0.3, 0.3 + 2 * np.pi * traits["whorls"], 60)
    radius = size * np.exp(-0.17 * (angles - 0.3)) * 0.95
    spiral = np.stack([np.cos(angles) * radius, np.sin(angles) * radius], axis=1) + at
    canvas.stroke([spiral], 0.05, shade(coat.base, 0.5), relief=120)


def _tower(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator, foot: float) -> None:
    n = int(traits["whorls"])
    start, lean = np.array([0.28, 0.34 - foot]), np.deg2rad(rng.normal(205, 9))
    step = np.array([np.cos(lean), np.sin(lean)]) * traits["tower"]
    for i in reversed(range(n)):
        share = 1 - i / n
        centre = start + step * (i / n) * (2 - i / n) * 0.75
        whorl = oval(centre, share * np.array([0.27, 0.3]) + 0.02, n=18)
        canvas.fill(whorl, coat.accent if coat.markings == "bands" and i % 2 else coat.base, relief=150 + 80 * share)
        if coat.markings == "spots" and share > 0.3:
            paint_markings(canvas, whorl, coat, rng)


def nautilus(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    """Draw a swimming shell, coiled, with a bunch of arms and a large eye at its mouth."""
    mouth = np.array([0.35, 0.22])
    for angle in np.linspace(-0.5, 0.9, int(traits["arms"])) + rng.normal(0, 0.06):
        reach = traits["reach"] * rng.uniform(0.75, 1.1)
        line = np.linspace(mouth, mouth + reach * np.array([np.cos(angle), np.sin(angle)]), 8)
        line[:, 1] += 0.06 * np.sin(np.linspace(0, 5, 8) + rng.uniform(0, 6))
        canvas.fill(tapered(line, 0.055, 0.015), coat.limbs, relief=120)
    canvas.fill(oval((0.38, 0.2), (0.26, 0.24)), coat.limbs, relief=170)
    _coil(canvas, coat, traits, rng, at=(-0.2, -0.06))
    canvas.dot(0.46, 0.1, 0.085, WHITE)
    canvas.dot(0.47, 0.1, 0.045, BLACK)


def bivalve(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    """Draw a ribbed fan: one valve from outside, the hinge towards the left."""
    n, spread = int(traits["ribs"]), traits["spread"] * np.pi
    angles = np.linspace(-spread / 2, spread / 2, 4 * n)
    reach = traits["length"] * (1 + 0.04 * np.cos(np.linspace(0, 2 * np.pi * n, 4 * n))) * np.cos(0.45 * angles)
    rim = np.stack([1.5 * reach * np.cos(angles) - 0.75, reach * 1.15 * np.sin(angles)], axis=1)
    hinge = np.array([(-0.78, 0.2), (-0.9, 0.14), (-0.9, -0.14), (-0.78, -0.2)])
    outline = np.concatenate([rim, hinge])
    canvas.fill(outline, coat.base, relief=220)
    paint_markings(canvas, outline, coat, rng)
    ribs = [np.array([(-0.8, 0.0), point]) for point in rim[2::4] * (0.97, 0.97)]
    canvas.stroke(ribs, 0.03, shade(coat.base, 0.72), relief=120)
    if traits["rings"]:
        centre = np.array([-0.75, 0.0])
        canvas.stroke([(rim - centre) * share + centre for share in (0.55, 0.8)], 0.035, coat.accent, relief=140)
