"""Photos of the report as small JPEGs in the page: from the data folder where it is there, else from the image cache."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from comp.engine import Engine, ignore_events
from comp.errors import FoldboardError
from comp.images import CACHE, ImageStore, PhotoFacts, PixelSpec, cache_images
from comp.sources import find_source
from comp.spec import Competition
from comp.tables import Tables, read_tables
from comp.twins import THUMBNAIL
from folds.dataset import Dataset
from folds.prepare import bar_if
from submissions.suspects import SHEET

LEAST_SIDE = 48  # of cached pixels that are worth a look
QUALITY = 72


@dataclass(frozen=True)
class Photo:
    """One photo in the page: its data URI, what it shows for who cannot see it, and the lines below it."""

    uri: str
    alt: str
    lines: tuple[str, ...] = ()


@dataclass
class Album:
    """The photos of a fold table, by content hash.

    Attributes:
        tables: Raw tables where the data folder is there, else None.
        why_gone: Why photos cannot be read anew, or the empty string.
    """

    dataset: Dataset
    engine: Engine
    tables: Tables | None
    why_gone: str
    facts: dict[str, PhotoFacts] = field(default_factory=dict)
    stores: list[ImageStore] = field(default_factory=list)

    def fetch(self, shas: Sequence[str]) -> None:
        """Bring photos that will be shown into the cache at the size they are shown in, as far as they are there."""
        if self.tables is not None:
            wanted = [path for path in map(self.paths().get, shas) if path]
            cache_images(self.tables.data_dir, wanted, [SHEET], self.engine, ignore_events, CACHE)
        self.stores = _stores(CACHE)

    def paths(self) -> dict[str, str]:
        """Return the path below the data folder of each content that the fold table has; the folder must be there."""
        assert self.tables is not None
        parts = [self.tables.train] if self.tables.test is None else [self.tables.train, self.tables.test]
        path_of = {row_id: path for part in parts for row_id, path in zip(part["id"], part["path"], strict=True)}
        rows = [self.dataset.train, self.dataset.test]
        return {
            sha: path_of[row_id]
            for part in rows
            for row_id, sha in zip(part["id"], part["sha"], strict=True)
            if sha and row_id in path_of
        }

    def pixels(self, sha: str) -> np.ndarray | None:
        """Return (side, side, 3) uint8 of a photo, the best that is in the cache; None where there is nothing."""
        for store in self.stores:
            if sha in store:
                return coloured(store.gather([sha])[0])
        return None

    def photo(self, sha: str, alt: str, lines: Sequence[str] = (), side: int = SHEET.pixels) -> Photo | None:
        """Return a photo as it stands in the page, or None where it is gone."""
        pixels = self.pixels(sha)
        return None if pixels is None else Photo(jpeg_uri(pixels, side), alt, tuple(lines))


def coloured(photo: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) uint8 of a photo of one or three channels."""
    return np.repeat(photo, 3, axis=-1) if photo.shape[-1] == 1 else photo


def jpeg_uri(pixels: np.ndarray, side: int) -> str:
    """Return pixels (H, W, 3) uint8 as the data URI of a JPEG that is no wider than `side`."""
    width = min(side, pixels.shape[1])
    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def open_album(dataset: Dataset, competition: Competition, data: Path | None, data_root: Path, engine: Engine) -> Album:
    """Return the photos of a fold table, and what is known of each file; a folder that is gone is told, never a failure."""
    tables, why = None, ""
    try:
        tables = read_tables(competition, find_source(competition, data, data_root).folder, allow_missing=True)
    except FoldboardError as error:
        why = str(error)
    album = Album(dataset, engine, tables, why)
    album.stores = _stores(CACHE)
    album.facts = _facts(album)
    return album


def _facts(album: Album) -> dict[str, PhotoFacts]:
    """Return what is known of each photo of the fold table; files are read for it only where the cache knows too few."""
    known = {sha: facts for store in _all_stores(CACHE) for sha, facts in store.facts.items()}
    wanted = [sha for sha in [*album.dataset.train["sha"], *album.dataset.test["sha"]] if sha]
    if album.tables is not None and any(sha not in known for sha in wanted):
        paths = sorted(set(album.paths().values()))
        with bar_if("photos", len(paths), "photos") as listener:
            found = cache_images(album.tables.data_dir, paths, [THUMBNAIL], album.engine, listener, CACHE)
        known |= {facts.sha: facts for facts in found if facts.sha}
    return {sha: known[sha] for sha in wanted if sha in known and not known[sha].unreadable}


def _stores(cache: Path) -> list[ImageStore]:
    """Return the stores that photos can be shown from: the one made for it first, then the largest pixels."""
    found = [store for store in _all_stores(cache) if store.spec.pixels >= LEAST_SIDE]
    return sorted(found, key=lambda store: (store.spec != SHEET, store.spec.channels != 3, -store.spec.pixels))


def _all_stores(cache: Path) -> list[ImageStore]:
    return [ImageStore(spec, cache) for spec in _specs(cache)]


def _specs(cache: Path) -> list[PixelSpec]:
    """Return the kinds of pixels that the image cache holds, read off the names of its folders."""
    found = []
    for folder in sorted((cache / "images").glob("*-*px-*ch-v*")):
        resize, pixels, channels, _ = folder.name.split("-")
        spec = PixelSpec(int(pixels.removesuffix("px")), int(channels.removesuffix("ch")), resize)  # type: ignore[arg-type]
        if spec.key == folder.name:  # another version decoded otherwise
            found.append(spec)
    return found
