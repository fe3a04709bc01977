"""Cnidarians (from the side) and echinoderms (from above) of the drawn sample: arms, threads and spines around a middle."""

from __future__ import annotations

import numpy as np

from comp.samples._canvas import Canvas, oval, ring, rounded, shade, tapered
from comp.samples._coat import Coat, Traits, paint_markings


def jelly(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    """Draw a bell from the side, trailing many threads or a few broad arms; it swims towards the back (-y)."""
    width, height = traits["width"], traits["height"]
    _threads(canvas, coat, traits, rng)
    pulse = rng.normal(1, 0.1)
    n = int(traits["lobes"])
    hem = np.linspace(width, -width, 4 * n)
    scallops = 0.045 * np.abs(np.sin(np.linspace(0, np.pi * n, 4 * n)))
    dome = ring(20, np.pi, 2 * np.pi) * (width * pulse, height)
    bell = np.concatenate([dome, np.stack([hem * pulse, scallops], axis=1)]) - (0, 0.1)
    canvas.fill(bell, coat.base, relief=230)
    paint_markings(canvas, bell, coat, rng)
    canvas.tint(bell, [oval((0, -0.1 - 0.55 * height), (0.45 * width, 0.25 * height))], shade(coat.base, 1.5), 0.5)


def _threads(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    drift = rng.normal(0, 0.25)
    for x in np.linspace(-0.85, 0.85, int(traits["arms"])) * traits["width"]:
        y = np.linspace(-0.12, traits["reach"] * rng.uniform(0.7, 1.1), 10)
        sway = 0.05 * np.sin(6 * y + rng.uniform(0, 6)) + drift * np.clip(y, 0, None) ** 2
        line = np.stack([x * (1 - 0.25 * y) + sway, y], axis=1)
        canvas.fill(tapered(line, traits["thick"], 0.3 * traits["thick"]), coat.limbs, relief=110)


def anemone(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    """Draw a column on a foot, crowned with arms that bend outwards."""
    width, height = traits["width"], traits["height"]
    top = 0.6 - height
    arms = np.linspace(-1.1, 1.1, int(traits["arms"])) + rng.normal(0, 0.05)
    for angle in rng.permutation(arms):
        reach = traits["reach"] * rng.uniform(0.8, 1.15)
        tip = np.array([np.sin(angle) * (0.6 * width + reach), top - np.cos(angle) * reach + 0.15 * abs(angle) * reach])
        root = np.array([0.85 * width * np.sin(angle), top])
        arm = rounded([root, 0.6 * root + 0.4 * tip - (0, 0.2 * reach), tip], closed=False)
        canvas.fill(tapered(arm, traits["thick"], 0.55 * traits["thick"]), coat.limbs, relief=150)
    column = rounded([(-1.3 * width, 0.64), (-0.85 * width, 0.4), (-0.9 * width, top), (0.9 * width, top),
                      (0.85 * width, 0.4), (1.3 * width, 0.64)])  # fmt: skip
    canvas.fill(column, coat.base, relief=220)
    paint_markings(canvas, column, coat, rng)
    canvas.fill(oval((0, top), (0.85 * width, 0.1)), shade(coat.base, 0.7), relief=190)


def coral(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    """Draw a stem that forks again and again, each twig ending in a small star of a polyp."""
    tips: list[np.ndarray] = []

    def grow(root: np.ndarray, angle: float, length: float, level: int) -> None:
        tip = root + length * np.array([np.sin(angle), -np.cos(angle)])
        thick = traits["thick"] * 0.72 ** (traits["levels"] - level)
        canvas.fill(tapered(np.linspace(root, tip, 4), thick, 0.75 * thick), coat.base, relief=190, edge=0.75)
        if level == 0:
            tips.append(tip)
            return
        for side in (-1, 1):
            grow(
                tip, angle + side * traits["fork"] * rng.uniform(0.6, 1.3), length * rng.uniform(0.68, 0.88), level - 1
            )

    grow(np.array([0.0, 0.8]), rng.normal(0, 0.1), traits["length"], int(traits["levels"]))
    for tip in tips:
        canvas.fill(oval(tip, 0.055, n=8), coat.accent, relief=230)


def star(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    """Draw arms around a disc from above, straight or winding, with rows of knobs."""
    n, disc = int(traits["arms"]), traits["disc"]
    for angle in 2 * np.pi * np.arange(n) / n + rng.normal(0, 0.06, n):
        along = np.linspace(0, rng.normal(1, 0.05), 12)
        curl = traits["curl"] * np.sin(along * 4 + rng.uniform(0, 6)) * along + rng.normal(0, 0.08) * along**2
        line = np.stack(
            [along * np.cos(angle) - curl * np.sin(angle), along * np.sin(angle) + curl * np.cos(angle)], axis=1
        )
        arm = tapered(line, traits["base"], traits["tip"])
        canvas.fill(arm, coat.base, relief=200)
        _arm_marks(canvas, coat, line, arm, traits)
    centre = rounded(ring(10) * disc)
    canvas.fill(centre, coat.base, relief=225, edge=0.85)
    canvas.tint(centre, [ring(12) * 0.55 * disc], coat.accent, 0.6)


def _arm_marks(canvas: Canvas, coat: Coat, line: np.ndarray, arm: np.ndarray, traits: Traits) -> None:
    if coat.markings == "plain":
        return
    if coat.markings == "line":
        canvas.stroke([line[2:-1]], 0.3 * traits["base"], coat.accent, relief=235)
        return
    size = 0.3 * traits["base"] * coat.size + 0.012
    wide = 3.0 if coat.markings == "bands" else 1.0
    canvas.tint(arm, [oval(point, size * wide, n=8) for point in line[3::2]], coat.accent)


def urchin(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    """Draw a round body from above, bristling with spines, a five-rayed pattern on it."""
    n, disc = int(traits["spines"]), traits["disc"]
    angles = 2 * np.pi * (np.arange(n) + rng.uniform(-0.3, 0.3, n)) / n
    reach = disc + traits["reach"] * rng.uniform(0.65, 1.1, n)
    out = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for direction, far in zip(out, reach, strict=True):
        line = np.linspace(direction * 0.7 * disc, direction * far, 3)
        canvas.fill(tapered(line, traits["thick"], 0.35 * traits["thick"]), coat.limbs, relief=130)
    body = rounded(ring(16) * disc)
    canvas.fill(body, coat.base, relief=235)
    ray = rounded(oval((0.5 * disc, 0), (0.36 * disc, 0.13 * disc * coat.size), n=5))
    canvas.tint(body, [ray @ _turn(2 * np.pi * k / 5) for k in range(5)], coat.accent)


def _turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
