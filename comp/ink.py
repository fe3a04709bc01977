"""Augmentation fit for ink: a strip of writing sheared, stretched, bent, thickened and soiled, by its own seed alone.

Behind the one knob of `comp.augment.policy`; what comes out may be of another width. Amplitudes grow linearly with strength;
of strokes it is the chance that grows.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import cv2
import numpy as np

SHEAR = 0.45  # slant: shift of the top against the bottom, in heights, either way
ROTATION = 0.05  # rise over the width, either way
WIDER, LOWER = 0.35, 0.30  # natural logarithm of the widest stretch and of the strongest flattening
LIFT = 0.06  # shift up or down, in heights
BEND = 0.07  # deviation of the elastic bending, in heights
BEND_EVERY = 12  # pixels between its knots
GREY = 0.40  # natural logarithm of the strongest contrast
LIGHT, GRAIN = 25.0, 8.0  # grey levels: paper lighter or darker, deviation of its grain
CHANCE = {"bend": 0.7, "stroke": 0.35}  # at strength 1; they grow with the square root of strength
NARROWEST = 8  # pixels


def drawn(strip: np.ndarray, strength: float, allowed: AbstractSet[str], seed: int) -> np.ndarray:
    """Return a strip as its seed has it; nothing that is not allowed happens, strength 0 gives the very same array.

    Args:
        strip: (H, W, C) uint8, dark on light; never written to.
        strength: 0 to 1.
        allowed: Subset of `shear`, `stretch`, `stroke`, `noise`; others are of no concern here.
        seed: All that what happens depends on, besides the strip.

    Returns:
        (H, W2, C) uint8.
    """
    if strength == 0 or not allowed:
        return strip
    random = np.random.default_rng(seed)
    paper = float(np.median(strip))
    ink = np.ascontiguousarray(strip)
    if allowed & {"shear", "stretch"}:
        ink = _warped(ink, strength, allowed, paper, random)
    if "stretch" in allowed and random.random() < CHANCE["bend"] * strength**0.5:
        ink = _bent(ink, strength, paper, random)
    if "stroke" in allowed and random.random() < CHANCE["stroke"] * strength**0.5:
        ink = _thickened(ink, random)
    if "noise" in allowed:
        ink = _soiled(ink, strength, paper, random)
    return ink.reshape(len(strip), -1, strip.shape[2])


def _warped(
    ink: np.ndarray, strength: float, allowed: AbstractSet[str], paper: float, random: np.random.Generator
) -> np.ndarray:
    """Return the strip slanted, turned a little, stretched and lifted, as one affine map about its middle."""
    height, width = ink.shape[:2]
    of_shear = strength if "shear" in allowed else 0.0
    of_stretch = strength if "stretch" in allowed else 0.0
    slant, turn = random.uniform(-SHEAR, SHEAR) * of_shear, random.uniform(-ROTATION, ROTATION) * of_shear
    wider = np.exp(random.uniform(-WIDER, WIDER) * of_stretch)
    higher = np.exp(random.uniform(-LOWER, LOWER / 3) * of_stretch)
    lift = random.uniform(-0.5, 0.5) * height * abs(1 - higher) + random.uniform(-LIFT, LIFT) * height * of_stretch
    new_width = max(NARROWEST, round(width * wider + abs(slant) * height / 2))
    across = new_width / 2 - wider * width / 2 - slant * height / 2
    down = height / 2 - higher * height / 2 - turn * width / 2 + lift
    matrix = np.array([[wider, slant, across], [turn, higher, down]])
    return cv2.warpAffine(ink, matrix, (new_width, height), flags=cv2.INTER_LINEAR, borderValue=[paper] * 4)


def _bent(ink: np.ndarray, strength: float, paper: float, random: np.random.Generator) -> np.ndarray:
    """Return the strip on paper that is no longer flat.

    Source: Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied to visual document
    analysis" (ICDAR 2003), with knots in the place of a blurred field.
    """
    height, width = ink.shape[:2]
    knots = (2, 3, max(3, width // BEND_EVERY))
    fields = random.normal(0, BEND * strength * height, knots).astype(np.float32)
    over, down = (cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC) for field in fields)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.asarray(cv2.remap(ink, x + over, y + down, cv2.INTER_LINEAR, borderValue=[paper] * 4))


def _thickened(ink: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the strip with strokes a part of a pixel thicker or thinner."""
    change = cv2.erode if random.random() < 0.5 else cv2.dilate
    share = random.random()
    return np.asarray(cv2.addWeighted(ink, 1 - share, change(ink, np.ones((2, 2), np.uint8)), share, 0))


def _soiled(ink: np.ndarray, strength: float, paper: float, random: np.random.Generator) -> np.ndarray:
    """Return the strip with fainter or darker ink, lighter or darker paper, and grain."""
    contrast = np.exp(random.uniform(-GREY, GREY) * strength)
    light = paper + random.uniform(-LIGHT, LIGHT) * strength
    grain = random.normal(0, GRAIN * strength * random.random(), ink.shape)
    soiled = np.clip(light + (ink - paper) * contrast + grain, 0, 255)
    return np.asarray(soiled, np.uint8)
