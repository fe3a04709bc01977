"""Body plans of the drawn sample: one function a plan draws an animal of given proportions and coat on a canvas.

Body coordinates run about -1..1, head towards +x, back towards -y. Arthropods and echinoderms are seen from above, the
others from the side. Traits that are whole numbers count parts; the others are proportions in body units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from comp.samples._canvas import Canvas, oval, ring, rounded, shade, tapered
from comp.samples._coat import Coat, paint_belly, paint_markings

Traits = Mapping[str, float]
Plan = Callable[[Canvas, Coat, Traits, np.random.Generator], None]

_BLACK = (18.0, 14.0, 14.0)
_WHITE = (238.0, 236.0, 226.0)


def arthropod(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    """Draw a chain of segments from above, with pairs of jointed legs, and feelers, claws and a tail as the traits say."""
    widths = _segment_widths(traits)
    halves = traits["length"] * widths**0.6 / np.sum(widths**0.6)
    along = 2 * np.cumsum(halves) - halves - traits["length"]
    _legs(canvas, coat, traits, rng)
    _head_gear(canvas, coat, traits, rng)
    if traits["tail"]:
        end = np.array([[-0.9, 0.0], [-0.9 - traits["tail"], rng.normal(0, 0.1)]]) * (traits["length"], 1)
        canvas.fill(tapered(np.linspace(*end, 6), 0.06, 0.01), coat.limbs)
    for i, (x, half, width) in enumerate(zip(along, halves, widths, strict=True)):
        part = oval(x, 0, 1.25 * half, width, n=16)
        canvas.fill(part, coat.accent if coat.markings == "bands" and i % 2 else coat.base, relief=210)
        if coat.markings in ("spots", "line") and (len(widths) < 6 or i % 2):
            paint_markings(canvas, part, coat, rng)
    for side in (-1, 1):
        canvas.dot(traits["length"] - 0.4 * halves[-1], side * 0.5 * widths[-1], 0.035, _BLACK)


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
            feeler = rounded([(front - 0.08, 0.05 * side), (front + 0.5 * traits["feelers"], 0.1 * side), tip], closed=False)
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


def snail(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    """Draw a creeping foot with feelers from the side and, as the traits say, a coiled or a towering shell on it."""
    foot = traits["foot"]
    rise = 0.14 + 0.1 * rng.uniform()
    outline = rounded([(-0.95, 0.5), (-0.5, 0.5 - foot), (0.3, 0.46 - foot), (0.62, 0.5 - foot - rise), (0.9, 0.42 - foot),
                       (0.85, 0.5), (0, 0.54)])  # fmt: skip
    for offset in (0.0, 0.12):
        tip = (0.86 + offset + rng.normal(0, 0.04), 0.42 - foot - rise - traits["feelers"] + rng.normal(0, 0.03))
        canvas.stroke([np.array([(0.7 + 0.6 * offset, 0.46 - foot), tip])], 0.035, coat.limbs)
        canvas.dot(*tip, 0.035, _BLACK)
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
    spiral = np.stack([np.cos(angles) * radius, np.sin(angles) * radius], axis=1) * (1, 1) + at
    canvas.stroke([spiral], 0.05, shade(coat.base, 0.5), relief=120)


def _tower(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator, foot: float) -> None:
    n = int(traits["whorls"])
    start, lean = np.array([0.28, 0.34 - foot]), np.deg2rad(rng.normal(205, 9))
    step = np.array([np.cos(lean), np.sin(lean)]) * traits["tower"]
    for i in reversed(range(n)):
        share = 1 - i / n
        centre = start + step * (i / n) * (2 - i / n) * 0.75
        whorl = oval(*centre, 0.27 * share + 0.02, 0.3 * share + 0.02, n=18)
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
    canvas.fill(oval(0.38, 0.2, 0.26, 0.24), coat.limbs, relief=170)
    _coil(canvas, coat, traits, rng, at=(-0.2, -0.06))
    canvas.dot(0.46, 0.1, 0.085, _WHITE)
    canvas.dot(0.47, 0.1, 0.045, _BLACK)


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
    canvas.dot(0.55, -0.16 * depth, 0.06, _WHITE)
    canvas.dot(0.56, -0.16 * depth, 0.035, _BLACK)


def bird(canvas: Canvas, coat: Coat, traits: Traits, rng: np.random.Generator) -> None:
    """Draw a standing bird from the side: egg-shaped body, neck, bill, folded wing, tail, two legs."""
    plump, legs, neck, bill = traits["plump"], traits["legs"], traits["neck"], traits["bill"]
    stride = rng.uniform(0.04, 0.2)
    ground = plump + legs
    lines = [np.array([(x, 0.5 * plump), (x - 0.06, 0.5 * (plump + ground)), (x + step, ground), (x + step + 0.13, ground)])
             for x, step in ((0.02, -stride), (0.1, stride))]  # fmt: skip
    canvas.stroke(lines, 0.045, coat.limbs)
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
    canvas.fill(oval(*head, 0.16, 0.145), coat.accent if traits["cap"] else coat.base, relief=215)
    canvas.dot(head[0] + 0.05, head[1] - 0.03, 0.035, _BLACK)


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
    canvas.dot(head[0] + 0.06, head[1] - 0.02, 0.03, _BLACK)


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
    canvas.tint(bell, [oval(0, -0.1 - 0.55 * height, 0.45 * width, 0.25 * height)], shade(coat.base, 1.5), 0.5)


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
    arms = np.linspace(-1.25, 1.25, int(traits["arms"])) + rng.normal(0, 0.05)
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
    canvas.fill(oval(0, top, 0.85 * width, 0.1), shade(coat.base, 0.7), relief=190)


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
        canvas.fill(oval(*tip, 0.055, 0.055, n=8), coat.accent, relief=230)


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
    canvas.tint(arm, [oval(x, y, size * wide, size * wide, n=8) for x, y in line[3::2]], coat.accent)


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
    rays = [rounded(ring(5) * (0.36 * disc, 0.13 * disc * coat.size) + (0.5 * disc, 0)) @ _turn(2 * np.pi * k / 5)
            for k in range(5)]  # fmt: skip
    canvas.tint(body, rays, coat.accent)


def _turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
