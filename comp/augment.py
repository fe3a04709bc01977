"""The one knob of augmentation: cached pixels in, randomly moved, tinted and cut pixels out, on the way to training.

The only module that imports albumentations (2.0.8, its last MIT release), and only inside a function: 0.7 s that runs
without augmentation never pay. What happens to a photo depends on its own seed alone: workers, batches and order change
nothing.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import numpy.typing as npt

from comp.errors import BadInput
from comp.spec import Symmetry

if TYPE_CHECKING:
    import albumentations

POLICY_VERSION = 1  # raised when the same strength, symmetries and seed give other pixels

# What strength 1 does. Amplitudes grow linearly with strength, so 0.5 moves and tints half as far.
ROTATION = 28.0  # degrees, either way
SHIFT = 0.12  # share of the side, either way, each axis
ZOOM_OUT, ZOOM_IN = 0.25, 0.30  # sides shrink to 0.75, grow to 1.3
LIGHT = 0.35  # factor of brightness and of contrast, 1 - LIGHT to 1 + LIGHT
SATURATION = 0.40  # factor, likewise
HUE = 0.06  # turns of the colour wheel (22 degrees), either way
HOLE = 0.30  # longest side of a cut-out hole, share of the image's side; the shortest is a third of it
MAX_HOLES = 2
# Probabilities at strength 1; they grow with the square root of strength, so at 0.5 they are 0.71 times these.
CHANCE = {"flip": 0.5, "affine": 0.8, "light": 0.8, "colour": 0.5, "cutout": 0.5}

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
_PCG_INCREMENT = 0xDA3E39CB94B95BDB  # any odd constant: it names one of PCG64's streams


@dataclass(frozen=True)
class Policy:
    """What augmentation may do, and how much of it; made by `policy`.

    Promises: image i is changed by what its own seed says only, whatever batch, order, thread, worker or process it
    comes in; what is not in `symmetries` never happens; the input is never written to. Each thread keeps its own
    albumentations chain, because a Compose is not thread-safe. It pickles as its two facts. OpenCV's threads are the
    caller's business: where several workers augment, each calls `cv2.setNumThreads(0)` once.

    Attributes:
        strength: The knob, 0 (identity) to 1.
        symmetries: What may be done: values of `comp.spec.Symmetry`.
    """

    strength: float
    symmetries: frozenset[str]
    _chains: threading.local = field(default_factory=threading.local, init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[Callable[..., Policy], tuple[float, frozenset[str]]]:
        return policy, (self.strength, self.symmetries)

    @property
    def is_identity(self) -> bool:
        """Return whether every image comes out as it went in."""
        return self.strength == 0 or not self.symmetries

    def apply(self, images: npt.NDArray[np.uint8], seeds: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint8]:
        """Return the images, each transformed by its seed; the very same array where the policy is the identity.

        Args:
            images: (B, H, W, C) uint8, C 1 or 3, RGB; may be read-only (a memory map).
            seeds: (B,) whole numbers of 63 bits, as `image_seeds` gives them.

        Returns:
            (B, H, W, C) uint8, a new array, row i from image i.

        Raises:
            BadInput: If shapes or dtypes are others.
        """
        _check(images, seeds)
        if self.is_identity:
            return images
        chain = self._chain(images.shape[-1])
        augmented = np.empty(images.shape, np.uint8)
        for row, seed in enumerate(seeds.tolist()):
            augmented[row] = chain(images[row], seed)
        return augmented

    def apply_to_ink(
        self, strips: Sequence[npt.NDArray[np.uint8]], seeds: npt.NDArray[np.integer[Any]]
    ) -> list[npt.NDArray[np.uint8]]:
        """Return strips of writing, each transformed by its seed; what comes out may be of another width.

        Args:
            strips: B of (H, W, C) uint8, dark on light, each of its own width; may be read-only.
            seeds: (B,) as for `apply`.

        Raises:
            BadInput: If the seeds are others.
        """
        from comp.ink import drawn

        _check_seeds(len(strips), seeds)
        return [
            drawn(strip, self.strength, self.symmetries, int(seed)) for strip, seed in zip(strips, seeds, strict=True)
        ]

    def _chain(self, channels: int) -> _Chain:
        made: dict[int, _Chain] = self._chains.__dict__.setdefault("made", {})
        if channels not in made:
            made[channels] = _Chain(self.strength, self.symmetries, channels)
        return made[channels]


def policy(strength: float, symmetries: frozenset[str]) -> Policy:
    """Return the augmentation policy of a strength, bounded by what leaves a label true.

    Args:
        strength: 0 (identity, byte for byte) to 1 (the strongest that is reasonable for photos).
        symmetries: Subset of `comp.spec.Symmetry`; `hue` covers saturation and does nothing to grey images.

    Raises:
        BadInput: If strength lies outside 0..1, or a symmetry is unknown.
    """
    if not 0 <= strength <= 1:
        raise BadInput(f"augmentation strength {strength}: expected a number from 0 (none) to 1 (strongest)")
    known = get_args(Symmetry)
    if unknown := sorted(set(symmetries) - set(known)):
        raise BadInput(f"symmetry {unknown[0]!r} is unknown: expected some of {', '.join(known)}")
    return Policy(float(strength), frozenset(symmetries))


def image_seeds(seed: int, epoch: int, indices: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    """Return one 63-bit seed a row, a hash of (seed, epoch, row index) and of nothing else.

    Args:
        seed: The run's seed, any whole number (its lowest 64 bits count).
        epoch: Counted from 0.
        indices: (B,) row indices in the table, from 0.

    Returns:
        (B,) int64, 0 to 2**63 - 1, in the order of `indices`.

    Source: splitmix64, "Fast Splittable Pseudorandom Number Generators" (Steele, Lea and Flood, OOPSLA 2014), with the
    constants of Stafford's variant 13; one step takes in the epoch, one the row, one mixes what came out.
    """
    state = np.full(1, seed & _MASK, np.uint64)
    for number in (np.full(1, epoch & _MASK, np.uint64), np.asarray(indices).astype(np.uint64)):
        state = _splitmix(_splitmix(state) ^ number)
    return (state >> np.uint64(1)).astype(np.int64)


def _splitmix(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return each state's next output of splitmix64; unsigned arrays wrap around silently, as it needs."""
    mixed = state + np.uint64(_GOLDEN)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


