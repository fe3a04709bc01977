"""Chordates of the drawn sample, from the side: fish, standing birds and four-legged animals."""

from __future__ import annotations

import numpy as np

from comp.samples._canvas import Canvas, oval, rounded, shade, tapered
from comp.samples._coat import BLACK, WHITE, Coat, Traits, paint_belly, paint_markings


def fish(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    """Draw a fish from the side: body of some depth, forked tail, fins on back and belly."""
    depth, tail, fin = traits["depth"], traits["tail"], traits["fin"]
    beat = rng.normal(0, 0.06)
    fork = [(-0.55, 0), (-0.95, -tail + beat), (-0.82, beat), (-0.95, tail + beat)]
    canvas.fill(rounded(fork, rounds=2), coat.accent, relief=90)
    back = [(0.3, -0.6 * depth), (0.1, -depth - fin), (-0.3, -0.7 * depth - 0.6 * fin), (-0.45, -0.3 * depth)]
    canvas.fill(rounded(back, rounds=2), coat.accent, relief=90)
    canvas.fill(rounded(np.array(back) * (0.8, -0.85) - (0.1, 0), rounds=2), coat.accent, relief=90)
    snout = traits["snout"]
    body = rounded([(0.8 + snout, 0.03), (0.6, -0.55 * depth), (0.15, -depth), (-0.35, -0.6 * depth), (-0.7, -0.07),
                    (-0.7, 0.07), (-0.35, 0.6 * depth), (0.15, depth), (0.6, 0.55 * depth)])  # fmt: skip
    canvas.fill(body, coat.base, relief=225)
    paint_belly(canvas, body, coat)
    paint_markings(canvas, body, coat, rng)
    side_fin = rounded(
        [(0.28, 0.1 * depth), (0.0, 0.3 * depth + 0.05), (-0.05, 0.62 * depth + 0.05), (0.22, 0.35 * depth)]
    )
    canvas.fill(side_fin, shade(coat.accent, 1.1), relief=240)
    canvas.dot(0.55, -0.16 * depth, 0.06, WHITE)
    canvas.dot(0.56, -0.16 * depth, 0.035, BLACK)


def bird(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    """Draw a standing bird from the side: egg-shaped body, neck, bill, folded wing, tail, two legs."""
    plump, legs, neck, bill = traits["plump"], traits["legs"], traits["neck"], traits["bill"]
    stride = rng.uniform(0.04, 0.2)
    ground = plump + legs
    steps = ((0.02, 0.02 - stride), (0.1, 0.1 + stride))
    lines = [
        [(x, 0.5 * plump), (x - 0.06, 0.5 * (plump + ground)), (to, ground), (to + 0.13, ground)] for x, to in steps
    ]
    canvas.stroke([np.array(line) for line in lines], 0.045, coat.limbs)
    tail = [
        (-0.3, -0.1),
        (-0.42 - traits["tail"], 0.1 - 0.3 * rng.uniform()),
        (-0.38 - traits["tail"], 0.2),
        (-0.3, 0.2),
    ]
    canvas.fill(np.array(tail), shade(coat.accent, 0.8), relief=110)
    nod = rng.normal(0, 0.06)
    head = np.array([0.42 + 0.25 * neck + nod, -0.35 * plump - neck])
    throat = rounded([(0.2, -0.1), (0.42, -0.25 * plump - 0.5 * neck), head], closed=False)
    canvas.fill(tapered(throat, 0.75 * plump, 0.1), coat.base, relief=150)
    canvas.fill(head + [(0.08, -0.06), (0.14 + bill, 0.02 + nod), (0.08, 0.07)], coat.limbs, relief=150)
    body = rounded(
        [(0.5, -0.1), (0.2, -plump), (-0.25, -0.75 * plump), (-0.5, 0.02), (-0.2, 0.75 * plump), (0.25, plump)]
    )
    canvas.fill(body, coat.base, relief=225)
    paint_belly(canvas, body, coat)
    wing = rounded(
        [(0.28, -0.35 * plump), (-0.1, -0.6 * plump), (-0.58, 0.08), (-0.15, 0.4 * plump), (0.2, 0.2 * plump)]
    )
    canvas.fill(wing, shade(coat.base, 0.85), relief=245)
    paint_markings(canvas, wing, coat, rng)
    canvas.fill(oval(head, (0.16, 0.145)), coat.accent if traits["cap"] else coat.base, relief=215)
    canvas.dot(head[0] + 0.05, head[1] - 0.03, 0.035, BLACK)


def quadruped(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    """Draw a four-legged animal from the side: barrel, neck, head with ears or horns, tail, legs in some stride."""
    bulk, legs, neck = traits["bulk"], traits["legs"], traits["neck"]
    _walk(canvas, coat, (-0.45, -0.3, 0.3, 0.45), bulk, legs, rng)
    droop = rng.uniform(0.2, 1.0)
    tail = rounded(
        [(-0.5, -0.5 * bulk), (-0.62, -0.5 * bulk), (-0.66, -0.5 * bulk + traits["tail"] * droop)], closed=False
    )
    canvas.stroke([tail], 0.05, coat.base)
    lift = rng.normal(0, 0.07)
    head = np.array([0.62 + 0.4 * neck, -0.3 * bulk - neck + lift])
    _horns_and_ears(canvas, coat, traits, head)
    throat = rounded([(0.35, -0.3 * bulk), (0.55, -0.4 * bulk - 0.45 * neck), head], closed=False)
    canvas.fill(tapered(throat, 0.62 * bulk, 0.13), coat.base, relief=190)
    body = rounded([(0.6, -0.5 * bulk), (0.3, -bulk), (-0.3, -0.95 * bulk), (-0.6, -0.6 * bulk), (-0.58, 0.5 * bulk),
                    (-0.2, 0.8 * bulk), (0.3, 0.85 * bulk), (0.58, 0.4 * bulk)])  # fmt: skip
    canvas.fill(body, coat.base, relief=225)
    paint_markings(canvas, body, coat, rng)
    muzzle = traits["muzzle"]
    face = rounded([(-0.14, -0.12), (0.1, -0.14), (0.12 + muzzle, 0.02), (0.1 + muzzle, 0.15), (-0.08, 0.15)])
    canvas.fill(face + head, coat.base, relief=235)
    canvas.dot(head[0] + 0.06, head[1] - 0.02, 0.03, BLACK)


def _walk(
    canvas: Canvas, coat: Coat, roots: tuple[float, ...], bulk: float, legs: float, rng: np.random.Generator
) -> None:
    swing = rng.uniform(0.02, 0.16)
    for i, x in enumerate(roots):
        step = swing * (1 if i % 2 else -1)
        leg = np.array([(x, 0.3 * bulk), (x - 0.03, bulk + 0.4 * legs), (x + step, 0.75 * bulk + legs)])
        colour = shade(coat.base, 0.7) if i in (1, 2) else coat.base
        canvas.fill(tapered(rounded(leg, closed=False, rounds=2), 0.11, 0.05), colour, relief=140)
        canvas.dot(x + step, 0.75 * bulk + legs, 0.06, shade(coat.limbs, 0.7))


def _horns_and_ears(canvas: Canvas, coat: Coat, traits: Traits, head: np.ndarray) -> None:
    for offset in (-0.08, 0.06):
        if traits["horns"]:
            tip = (offset - 0.05, -0.16 - traits["horns"])
            curve = rounded([(offset, -0.05), (offset + 0.14, -0.1 - 0.5 * traits["horns"]), tip], closed=False)
            canvas.fill(tapered(curve + head, 0.05, 0.012), coat.limbs, relief=170)
        if traits["ears"]:
            ear = rounded(
                [(offset - 0.06, -0.05), (offset - 0.12, -0.1 - traits["ears"]), (offset + 0.08, -0.08)], rounds=2
            )
            canvas.fill(ear + head, shade(coat.base, 0.85), relief=150)
