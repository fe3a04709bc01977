"""What all body plans of the drawn sample share: what a plan is, and the colours and markings that body parts are given.

Body coordinates run about -1..1, head towards +x, back towards -y.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from comp.samples._canvas import Canvas, Colour, oval, shade

BLACK = (18.0, 14.0, 14.0)
WHITE = (238.0, 236.0, 226.0)


@dataclass(frozen=True)
class Coat:
    """Colours and markings of one animal.

    Attributes:
        base, accent: Colour of its body, and of markings, fins, shells and the like.
        markings: One of `plain`, `bands`, `spots`, `saddle` (a darker back), `line` (along the middle).
        size: Of the markings, about 1.
        limbs: Colour of what it walks, swims or catches with.
    """

    base: Colour
    accent: Colour
    markings: str
    size: float
    limbs: Colour


# Proportions by name: whole numbers count parts, the others are in body units.
Traits = Mapping[str, float]
# Draws an animal of such a coat and such proportions on a canvas.
Plan = Callable[[Canvas, Coat, Traits, np.random.Generator], None]


def paint_markings(canvas: Canvas, part: np.ndarray, coat: Coat, rng: np.random.Generator) -> None:
    """Draw the coat's markings on a part that is already filled.

    Args:
        part: (N, 2) outline of the part in body coordinates.
    """
    if coat.markings == "plain":
        return
    low, high = part.min(axis=0), part.max(axis=0)
    marks = {"bands": _bands, "spots": _spots, "saddle": _saddle, "line": _line}[coat.markings]
    canvas.tint(part, marks(low, high, coat.size, rng), coat.accent)


def paint_belly(canvas: Canvas, part: np.ndarray, coat: Coat) -> None:
    """Make the lower third of a part paler, as light does not: most animals of open water and air are."""
    low, high = part.min(axis=0), part.max(axis=0)
    middle, reach = (low + high) / 2, high - low
    belly = oval((middle[0], high[1]), reach * (0.6, 0.36))
    canvas.tint(part, [belly], shade(coat.base, 1.5), 0.6)


def _bands(low: np.ndarray, high: np.ndarray, size: float, rng: np.random.Generator) -> list[np.ndarray]:
    reach = high - low
    pitch = 0.2 * size * max(reach)
    starts = np.arange(low[0] + rng.uniform(0.2, 0.8) * pitch, high[0], pitch)
    lean = rng.normal(0, 0.12) * reach[1]
    thick = rng.uniform(0.38, 0.5) * pitch
    return [
        np.array([[x, low[1]], [x + thick, low[1]], [x + thick + lean, high[1]], [x + lean, high[1]]]) for x in starts
    ]


def _spots(low: np.ndarray, high: np.ndarray, size: float, rng: np.random.Generator) -> list[np.ndarray]:
    reach = high - low
    radius = 0.075 * size * np.sqrt(np.prod(reach))
    count = int(np.clip(0.12 * np.prod(reach) / radius**2, 4, 26))
    places = rng.uniform(low, high, (count, 2))
    return [oval(place, radius * rng.uniform(0.7, 1.3, 2), n=10) for place in places]


def _saddle(low: np.ndarray, high: np.ndarray, size: float, rng: np.random.Generator) -> list[np.ndarray]:
    reach = high - low
    middle = (low + high) / 2
    top = (middle[0] + rng.normal(0, 0.05) * reach[0], low[1])
    return [oval(top, reach * (0.4 * size, 0.45))]


def _line(low: np.ndarray, high: np.ndarray, size: float, rng: np.random.Generator) -> list[np.ndarray]:
    middle = (low[1] + high[1]) / 2 + rng.normal(0, 0.02)
    half = 0.09 * size * (high[1] - low[1])
    return [
        np.array([[low[0], middle - half], [high[0], middle - half], [high[0], middle + half], [low[0], middle + half]])
    ]
