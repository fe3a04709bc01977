"""Ink and paper of the drawn sample: a posed animal's parts become coloured, embossed shapes on one layer of pixels."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

Colour = tuple[float, float, float]

_SHIFT = 4  # OpenCV takes vertices as integers with this many binary digits after the point


def colour_of(hue: float, saturation: float, value: float) -> Colour:
    """Return a colour as RGB 0..255, from a hue in degrees (any turn) and a saturation and value that are clipped to 0..1."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 360 / 360, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))
    return 255 * red, 255 * green, 255 * blue


def shade(colour: Colour, factor: float) -> Colour:
    """Return a colour made darker (factor below 1) or lighter."""
    red, green, blue = (min(255.0, factor * part) for part in colour)
    return red, green, blue


def ring(n: int, start: float = 0.0, stop: float = 2 * np.pi) -> np.ndarray:
    """Return (n, 2) points on the unit circle, from angle `start` up to, and without, `stop`."""
    angles = np.linspace(start, stop, n, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def oval(centre: ArrayLike, halves: ArrayLike, n: int = 24) -> np.ndarray:
    """Return (n, 2) points on an ellipse around a body point, half as wide and high as `halves` (one number: a circle)."""
    outline: np.ndarray = ring(n) * np.asarray(halves) + np.asarray(centre)
    return outline


def rounded(corners: Sequence[ArrayLike] | np.ndarray, closed: bool = True, rounds: int = 3) -> np.ndarray:
    """Return (N, 2) points of a line through rounded corners; an open one keeps its two ends.

    Source: Chaikin 1974, "An algorithm for high-speed curve generation".
    """
    points = np.asarray(corners, dtype=np.float64)
    for _ in range(rounds):
        following = np.roll(points, -1, axis=0) if closed else points[1:]
        first = points if closed else points[:-1]
        cut = np.stack([0.75 * first + 0.25 * following, 0.25 * first + 0.75 * following], axis=1).reshape(-1, 2)
        points = cut if closed else np.concatenate([points[:1], cut, points[-1:]])
    return points


def tapered(line: np.ndarray, first: float, last: float) -> np.ndarray:
    """Return (2N, 2) the outline of a line whose half-width falls evenly from `first` to `last`.

    Args:
        line: (N, 2) points, N at least 2.
    """
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    across = along[:, ::-1] * (-1, 1) * np.linspace(first, last, len(line))[:, None]
    return np.concatenate([line + across, (line - across)[::-1]])


@dataclass(frozen=True)
class Pose:
    """Where body coordinates (about -1..1, head towards +x, back towards -y) land on the canvas.

    Attributes:
        matrix: (2, 2) turn, scale, mirror and shear, in pixels a body unit.
        centre: (2,) pixels of the body's origin, as x, y.
        bend, wave: How far the body's axis is curved, as an arc and as an S.
    """

    matrix: np.ndarray
    centre: np.ndarray
    bend: float = 0.0
    wave: float = 0.0

    def place(self, points: np.ndarray) -> np.ndarray:
        """Return (N, 2) canvas pixels of (N, 2) body points."""
        x, y = points[:, 0], points[:, 1]
        curved = np.stack([x, y + self.bend * (x * x - 0.3) + self.wave * np.sin(3.4 * x)], axis=1)
        placed: np.ndarray = curved @ self.matrix.T + self.centre
        return placed

    @property
    def unit(self) -> float:
        """Return the pixels of one body unit."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix))))


class Canvas:
    """One layer of pixels that an animal is drawn on, part over part.

    Attributes:
        layer: (H, W, 4) uint8: RGB and relief, which is how far a part stands out; 0 where there is no animal.
    """

    def __init__(self, height: int, width: int, pose: Pose) -> None:
        self.layer = np.zeros((height, width, 4), np.uint8)
        self.pose = pose

    def fill(self, points: np.ndarray, colour: Colour, relief: float = 200, edge: float = 0.62) -> None:
        """Fill an outline of body points; its edge is drawn darker (`edge` of the colour) and lower."""
        vertices = [self._vertices(points)]
        width = max(1, round(0.022 * self.pose.unit))
        cv2.fillPoly(self.layer, vertices, (*colour, relief), shift=_SHIFT)
        cv2.polylines(self.layer, vertices, True, (*shade(colour, edge), 0.55 * relief), width, shift=_SHIFT)

    def stroke(self, lines: Iterable[np.ndarray], width: float, colour: Colour, relief: float = 110) -> None:
        """Draw lines of body points, `width` body units thick, with a dark rim."""
        vertices = [self._vertices(line) for line in lines]
        thick = max(2, round(width * self.pose.unit))
        rim = (*shade(colour, 0.6), 0.6 * relief)
        cv2.polylines(self.layer, vertices, False, rim, thick + 1, shift=_SHIFT)
        cv2.polylines(self.layer, vertices, False, (*colour, relief), max(1, thick - 2), shift=_SHIFT)

    def tint(self, part: np.ndarray, marks: Iterable[np.ndarray], colour: Colour, opacity: float = 0.85) -> None:
        """Colour the marks (outlines of body points) where they lie on the part; the relief stays."""
        outline = self._vertices(part)
        left, top, width, height = cv2.boundingRect(outline >> _SHIFT)
        left, top, right, bottom = max(left, 0), max(top, 0), max(left + width + 1, 0), max(top + height + 1, 0)
        patch = self.layer[top:bottom, left:right]
        if not patch.size:
            return
        corner = np.array([left, top]) << _SHIFT
        on_part = _stencil(patch.shape[:2], [outline - corner])
        on_part &= _stencil(patch.shape[:2], [self._vertices(mark) - corner for mark in marks])
        where = cv2.blur(on_part, (3, 3))[..., None].astype(np.float32) * (opacity / 255)
        rgb = patch[..., :3]
        rgb[:] = np.rint(rgb + (np.asarray(colour, np.float32) - rgb) * where).astype(np.uint8)

    def dot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Draw a small disc, such as an eye; it never gets smaller than can be seen."""
        (place,) = self.pose.place(np.array([[x, y]]))
        size = max(1.6, radius * self.pose.unit)
        centre = (round(place[0] * 2**_SHIFT), round(place[1] * 2**_SHIFT))
        cv2.circle(self.layer, centre, round(size * 2**_SHIFT), (*colour, 220), -1, shift=_SHIFT)

    def _vertices(self, points: np.ndarray) -> np.ndarray:
        vertices: np.ndarray = np.rint(self.pose.place(points) * 2**_SHIFT).astype(np.int32)
        return vertices


def _stencil(shape: tuple[int, ...], outlines: Iterable[np.ndarray]) -> np.ndarray:
    stencil = np.zeros(shape, np.uint8)
    for outline in outlines:  # one call each: fillPoly leaves holes where outlines overlap
        cv2.fillPoly(stencil, [outline.astype(np.int32)], 255, shift=_SHIFT)
    return stencil
