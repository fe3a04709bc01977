"""What of a track can be run here: whose data are there, and which of its candidates have their weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from comp.candidates import parse_candidates
from comp.errors import BadInput
from comp.machine import trains_on_gpu
from comp.registry import load_competition
from comp.spec import Competition
from comp.tables import find_data_dir, what_lacks
from comp.tracks import Entry
from comp.ways import Ways, weights_of
from submissions.plan import Settings


@dataclass(frozen=True)
class Place:
    """Where a competition's data lie, or why it cannot be run."""

    folder: Path | None = None
    why_not: str = ""


def find_place(entry: Entry, settings: Settings) -> Place:
    """Return where a competition's data lie below DATA_ROOT; where they do not, why not, and where to put them."""
    try:
        competition = load_competition(entry.competition)
        folder = find_data_dir(competition, None, settings.data_root)
    except BadInput as error:
        return Place(why_not=_with_place(error, entry, settings))
    lacks = what_lacks(competition, folder)
    return Place(why_not=f"{lacks}; {_put(competition, settings)}") if lacks else Place(folder)


def _with_place(error: BadInput, entry: Entry, settings: Settings) -> str:
    try:
        return f"no data; {_put(load_competition(entry.competition), settings)}"
    except BadInput:
        return str(error)


def _put(competition: Competition, settings: Settings) -> str:
    return f"put them into {settings.data_root / competition.folders[0]}, as layout {competition.layout} has them"


def candidates_of(entry: Entry, settings: Settings) -> tuple[str, list[str]]:
    """Return what is trained, as BACKBONES takes it, and a line for each of the track's own candidates that is left out.

    What the person named is returned as it is: nothing else is ever trained in its place.
    """
    if settings.backbones is not None:
        return settings.backbones, []
    ways = Ways(folder=settings.weights, is_offline=settings.offline, precision=settings.precision)
    more = entry.on_gpu.get(settings.preset, "")
    kept, notes = [], []
    if more and not trains_on_gpu():
        notes.append(
            f"{more} left out: too long for two cores; taken with a GPU and KERAS_BACKEND=jax, or by BACKBONES="
        )
        more = ""
    for candidate in parse_candidates(f"{entry.candidates[settings.preset]} {more}"):
        _, why_not = weights_of(candidate, ways, is_named=False)
        if why_not:
            notes.append(f"{candidate} left out: {why_not}")
        else:
            kept.append(str(candidate))
    return " ".join(kept) or entry.otherwise, notes
