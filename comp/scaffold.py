"""Before the way of the data: looks at a folder of photos, says what it saw and writes a competition file for it.

`make new DATA=folder`, then `make submit COMP=./folder.py`. What cannot be told from the folder is refused, not guessed.
"""

from __future__ import annotations

import importlib.util
import re
import statistics
import sys
import unicodedata
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, replace
from math import log, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from comp.errors import BadInput
from comp.guess import Guess, guess_facts
from comp.spec import PHOTO_SYMMETRIES, Competition
from comp.store import write_text
from comp.tables import Tables, check_folder, read_tables, shown

_LOOKED_AT = 48
_PIXELS = (32, 64, 96, 128, 224)
_SMALL = 64  # grey photos up to this side are taken for digits or words, which no mirror leaves what they are
_GREY_MODES = frozenset({"1", "L", "LA", "I", "F"})
# Mean difference of a pixel's channels, of 255, up to which a photo stored in colour counts as grey: JPEG noise is below 1.
_GREY_SPREAD = 2.0
# Facts that a person is likely to change: written even where they are the default.
_ALWAYS = frozenset({"metric", "channels", "pixels", "n_folds"})


@dataclass(frozen=True)
class Finding:
    """What a folder holds.

    Attributes:
        data_dir: The folder, absolute.
        competition: The facts that were told from it.
        lines: What was seen and chosen, a few lines for the person.
    """

    data_dir: Path
    competition: Competition
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """What a sample of the photos looks like: sizes (width, height) of those that open, in pixels."""

    sizes: tuple[tuple[int, int], ...]
    n_unreadable: int
    is_grey: bool

    @property
    def side(self) -> float:
        """Return the median side, in pixels, of squares of the photos' areas."""
        return statistics.median(sqrt(width * height) for width, height in self.sizes)


def describe(data_dir: Path) -> Finding:
    """Return what a folder of photos holds: class folders, or a CSV that names photos.

    Photos that the CSV names may be absent; nothing is written.

    Raises:
        BadInput: If it cannot be told; the line says what was seen.
    """
    data_dir = data_dir.expanduser().resolve()
    check_folder(data_dir)
    guess = guess_facts(data_dir)
    title = f"{guess.facts['target_column']} of the photos in {data_dir.name}"
    competition = Competition(name=slug(data_dir.name), title=title, folders=(str(data_dir),), **guess.facts)
    tables = read_tables(competition, data_dir, allow_missing=True)
    look = look_at(data_dir, list(tables.train["path"]))
    competition = replace(competition, **_facts_of_look(look))
    lines = [*_rows_in_words(tables), _columns_in_words(competition, guess), _look_in_words(look, competition)]
    return Finding(data_dir, competition, (*lines, *tables.notes, *guess.doubts))


def write_competition(data_dir: Path, out: Path | None = None) -> Path:
    """Write a competition file for a folder and return its path; `COMP=` that path then works without DATA=.

    Never overwrites a file, and never writes into the data folder.

    Args:
        out: The file to write; `<folder name>.py` in the current directory where None.

    Raises:
        BadInput: If the file is there already or cannot be put there, or the folder cannot be understood.
    """
    data_dir = data_dir.expanduser().resolve()
    path = out.expanduser() if out is not None else Path(f"{_free_name(slug(data_dir.name))}.py")
    if path.suffix != ".py" or not path.parent.is_dir():
        raise BadInput(f"OUT={path}: expected a file ending with .py in a folder that is there")
    if path.exists():
        raise BadInput(f"{path} is there already and is not overwritten; remove it, or name another: OUT=file.py")
    if path.resolve().is_relative_to(data_dir):
        raise BadInput(f"{path} would lie in the data folder, which is never written into; name another: OUT=file.py")
    finding = describe(data_dir)
    write_text(path, _source(replace(finding.competition, name=slug(path.stem)), finding.lines))
    return path