class _Chain:
    """One thread's albumentations chain, whose random sources are set anew for every image.

    `Compose.set_random_seed` makes two generators a transform (78 microseconds for this chain), and gives all
    transforms the same draws: what is flipped would always be rotated too. Here all share two sources, set in place (5
    microseconds).
    """

    def __init__(self, strength: float, symmetries: frozenset[str], channels: int) -> None:
        library = _albumentations()
        self._draws = random.Random(0)
        self._bits = np.random.PCG64(0)
        self._compose = library.Compose(_transforms(strength, symmetries, channels), is_check_shapes=False)
        self._compose.set_random_state(np.random.Generator(self._bits), self._draws)

    def __call__(self, image: npt.NDArray[np.uint8], seed: int) -> npt.NDArray[np.uint8]:
        """Return (H, W, C) uint8, the image as its seed has it."""
        self._draws.seed(seed)
        self._bits.state = {
            "bit_generator": "PCG64",
            "state": {"state": self._draws.getrandbits(128), "inc": _PCG_INCREMENT},
            "has_uint32": 0,
            "uinteger": 0,
        }
        augmented: npt.NDArray[np.uint8] = self._compose(image=image)["image"]
        return augmented


def _albumentations() -> Any:
    """Return albumentations, imported without its question to the package index (2.0.8 asks when it is imported)."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations

    return albumentations


def _transforms(strength: float, allowed: frozenset[str], channels: int) -> list[albumentations.BasicTransform]:
    """Return the transforms that are allowed, geometry first, holes last: a hole is neither bent nor tinted."""
    chance = {name: share * strength**0.5 for name, share in CHANCE.items()}
    transforms = []
    if "flip" in allowed:
        transforms.append(_albumentations().HorizontalFlip(p=chance["flip"]))
    if allowed & {"zoom", "rotate", "shift"}:
        transforms.append(_affine(strength, allowed, chance["affine"]))
    if allowed & {"brightness", "contrast"}:
        transforms.append(_light(strength, allowed, chance["light"]))
    if "hue" in allowed and channels == 3:
        transforms.append(_colour(strength, chance["colour"]))
    if "cutout" in allowed:
        transforms.append(_cutout(strength, chance["cutout"]))
    return transforms


def _affine(strength: float, allowed: frozenset[str], chance: float) -> albumentations.Affine:
    """Return zoom, rotation and shift as one warp, the dearest step; what is not allowed stays at its neutral value."""
    import cv2

    zoom = strength if "zoom" in allowed else 0.0
    rotation = ROTATION * strength if "rotate" in allowed else 0.0
    shift = SHIFT * strength if "shift" in allowed else 0.0
    return _albumentations().Affine(
        scale=(1 - ZOOM_OUT * zoom, 1 + ZOOM_IN * zoom),
        keep_ratio=True,
        balanced_scale=True,
        rotate=(-rotation, rotation),
        translate_percent=(-shift, shift),
        border_mode=cv2.BORDER_REFLECT_101,
        p=chance,
    )


def _light(strength: float, allowed: frozenset[str], chance: float) -> albumentations.ColorJitter:
    brightness = LIGHT * strength if "brightness" in allowed else 0.0
    contrast = LIGHT * strength if "contrast" in allowed else 0.0
    return _albumentations().ColorJitter(brightness=brightness, contrast=contrast, saturation=0.0, hue=0.0, p=chance)


def _colour(strength: float, chance: float) -> albumentations.ColorJitter:
    saturation, hue = SATURATION * strength, HUE * strength
    return _albumentations().ColorJitter(brightness=0.0, contrast=0.0, saturation=saturation, hue=hue, p=chance)


def _cutout(strength: float, chance: float) -> albumentations.CoarseDropout:
    """Return one or two holes, each of one random colour, because black or grey would be a mark to learn."""
    sides = (HOLE * strength / 3, HOLE * strength)
    return _albumentations().CoarseDropout((1, MAX_HOLES), sides, sides, fill="random_uniform", p=chance)


def _check(images: npt.NDArray[np.uint8], seeds: npt.NDArray[np.integer[Any]]) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape[1:]:
        raise BadInput(
            f"images to augment: expected (B, H, W, 1 or 3) uint8, got {images.shape} {images.dtype}; convert them"
        )
    _check_seeds(len(images), seeds)


def _check_seeds(n_images: int, seeds: npt.NDArray[np.integer[Any]]) -> None:
    if seeds.shape != (n_images,) or seeds.dtype.kind not in "iu" or (seeds.size and seeds.min() < 0):
        raise BadInput(
            f"seeds of {n_images} images: expected as many whole numbers from 0 on, got {seeds.shape} "
            f"{seeds.dtype}; make them with image_seeds"
        )
