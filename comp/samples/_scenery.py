"""Place and light of the drawn sample: a textured background, the animal's shading and shadow, weather and camera."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from comp.samples._canvas import Colour, colour_of, ring

Texture = Callable[[np.random.Generator, np.ndarray, Colour], None]

# Hue, saturation and value of the far and the near colour of a place: leaves, moss, sand, sea, deep, stone, soil, dusk.
_PLACES = (
    ((95, 0.45, 0.55), (130, 0.5, 0.28)),
    ((70, 0.45, 0.5), (100, 0.4, 0.3)),
    ((42, 0.35, 0.85), (32, 0.4, 0.6)),
    ((195, 0.5, 0.75), (210, 0.6, 0.45)),
    ((205, 0.6, 0.42), (225, 0.65, 0.2)),
    ((210, 0.08, 0.68), (30, 0.1, 0.45)),
    ((28, 0.45, 0.45), (20, 0.5, 0.25)),
    ((20, 0.3, 0.78), (280, 0.2, 0.45)),
)


def background(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return (height, width, 3) uint8: a place that tells nothing of the animal in front of it."""
    far, near = _PLACES[rng.integers(len(_PLACES))]
    turn, bright = rng.normal(0, 12), rng.uniform(0.75, 1.2)
    colours = [colour_of(h + turn, s * rng.uniform(0.6, 1.2), v * bright) for h, s, v in (far, near)]
    blend = np.clip(_clouds(rng, height, width) + np.linspace(-0.3, 0.3, height)[:, None] + 0.5, 0, 1)[..., None]
    first, second = (np.asarray(colour, np.float32) for colour in colours)
    scene = np.clip(first + (second - first) * blend.astype(np.float32), 0, 255).astype(np.uint8)
    for texture in rng.permutation(len(_TEXTURES))[: rng.integers(1, 3)]:
        _TEXTURES[texture](rng, scene, colours[rng.integers(2)])
    return _out_of_focus(rng, scene)


def _clouds(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    coarse = rng.normal(0, 0.3, (4, 4)).astype(np.float32)
    fine = rng.normal(0, 0.12, (14, 14)).astype(np.float32)
    grown = [cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) for grid in (coarse, fine)]
    return grown[0] + grown[1]


def _out_of_focus(rng: np.random.Generator, scene: np.ndarray) -> np.ndarray:
    sigma = rng.uniform(0, 0.025) * max(scene.shape)
    return cv2.GaussianBlur(scene, (0, 0), sigma) if sigma > 0.4 else scene


def _varied(rng: np.random.Generator, colour: Colour, spread: float = 0.3) -> Colour:
    red, green, blue = np.clip(np.asarray(colour) * rng.uniform(1 - spread, 1 + spread) + rng.normal(0, 8, 3), 0, 255)
    return float(red), float(green), float(blue)