def slug(text: str) -> str:
    """Return a name made of a text: lower-case ASCII letters, digits and underscores, at most 48, a letter first."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(character for character in plain if not unicodedata.combining(character))
    name = re.sub(r"[^a-z0-9]+", "_", letters).strip("_")
    if not name:
        return "competition"
    return (name if name[0].isalpha() else f"data_{name}")[:48].strip("_")


def look_at(data_dir: Path, paths: Sequence[str]) -> Look:
    """Open some of the photos, evenly spread over the rows, and return what they look like.

    Raises:
        BadInput: If none of them opens.
    """
    some = list(paths)[:: max(1, len(paths) // _LOOKED_AT)][:_LOOKED_AT]
    opened = [_size_and_grey(data_dir / path) for path in some]
    seen = [photo for photo in opened if photo is not None]
    if not seen:
        raise BadInput(f"{data_dir}: none of the {len(some)} photos looked at can be opened (first: {shown(some)})")
    is_grey = all(grey for _, grey in seen)
    return Look(tuple(size for size, _ in seen), len(some) - len(seen), is_grey)


def _size_and_grey(path: Path) -> tuple[tuple[int, int], bool] | None:
    from PIL import Image

    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")
            size = image.size
            image.draft("RGB", (_SMALL, _SMALL))  # a JPEG is decoded at an eighth where that is enough
            if image.mode.split(";")[0] in _GREY_MODES:
                return size, True
            small = np.asarray(image.convert("RGB").resize((_SMALL, _SMALL)), np.float32)
            return size, bool(np.ptp(small, axis=2).mean() <= _GREY_SPREAD)
    except Exception:  # Pillow's plug-ins raise anything on garbage
        return None


def _facts_of_look(look: Look) -> dict[str, Any]:
    pixels = min(_PIXELS, key=lambda side: abs(log(side / look.side)))
    if not look.is_grey:
        return {"pixels": pixels, "channels": 3}
    facts: dict[str, Any] = {"pixels": pixels, "channels": 1, "symmetries": PHOTO_SYMMETRIES - {"hue"}}
    if look.side > _SMALL:
        return facts
    return {**facts, "symmetries": PHOTO_SYMMETRIES - {"hue", "flip"}, "twins": False}


def _rows_in_words(tables: Tables) -> list[str]:
    counts = Counter(tables.train["label"]).most_common()
    n_test = "no test set" if tables.test is None else f"{len(tables.test):,} test photos"
    (most, n_most), (least, n_least) = counts[0], counts[-1]
    rows = f"{len(tables.train):,} train photos in {len(counts):,} classes, {n_test}"
    sizes = f"largest class {shown([most])} with {n_most:,}, smallest {shown([least])} with {n_least:,}"
    n_folds = tables.competition.n_folds
    rare = sum(n < n_folds for _, n in counts)
    few = f"{rare:,} of {len(counts):,} classes, with fewer photos than folds ({n_folds}): FOLDS=n, or leave them out"
    return [f"rows: {rows}; {sizes}", *([f"rare: {few}"] if rare else [])]


def _columns_in_words(competition: Competition, guess: Guess) -> str:
    unused = f"; not used: {shown(guess.unused, 9)}" if guess.unused else ""
    if competition.layout == "class_folders":
        top = f"{competition.train_folder}/" if competition.train_folder else ""
        return f"labels: the folders' names, {top}<class>/{unused}"
    parts = {"id": "id_column", "label": "target_column", "photo": "path_column", "condition": "condition_column"}
    named = {part: getattr(competition, field) for part, field in parts.items()}
    columns = ", ".join(f"{part} = {shown([name])}" for part, name in named.items() if name)
    return f"columns of {shown([competition.train_table])}: {columns}{unused}"


def _look_in_words(look: Look, competition: Competition) -> str:
    (width, height), (widest, highest) = min(look.sizes), max(look.sizes)
    sizes = f"{width}x{height}" if (width, height) == (widest, highest) else f"{width}x{height} to {widest}x{highest}"
    colour = "grey" if look.is_grey else "colour"
    unreadable = f", {look.n_unreadable} of them unreadable" if look.n_unreadable else ""
    flips = "" if "flip" in competition.symmetries else ", never mirrored"
    looked = f"{len(look.sizes) + look.n_unreadable} looked at{unreadable}: {sizes}, {colour}"
    return f"photos: {looked}; chosen: {competition.pixels} px, {competition.channels} channels{flips}"


def _free_name(name: str) -> str:
    """Return a file name that hides no library: `keras.py` in the current directory would be imported for Keras."""
    if Path(f"{name}.py").exists():
        return name
    found = importlib.util.find_spec(name)
    is_taken = name in sys.stdlib_module_names or (found is not None and found.origin is not None)
    return f"{name}_competition" if is_taken else name


def _source(competition: Competition, lines: Sequence[str]) -> str:
    """Return the competition file: facts by `repr`, lines as comments in which nothing can end the line."""
    comments = [f"# {line if line.isprintable() else repr(line)}" for line in lines]
    facts = [f"    {name}={_literal(name, value)}," for name, value in _facts_to_write(competition).items()]
    names = "PHOTO_SYMMETRIES, Competition" if competition.symmetries != PHOTO_SYMMETRIES else "Competition"
    return "\n".join(
        [
            f'"""{competition.name}: written by `make new`; change what it got wrong, all fields are in comp/spec.py."""',
            "",
            f"from comp.spec import {names}",
            "",
            *comments,
            "COMPETITION = Competition(",
            *facts,
            ")",
            "",
        ]
    )


def _facts_to_write(competition: Competition) -> dict[str, Any]:
    found = {}
    for field in fields(competition):
        value = getattr(competition, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if value != default or field.name in _ALWAYS:
            found[field.name] = value
    return found


def _literal(name: str, value: Any) -> str:
    if name != "symmetries":
        return repr(value)
    without = ", ".join(repr(symmetry) for symmetry in sorted(PHOTO_SYMMETRIES - value))
    return f"PHOTO_SYMMETRIES - {{{without}}}"
