"""The embedded sample: photos of animals, drawn from one seed, in the layout of Rare Species, with tables and answers.

Each photo depends on the seed and its own number only. The answers of the test photos lie beside `data`, not in it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from comp.samples._canvas import Canvas, Pose, colour_of, shade
from comp.samples._coat import Coat
from comp.samples._families import FAMILIES, KINGDOM, POSTURES, Family
from comp.samples._files import ENCODERS, jpeg
from comp.samples._scenery import background, compose, expose
from comp.store import disk_full_is_one_line, write_text

VERSION = "1"  # raised when other photos or tables come out

_SEED = 20261121
_PLAN, _SPECIES, _SCENE, _FILE, _ROW = range(1, 6)  # uses of chance: what is drawn for one never shifts another
_FINER = 2  # an animal is drawn so much larger, then shrunk: smooth edges
_SIDES = (48, 160)
_TWIN_SIDES = (96, 160)  # of a smaller photo, a crop of one pixel would change the thumbnail too much
# Photos of a kind other than RGB JPEG, in train and in test.
_ODD_KINDS = {"rgb png": (20, 6), "grey": (40, 10), "palette": (16, 4), "alpha": (20, 5), "16 bit": (10, 3),
              "cmyk": (8, 2), "turned": (16, 4), "animated": (4, 1)}  # fmt: skip
_N_TWINS = 9


@dataclass(frozen=True)
class Specimen:
    """One photo, as facts.

    Attributes:
        index: Number of the photo; with the seed, all that its pixels depend on besides the facts below.
        species: Number of the species within its family.
        kind: Key of `ENCODERS`, or `garbage` or `cut short`: bytes that nobody can decode.
        twin_of: Number of the photo whose scene it shows again, saved a second time, or None.
        is_paired: Whether it is a twin or has one.
    """

    index: int
    family: Family
    species: int
    is_train: bool
    kind: str = "rgb"
    twin_of: int | None = None
    is_paired: bool = False

    @property
    def suffix(self) -> str:
        """Return the ending of its file's name."""
        return ENCODERS[self.kind][0] if self.kind in ENCODERS else "jpg"