def _blades(rng: np.random.Generator, scene: np.ndarray, colour: Colour) -> None:
    height, width = scene.shape[:2]
    for _ in range(rng.integers(8, 26)):
        root = rng.uniform(-0.1, 1.1) * width
        lean = rng.normal(0, 0.15) * width
        tip = height * rng.uniform(-0.1, 0.8)
        line = np.array([[root, height], [root + 0.3 * lean, (height + tip) / 2], [root + lean, tip]])
        thick = int(rng.integers(1, max(3, width // 22)))
        cv2.polylines(scene, [line.astype(np.int32)], False, _varied(rng, colour), thick, cv2.LINE_AA)


def _pebbles(rng: np.random.Generator, scene: np.ndarray, colour: Colour) -> None:
    height, width = scene.shape[:2]
    for x, y, size in rng.uniform((0, 0.1, 0.02), (1, 1, 0.11), (rng.integers(10, 34), 3)):
        axes = (max(2, round(size * width)), max(2, round(0.7 * size * width)))
        centre = (round(x * width), round(y * height))
        cv2.ellipse(scene, centre, axes, rng.uniform(-30, 30), 0, 360, _varied(rng, colour), -1, cv2.LINE_AA)


def _glints(rng: np.random.Generator, scene: np.ndarray, colour: Colour) -> None:
    height, width = scene.shape[:2]
    over = scene.copy()
    for x, y, size in rng.uniform((0, 0, 0.03), (1, 1, 0.12), (rng.integers(4, 16), 3)):
        cv2.circle(
            over, (round(x * width), round(y * height)), round(size * width), _varied(rng, colour, 0.6), -1, cv2.LINE_AA
        )
    cv2.addWeighted(over, 0.6, scene, 0.4, 0, dst=scene)


def _ripples(rng: np.random.Generator, scene: np.ndarray, colour: Colour) -> None:
    height, width = scene.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / width
    angle, pitch = rng.uniform(-0.5, 0.5), rng.uniform(20, 60)
    phase = pitch * (y * np.cos(angle) + x * np.sin(angle)) + 1.5 * np.sin(rng.uniform(4, 10) * x)
    waves = (rng.uniform(8, 22) * np.sin(phase))[..., None] * (np.asarray(colour, np.float32) / 160)
    scene[:] = np.clip(scene + waves, 0, 255).astype(np.uint8)


def _speckles(rng: np.random.Generator, scene: np.ndarray, colour: Colour) -> None:
    del colour
    grains = cv2.blur(rng.normal(0, rng.uniform(12, 32), scene.shape[:2]).astype(np.float32), (2, 2))[..., None]
    scene[:] = np.clip(scene + grains, 0, 255).astype(np.uint8)


_TEXTURES: tuple[Texture, ...] = (_blades, _pebbles, _glints, _ripples, _speckles)


def compose(rng: np.random.Generator, layer: np.ndarray, scene: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the animal in its place, lit from one side, with its shadow, partly overgrown; and where it is.

    Args:
        layer: (H', W', 4) uint8 of `Canvas`, drawn larger than the scene.
        scene: (H, W, 3) uint8 of `background`.

    Returns:
        (H, W, 3) float32 about 0..255 and (H, W) uint8.
    """
    light = ring(1, rng.uniform(np.pi, 2 * np.pi))[0]
    animal = cv2.resize(layer, scene.shape[1::-1], interpolation=cv2.INTER_AREA)
    where = np.where(layer[..., 3] > 0, np.uint8(255), np.uint8(0))
    alpha = cv2.resize(where, scene.shape[1::-1], interpolation=cv2.INTER_AREA)
    solid = alpha[..., None].astype(np.float32) / 255
    ground = scene * _shadow(rng, solid, light)
    lit = animal[..., :3] * _emboss(animal[..., 3], light, rng.uniform(0.5, 1.1))
    picture = ground * (1 - solid) + lit  # colours are 0 beside the animal, so shrinking has already weighed them
    return _overgrown(rng, picture) * _sunlight(rng, *alpha.shape), alpha


def _shadow(rng: np.random.Generator, solid: np.ndarray, light: np.ndarray) -> np.ndarray:
    height, width = solid.shape[:2]
    distance = rng.uniform(0.01, 0.06) * width
    shift = np.array([[1, 0, -light[0] * distance], [0, 1, -light[1] * distance]])
    cast = cv2.warpAffine(solid[..., 0], shift, (width, height))
    soft = cv2.GaussianBlur(cast, (0, 0), 0.015 * width + 0.3)[..., None]
    factor: np.ndarray = 1 - np.float32(rng.uniform(0.15, 0.55)) * soft
    return factor


def _emboss(relief: np.ndarray, light: np.ndarray, depth: float) -> np.ndarray:
    """Return (H, W, 1) float32: how bright each point is, light coming from the direction `light`."""
    side = max(relief.shape)
    sharp = cv2.GaussianBlur(relief.astype(np.float32), (0, 0), 0.008 * side + 0.25)
    round_ = cv2.GaussianBlur(relief.astype(np.float32), (0, 0), 0.035 * side + 0.25)
    height = 0.25 * sharp + round_
    across, down = cv2.Sobel(height, cv2.CV_32F, 1, 0), cv2.Sobel(height, cv2.CV_32F, 0, 1)
    facing = -(across * light[0] + down * light[1]) * (side / 20000) * depth  # what falls off towards the light is lit
    factor: np.ndarray = np.clip(1 + facing, 0.45, 1.5)[..., None].astype(np.float32)
    return factor


def _overgrown(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Draw a few blades in front of the animal, now and then."""
    if rng.uniform() > 0.16:
        return picture
    height, width = picture.shape[:2]
    colour = colour_of(rng.uniform(60, 150), rng.uniform(0.2, 0.6), rng.uniform(0.2, 0.6))
    for _ in range(rng.integers(1, 4)):
        start, stop = rng.uniform(0, 1, 2) * width
        thick = int(rng.integers(1, 3 + width // 30))
        tip = (round(stop), round(rng.uniform(0, 0.5) * height))
        cv2.line(picture, (round(start), height), tip, colour, thick, cv2.LINE_AA)
    return picture


def _sunlight(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return (H, W, 3): brightness falling off to one side and the corners, times a white balance that is a little off."""
    x, y = np.linspace(-1, 1, width, dtype=np.float32)[None, :], np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    to_side = rng.normal(0, 0.12) * x + rng.normal(0, 0.12) * y
    corners = rng.uniform(0, 0.16) * (x * x + y * y)
    tone = (rng.uniform(0.72, 1.2) * rng.normal(1, 0.045, 3)).astype(np.float32)
    light: np.ndarray = (1 + to_side - corners)[..., None].astype(np.float32) * tone
    return light


def expose(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) uint8: the picture as a camera would have it, a little soft and noisy."""
    if rng.uniform() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.1))
    grain = rng.standard_normal(picture.shape, dtype=np.float32)
    grain += 1.2 * grain[..., 1:2]  # most of a sensor's noise is in the brightness
    noisy = picture + np.float32(rng.uniform(1, 4.5)) * grain
    exposed: np.ndarray = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return exposed
