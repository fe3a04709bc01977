"""Where a competition's raw files come from: the folder that is named, a folder below DATA_ROOT, or an embedded sample."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from comp.console import say
from comp.registry import load, load_layout
from comp.spec import Competition
from comp.store import locked
from comp.tables import find_data_dir, read_csv

if TYPE_CHECKING:
    import pandas as pd

DATA_ROOT = Path("data")


@dataclass(frozen=True)
class Source:
    """Where the raw files lie.

    Attributes:
        folder: What the layout reads.
        answers: Table of the test rows' labels, where an embedded sample has them; no training ever opens it.
    """

    folder: Path
    answers: Path | None = None


def find_source(competition: Competition, data: Path | None = None, data_root: Path = DATA_ROOT) -> Source:
    """Return where the raw files lie; an embedded sample is drawn below `data_root` first, where it is not there yet.

    Raises:
        BadInput: If there is no such folder.
    """
    if data is not None or competition.sample is None:
        named = data.expanduser() if data else None  # not every shell expands DATA=~/photos
        return Source(find_data_dir(competition, named, data_root))
    return _drawn(competition.sample, data_root)


def answers_of(competition: Competition, source: Source) -> tuple[pd.DataFrame, str] | None:
    """Return the labels of the test rows where they are known, and in words whence; only a finished CSV is held against them."""
    if source.answers is not None:
        return read_csv(source.answers), "the sample's answers"
    known = getattr(load_layout(competition.layout), "answers", None)
    table = known(competition, source.folder) if known else None
    return None if table is None else (table, "the labels that the data carry")


def _drawn(name: str, data_root: Path) -> Source:
    sample = load("comp.samples", name)
    home = data_root / f"{name}-{sample.VERSION}"
    marker = home / "data" / ".drawn"
    with locked(data_root / f".{name}.lock", say):
        if not marker.is_file():
            say(f"drawing the sample {name} into {home}")
            sample.draw(home)
    return Source(home / "data", home / "answers.csv")