def draw(folder: Path) -> None:
    """Write the sample below a folder: `data/` with photos and tables, and `answers.csv` apart from it.

    The same bytes come out on every call on one machine. The marker `data/.drawn` is written last.

    Raises:
        NoSpace: If the disk is full.
    """
    data = folder / "data"
    marker = data / ".drawn"
    with disk_full_is_one_line(folder):
        marker.unlink(missing_ok=True)
        specimens = list_specimens()
        rows = [_row(specimen) for specimen in specimens]
        for specimen, row in zip(specimens, rows, strict=True):
            path = data / row["file_path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(photo(specimen))
        _write_tables(folder, specimens, rows)
        write_text(marker, VERSION)


def list_specimens() -> list[Specimen]:
    """Return the facts of all photos, the train photos first; families stand in no order."""
    rng = _stream(_PLAN, 0)
    train = _shuffled([family for family in FAMILIES for _ in range(family.n_train)], rng)
    test = _shuffled([family for family in FAMILIES for _ in range(family.n_test)], rng)
    kinds = _kinds(len(train), 0, "garbage", rng) + _kinds(len(test), 1, "cut short", rng)
    families = train + test
    species = [int(rng.integers(family.n_species)) for family in families]
    twins = _twins(train, kinds, rng)
    for copy, original in twins.items():
        species[copy] = species[original]
    paired = {*twins, *twins.values()}
    return [
        Specimen(i, family, species[i], i < len(train), kinds[i], twins.get(i), is_paired=i in paired)
        for i, family in enumerate(families)
    ]


def _shuffled(families: Sequence[Family], rng: np.random.Generator) -> list[Family]:
    return [families[i] for i in rng.permutation(len(families))]


def _kinds(n: int, part: int, broken: str, rng: np.random.Generator) -> list[str]:
    odd = [kind for kind, counts in _ODD_KINDS.items() for _ in range(counts[part])]
    kinds = [broken, *odd, *["rgb"] * (n - 1 - len(odd))]
    return [kinds[i] for i in rng.permutation(n)]


def _twins(families: Sequence[Family], kinds: Sequence[str], rng: np.random.Generator) -> dict[int, int]:
    """Return which photo shows the scene of which earlier photo: pairs of plain photos of one family."""
    twins: dict[int, int] = {}
    for index in rng.permutation(len(families)).tolist():
        same = [i for i in range(index) if families[i] is families[index] and kinds[i] == "rgb"]
        taken = {*twins, *twins.values()}
        if kinds[index] == "rgb" and index not in taken and same and same[0] not in taken:
            twins[index] = same[0]
        if len(twins) == _N_TWINS:
            break
    return twins


def photo(specimen: Specimen) -> bytes:
    """Return the bytes of one photo's file; a twin's differ from its original's in crop, brightness and quality."""
    rng = _stream(_FILE, specimen.index)
    if specimen.kind == "garbage":
        return rng.bytes(700)
    original = specimen.index if specimen.twin_of is None else specimen.twin_of
    pixels, alpha = picture(specimen, _stream(_SCENE, original))
    if specimen.kind == "cut short":
        return jpeg(pixels, 85)[:180]
    if specimen.twin_of is not None:
        pixels = np.clip(pixels[1:, 1:] * rng.uniform(0.9, 1.08), 0, 255).astype(np.uint8)
        return jpeg(pixels, int(rng.integers(60, 80)))
    return ENCODERS[specimen.kind][1](pixels, alpha, rng)


def picture(specimen: Specimen, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return what a photo shows before it is saved, and where the animal is.

    Returns:
        (H, W, 3) uint8 RGB and (H, W) uint8.
    """
    low, high = _TWIN_SIDES if specimen.is_paired else _SIDES
    width, height = _size(rng, low, high)
    canvas = Canvas(_FINER * height, _FINER * width, _pose(specimen.family, rng, _FINER * height, _FINER * width))
    coat, traits = _looks(specimen, rng)
    specimen.family.plan(canvas, coat, traits, rng)
    scene, alpha = compose(rng, canvas.layer, background(rng, height, width))
    return expose(rng, scene), alpha


def _size(rng: np.random.Generator, low: int, high: int) -> tuple[int, int]:
    side = rng.uniform(low * 1.25, high)
    aspect = np.exp(rng.normal(0.1, 0.22))
    width, height = np.clip([side * aspect**0.5, side / aspect**0.5], low, high)
    return round(width), round(height)


def _pose(family: Family, rng: np.random.Generator, height: int, width: int) -> Pose:
    most, bend = POSTURES[family.plan]
    turn = np.deg2rad(most * (rng.uniform(-1, 1) if most == 180 else np.clip(rng.normal(0, 0.5), -1, 1)))
    scale = 0.5 * min(height, width) * rng.uniform(0.74, 1.05)
    cosine, sine = np.cos(turn), np.sin(turn)
    mirror = np.diag([-1.0 if rng.uniform() < 0.5 else 1.0, 1.0])
    slant = np.array([[rng.uniform(0.8, 1.05), rng.normal(0, 0.08)], [0, rng.uniform(0.85, 1.05)]])
    matrix = scale * np.array([[cosine, -sine], [sine, cosine]]) @ slant @ mirror
    centre = np.array([width, height]) * (0.5 + rng.uniform(-0.09, 0.09, 2))
    return Pose(matrix, centre, bend=rng.normal(0, bend), wave=rng.normal(0, 0.3 * bend))


def _looks(specimen: Specimen, rng: np.random.Generator) -> tuple[Coat, dict[str, float]]:
    """Return the coat and proportions of one animal: those of its family, shifted by its species and by itself."""
    family = specimen.family
    kin = _stream(_SPECIES, 100 * FAMILIES.index(family) + specimen.species)
    hue = family.hue + kin.normal(0, 18) + rng.normal(0, 9)
    vivid = family.vivid * kin.uniform(0.75, 1.25) * rng.uniform(0.7, 1.2)
    bright = kin.uniform(0.5, 0.9) * rng.uniform(0.8, 1.15)
    base = colour_of(hue, vivid, bright)
    accent = colour_of(hue + kin.normal(0, 40), vivid * kin.uniform(0.6, 1.3), bright * kin.choice([0.4, 0.5, 1.5]))
    limbs = shade(colour_of(hue + kin.normal(0, 15), vivid * 0.9, bright), kin.uniform(0.55, 1.0))
    coat = Coat(base, accent, family.markings, float(kin.uniform(0.7, 1.3) * rng.uniform(0.85, 1.15)), limbs)
    return coat, {name: _varied(value, kin, rng) for name, value in family.traits.items()}


def _varied(value: float, kin: np.random.Generator, rng: np.random.Generator) -> float:
    shift = np.exp(kin.normal(0, 0.07) + rng.normal(0, 0.075))
    return value if isinstance(value, int) else float(value * shift)


def _stream(use: int, number: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence((_SEED, use, number)))


def _row(specimen: Specimen) -> dict[str, str]:
    rng = _stream(_ROW, specimen.index)
    name = str(uuid.UUID(bytes=rng.bytes(16), version=4))
    content = str(rng.integers(10**8, 10**9))
    family = specimen.family
    page = str(40_000_000 + 7919 * FAMILIES.index(family) + 101 * specimen.species)
    path = f"{family.phylum}_{family.name}/{content}_{page}_photo.{specimen.suffix}"
    return {
        "rare_species_id": name,
        "eol_content_id": content,
        "eol_page_id": page,
        "kingdom": KINGDOM,
        "phylum": family.phylum,
        "family": family.name,
        "file_path": path if specimen.is_train else f"test/{name}.{specimen.suffix}",
    }


def _write_tables(folder: Path, specimens: Sequence[Specimen], rows: Sequence[dict[str, str]]) -> None:
    data = folder / "data"
    train = [row for specimen, row in zip(specimens, rows, strict=True) if specimen.is_train]
    test = [row for specimen, row in zip(specimens, rows, strict=True) if not specimen.is_train]
    guess = min(family.name for family in FAMILIES)
    answer = ("rare_species_id", "family")
    _write_csv(data / "metadata.csv", tuple(train[0]), train)
    _write_csv(data / "test.csv", ("rare_species_id", "kingdom", "phylum", "file_path"), test)
    _write_csv(data / "sample_submission.csv", answer, [{**row, "family": guess} for row in test])
    _write_csv(folder / "answers.csv", answer, test)


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[dict[str, str]]) -> None:
    """Write rows of plain words and numbers: none needs a quote."""
    lines = [",".join(columns), *(",".join(row[column] for column in columns) for row in rows)]
    write_text(path, "\n".join(lines) + "\n")
