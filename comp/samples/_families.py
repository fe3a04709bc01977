"""Facts of the drawn sample: which families there are, how many photos each has, and how its animals are built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from comp.samples._backboned import bird, fish, quadruped
from comp.samples._coat import Plan, Traits
from comp.samples._legged import arthropod
from comp.samples._radial import anemone, coral, jelly, star, urchin
from comp.samples._shelled import bivalve, nautilus, snail

KINGDOM = "animalia"

# Degrees that an animal is turned at most, and how far its axis is bent, by body plan: what stands, stands.
POSTURES: Mapping[Plan, tuple[float, float]] = {
    arthropod: (60, 0.13),
    snail: (12, 0.06),
    nautilus: (30, 0.06),
    bivalve: (180, 0.06),
    fish: (28, 0.08),
    bird: (9, 0.06),
    quadruped: (8, 0.05),
    jelly: (40, 0.08),
    anemone: (14, 0.08),
    coral: (14, 0.08),
    star: (180, 0.12),
    urchin: (180, 0.05),
}


@dataclass(frozen=True)
class Family:
    """One class.

    Attributes:
        phylum, name: As they stand in the table.
        n_train, n_test: Photos.
        n_species: Species that its photos are of: the same build, a little different in hue, proportions and markings.
        plan: What draws it.
        hue: Degrees of its body colour; `vivid` is its saturation.
        markings: As in `Coat`.
        traits: What the plan takes: whole numbers count parts, the others are proportions.
    """

    phylum: str
    name: str
    n_train: int
    n_test: int
    n_species: int
    plan: Plan
    hue: float
    vivid: float
    markings: str
    traits: Traits


_LEGGED = {"length": 0.75, "middle": 0.0, "tip": 0.5, "root": 0.0, "spread": 0.6, "fan": 0.5, "leg_width": 0.05,
           "feelers": 0.0, "claws": 0.0, "tail": 0.0}  # fmt: skip
_BEAST = {"tail": 0.5, "horns": 0.0, "ears": 0.12, "muzzle": 0.22}


def _legged(**traits: float) -> Traits:
    return {**_LEGGED, **traits}


def _beast(**traits: float) -> Traits:
    return {**_BEAST, **traits}


FAMILIES: tuple[Family, ...] = (
    Family("arthropoda", "filopodidae", 54, 14, 2, arthropod, 25, 0.6, "plain",
           _legged(segments=15, girth=0.11, tip=0.7, legs=14, reach=0.3, spread=0.7, fan=0.9, leg_width=0.03,
                   feelers=0.32, tail=0.2)),
    Family("arthropoda", "vermipodidae", 40, 10, 2, arthropod, 15, 0.5, "bands",
           _legged(segments=17, girth=0.15, tip=0.8, legs=17, reach=0.13, spread=0.72, fan=0.3, leg_width=0.025,
                   feelers=0.14)),
    Family("arthropoda", "scutoniscidae", 48, 12, 3, arthropod, 215, 0.22, "bands",
           _legged(segments=9, girth=0.44, tip=0.2, legs=7, reach=0.2, spread=0.55, fan=0.6, leg_width=0.04,
                   feelers=0.25)),
    Family("arthropoda", "octotelidae", 76, 19, 4, arthropod, 30, 0.5, "spots",
           _legged(segments=2, length=0.58, girth=0.4, tip=0.62, middle=-1.0, legs=4, reach=0.8, spread=0.16, root=0.2, fan=1.5,
                   leg_width=0.07)),
    Family("arthropoda", "elytropsidae", 62, 16, 3, arthropod, 130, 0.55, "line",
           _legged(segments=3, girth=0.42, tip=0.42, middle=-1.0, legs=3, reach=0.42, spread=0.42, fan=1.4,
                   leg_width=0.06, feelers=0.3)),
    Family("arthropoda", "forcipidae", 34, 8, 1, arthropod, 10, 0.6, "plain",
           _legged(segments=6, girth=0.33, tip=0.4, middle=0.4, legs=4, reach=0.4, spread=0.4, fan=1.2, leg_width=0.06,
                   claws=0.34, tail=0.35)),
    Family("mollusca", "helicorbidae", 80, 20, 4, snail, 35, 0.5, "bands",
           {"foot": 0.2, "feelers": 0.25, "coil": 0.5, "tower": 0, "whorls": 2.6}),
    Family("mollusca", "turriculidae", 36, 9, 2, snail, 28, 0.42, "bands",
           {"foot": 0.17, "feelers": 0.18, "coil": 0, "tower": 1.2, "whorls": 7}),
    Family("mollusca", "limaxinidae", 44, 11, 2, snail, 30, 0.5, "spots",
           {"foot": 0.24, "feelers": 0.3, "coil": 0, "tower": 0, "whorls": 0}),
    Family("mollusca", "nautorbidae", 30, 8, 1, nautilus, 22, 0.45, "bands",
           {"coil": 0.56, "whorls": 2.2, "arms": 8, "reach": 0.62}),
    Family("mollusca", "pectoconchidae", 40, 10, 3, bivalve, 18, 0.4, "plain",
           {"ribs": 11, "spread": 0.95, "length": 0.85, "rings": 1}),
    Family("chordata", "altipiscidae", 72, 18, 4, fish, 45, 0.7, "bands",
           {"depth": 0.5, "tail": 0.3, "fin": 0.2, "snout": 0.04}),
    Family("chordata", "fusipiscidae", 54, 14, 3, fish, 205, 0.4, "saddle",
           {"depth": 0.27, "tail": 0.3, "fin": 0.14, "snout": 0.12}),
    Family("chordata", "longirostridae", 48, 12, 2, bird, 30, 0.25, "plain",
           {"plump": 0.34, "legs": 0.62, "neck": 0.5, "bill": 0.42, "tail": 0.12, "cap": 0}),
    Family("chordata", "globavidae", 104, 26, 4, bird, 25, 0.55, "bands",
           {"plump": 0.46, "legs": 0.3, "neck": 0.2, "bill": 0.16, "tail": 0.32, "cap": 1}),
    Family("chordata", "altidorsidae", 30, 8, 2, quadruped, 36, 0.5, "spots",
           _beast(bulk=0.3, legs=0.65, neck=0.62, ears=0.1)),
    Family("chordata", "cornutellidae", 58, 14, 3, quadruped, 26, 0.42, "saddle",
           _beast(bulk=0.4, legs=0.45, neck=0.22, horns=0.26, ears=0.08, muzzle=0.26)),
    Family("cnidaria", "filomedusidae", 56, 14, 3, jelly, 290, 0.35, "plain",
           {"width": 0.62, "height": 0.5, "lobes": 8, "arms": 13, "reach": 0.95, "thick": 0.022}),
    Family("cnidaria", "campanoridae", 32, 8, 1, jelly, 320, 0.4, "spots",
           {"width": 0.52, "height": 0.68, "lobes": 5, "arms": 5, "reach": 0.75, "thick": 0.07}),
    Family("cnidaria", "corollactidae", 44, 11, 2, anemone, 340, 0.5, "plain",
           {"width": 0.34, "height": 0.62, "arms": 12, "reach": 0.58, "thick": 0.055}),
    Family("cnidaria", "ramicolidae", 32, 8, 2, coral, 5, 0.5, "plain",
           {"thick": 0.11, "levels": 4, "fork": 0.48, "length": 0.48}),
    Family("echinodermata", "quinquastridae", 62, 16, 4, star, 15, 0.6, "spots",
           {"arms": 5, "disc": 0.3, "base": 0.26, "tip": 0.07, "curl": 0.02}),
    Family("echinodermata", "serpastridae", 42, 10, 2, star, 25, 0.45, "bands",
           {"arms": 5, "disc": 0.2, "base": 0.075, "tip": 0.025, "curl": 0.14}),
    Family("echinodermata", "solastellidae", 22, 6, 1, star, 8, 0.6, "line",
           {"arms": 10, "disc": 0.42, "base": 0.15, "tip": 0.05, "curl": 0.02}),
    Family("echinodermata", "spinoglobidae", 46, 12, 2, urchin, 280, 0.4, "plain",
           {"spines": 26, "disc": 0.5, "reach": 0.5, "thick": 0.045}),
)  # fmt: skip
