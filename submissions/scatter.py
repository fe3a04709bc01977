"""CV against the public score, with intervals, as an SVG: whether the folds can be believed, at one look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from comp.store import write_text
from submissions.standing import NORMAL_95, Standing

SIDE, MARGIN = 480, 70
INK, BAR = "#1f3b57", "#9db4c8"


def write_scatter(path: Path, title: str, found: Sequence[Standing]) -> Path | None:
    """Write a point for each submission with both scores and return the path, or None where there is none.

    Bars are 95 % intervals; the dashed line is where both scores are equal.
    """
    points = [(one, one.cv, one.public) for one in found if one.cv is not None and one.public is not None]
    if not points:
        return None
    scale = _scale([value for one, cv, public in points for value in _ends(one, cv, public)])
    shapes = [_point(one, cv, public, scale) for one, cv, public in points]
    write_text(path, _frame(title, scale, shapes))
    return path


def _ends(one: Standing, cv: float, public: float) -> list[float]:
    x, y = NORMAL_95 * (one.cv_se or 0.0), NORMAL_95 * (one.lb_se or 0.0)
    return [cv - x, cv + x, public - y, public + y]


@dataclass(frozen=True)
class Scale:
    """Both axes: the scores at their ends."""

    low: float
    high: float

    def place(self, value: float) -> float:
        """Return where a score lies on the horizontal axis, in units of the picture."""
        return MARGIN + (value - self.low) / (self.high - self.low) * (SIDE - 2 * MARGIN)


def _scale(values: Sequence[float]) -> Scale:
    low, high = min(values), max(values)
    air = 0.08 * (high - low) or 0.05 * abs(high) or 0.05
    return Scale(low - air, high + air)


def _point(one: Standing, cv: float, public: float, scale: Scale) -> str:
    left, right, bottom, top = (scale.place(value) for value in _ends(one, cv, public))
    x, y = scale.place(cv), SIDE - scale.place(public)
    bottom, top = SIDE - bottom, SIDE - top
    name = escape(f"{one.event.reference}: CV {cv:.4f}, public {public:.5f} {one.event.message}")
    return (
        f'<g><title>{name}</title><path d="M{left:.1f} {y:.1f}H{right:.1f}M{x:.1f} {bottom:.1f}V{top:.1f}" '
        f'stroke="{BAR}" stroke-width="2"/><circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{INK}"/>'
        f'<text x="{x + 8:.1f}" y="{y - 8:.1f}">{escape(one.event.reference)}</text></g>'
    )


def _frame(title: str, scale: Scale, shapes: Sequence[str]) -> str:
    ticks = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = scale.low + share * (scale.high - scale.low)
        at = scale.place(value)
        ticks.append(f'<text x="{at:.1f}" y="{SIDE - MARGIN + 20}" text-anchor="middle">{value:.4g}</text>')
        ticks.append(f'<text x="{MARGIN - 8}" y="{SIDE - at + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    near, far = MARGIN, SIDE - MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}" font-family="sans-serif" font-size="12">',
            f'<rect width="{SIDE}" height="{SIDE}" fill="white"/>',
            f'<text x="{SIDE / 2}" y="30" text-anchor="middle" font-size="15">{escape(title)}</text>',
            f'<path d="M{near} {near}V{far}H{far}" fill="none" stroke="black"/>',
            f'<path d="M{near} {far}L{far} {near}" stroke="{BAR}" stroke-dasharray="5 5"/>',
            f'<text x="{SIDE / 2}" y="{SIDE - 20}" text-anchor="middle">CV score, 95 % interval</text>',
            f'<text transform="translate(18 {SIDE / 2}) rotate(-90)" text-anchor="middle">public score, 95 % interval</text>',
            *ticks,
            *shapes,
            "</svg>\n",
        ]
    )
