"""The image cache: every file decoded once, by several processes, into memory-mapped uint8 arrays named by content.

    cache/images/<spec>/<chunk>/rows.npy     (n, side, side, channels) uint8, up to 256 photos
    cache/images/<spec>/<chunk>/done.json    whose content stands in which row: hash, size, mode, or why it is unreadable
    cache/images/files/<folder>.json         path -> [size, mtime, hash]: tells whether a file must be hashed again

A folder of photos that was half read when its process was killed is read on from there; ten new photos cost ten.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from comp.arrays import file_of, read_content
from comp.chunks import CHUNK, ChunkStore, save_chunk
from comp.engine import Engine, Job, Listener, Report
from comp.spec import Resize
from comp.store import key_of, locked, read_json, sha256_of, sweep, write_json

DECODE_VERSION = 1  # raised when decoding or resizing gives other pixels
CACHE = Path("cache")


@dataclass(frozen=True)
class PixelSpec:
    """What the cache makes of a photo: the side of its square (or its height) in pixels, its channels, and how it gets there."""

    pixels: int
    channels: int = 3
    resize: Resize = "squash"

    @property
    def key(self) -> str:
        """Return the name of the folder that holds pixels of this kind."""
        return f"{self.resize}-{self.pixels}px-{self.channels}ch-v{DECODE_VERSION}"

    def bytes_per_photo(self) -> int:
        """Return the bytes that one photo takes; with a free width, about."""
        return self.pixels * self.pixels * self.channels * (3 if self.resize == "height" else 1)


@dataclass(frozen=True)
class PhotoFacts:
    """What is known of one file's content.

    Attributes:
        sha: SHA-256 of its bytes; the empty string where the file is absent.
        unreadable: Why it cannot be decoded, or the empty string.
        width, height: Pixels of the upright original.
        mode: How the file stored it, in Pillow's words.
    """

    sha: str
    width: int = 0
    height: int = 0
    mode: str = ""
    unreadable: str = ""
    is_cut_short: bool = False


ABSENT = PhotoFacts("", unreadable="absent")


class ImageStore(ChunkStore):
    """Read access to cached photos of one kind, by content hash; `gather` gives (N, side, side, channels) uint8."""

    def __init__(self, spec: PixelSpec, cache_dir: Path = CACHE) -> None:
        super().__init__(cache_dir / "images" / spec.key)
        self.spec = spec

    # These two when asked for, not at once: a worker opens the store for each of its jobs, and needs neither.

    @cached_property
    def facts(self) -> dict[str, PhotoFacts]:
        """Return what is known of each content stored, by its hash."""
        found: dict[str, PhotoFacts] = {}
        for marker in self.markers.values():
            for facts in marker["photos"]:
                found.setdefault(facts["sha"], PhotoFacts(**facts))
        return found

    @cached_property
    def files(self) -> dict[str, tuple[int, int, str]]:
        """Return size, time and hash of each file that was read, by its path."""
        return {
            path: (size, mtime, sha)
            for marker in self.markers.values()
            for path, size, mtime, sha in marker["read_from"]
        }


def cache_images(
    data_dir: Path,
    paths: Sequence[str],
    specs: Iterable[PixelSpec],
    engine: Engine,
    listener: Listener,
    cache_dir: Path = CACHE,
) -> list[PhotoFacts]:
    """Bring photos into the cache, each file read and decoded once for all kinds asked for.

    Files that cannot be decoded never stop it; nothing is written into `data_dir`.

    Args:
        data_dir: Folder that `paths` are below.
        paths: Files to have; one that is absent comes back as `ABSENT`.
        specs: Kinds of pixels to have.

    Returns:
        What is known of each file, in the order of `paths`.
    """
    specs = sorted(set(specs), key=lambda spec: spec.key)
    stores = [ImageStore(spec, cache_dir) for spec in specs]
    index = FileIndex(data_dir, cache_dir, stores)
    to_read = unread(index, paths, stores)
    if to_read:
        for store in stores:
            sweep(store.folder)
        jobs = decode_jobs(data_dir, to_read, specs, cache_dir)
        for result in engine.run(jobs, listener):
            index.add(result)
        index.save()
        stores = [ImageStore(spec, cache_dir) for spec in specs]
    facts = {sha: known for store in stores for sha, known in store.facts.items()}
    return [facts.get(index.sha(path), ABSENT) for path in paths]


def unread(index: FileIndex, paths: Sequence[str], stores: Sequence[ImageStore]) -> list[str]:
    """Return the files that are new, changed, or not yet in each of the stores; absent files are none of these."""
    return [
        path
        for path in dict.fromkeys(paths)
        if index.is_there(path) and not all(index.sha(path) in store for store in stores)
    ]


class FileIndex:
    """Which content a file has, without reading it again: path, size and mtime tell whether it must be."""

    def __init__(self, data_dir: Path, cache_dir: Path, stores: Sequence[ImageStore] = ()) -> None:
        self.data_dir = data_dir.resolve()
        self.path = cache_dir / "images" / "files" / f"{key_of(str(self.data_dir))[:16]}.json"
        self._known: dict[str, tuple[int, int, str]] = {}
        self._of_rows: dict[str, tuple[int, int] | None] = {}
        for store in stores:  # what a killed run had read is written in the chunks only
            prefix = f"{self.data_dir}{os.sep}"
            found = {path.removeprefix(prefix): entry for path, entry in store.files.items() if path.startswith(prefix)}
            self._known.update(found)
        if self.path.is_file():
            self._known.update({path: tuple(entry) for path, entry in read_json(self.path).items()})

    def is_there(self, path: str) -> bool:
        """Return whether the file exists now."""
        return self._now(path) is not None

    def sha(self, path: str) -> str:
        """Return the file's content hash if it is known and the file is unchanged, else the empty string."""
        known = self._known.get(path)
        if known is None:
            return ""
        return known[2] if self._now(path) == known[:2] else ""

    def _now(self, path: str) -> tuple[int, int] | None:
        """Return size and time of a path's file, None where there is none; a file of many rows is asked once, not for each."""
        file = file_of(path)
        if file == path:
            return _size_and_time(os.path.join(self.data_dir, file))
        if file not in self._of_rows:
            self._of_rows[file] = _size_and_time(os.path.join(self.data_dir, file))
        return self._of_rows[file]

    def add(self, entries: Iterable[Sequence[Any]]) -> None:
        """Take over what jobs read: (path, size, mtime, hash)."""
        self._known.update({path: (size, mtime, sha) for path, size, mtime, sha in entries})

    def save(self) -> None:
        """Write it down; a save that is lost costs one more reading of the files, nothing else."""
        write_json(self.path, self._known, indent=None)


def _size_and_time(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # as absent as if it had never been there
        return None
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def decode_jobs(data_dir: Path, paths: Sequence[str], specs: Sequence[PixelSpec], cache_dir: Path) -> list[Job]:
    """Return one job for each 256 files."""
    kinds = [[spec.pixels, spec.channels, spec.resize] for spec in specs]
    shared = {"data_dir": str(data_dir.resolve()), "specs": kinds, "cache_dir": str(cache_dir)}
    return [
        Job(
            function="comp.images:decode_chunk",
            arguments={**shared, "paths": list(paths[start : start + CHUNK])},
            label=f"photos {start + 1} to {min(start + CHUNK, len(paths))}",
            size=len(paths[start : start + CHUNK]),
        )
        for start in range(0, len(paths), CHUNK)
    ]


def decode_chunk(
    report: Report, data_dir: str, paths: list[str], specs: list[list[Any]], cache_dir: str
) -> list[list[Any]]:
    """Read, hash and decode some files and store their pixels; what is stored already is only hashed.

    Returns:
        (path, size, mtime in nanoseconds, hash) of each file that is there.
    """
    import cv2

    cv2.setNumThreads(0)
    kinds = [PixelSpec(*spec) for spec in specs]
    lock = Path(cache_dir) / "images" / ".locks" / f"{key_of([data_dir, paths, specs])[:16]}.lock"
    with locked(lock, lambda line: report("note", line)):
        stores = [ImageStore(kind, Path(cache_dir)) for kind in kinds]
        chunks = [_chunk(store, len(paths)) for store in stores]
        read = [_read_file(os.path.join(data_dir, path), chunks) for path in paths]
        found = [[path, *entry] for path, entry in zip(paths, read, strict=True) if entry]
        for chunk in chunks:
            chunk.save([[os.path.join(data_dir, path), *entry] for path, *entry in found])
    return found


def _chunk(store: ImageStore, n_photos: int) -> Chunk:
    if store.spec.resize != "height":
        return Chunk(store, n_photos)
    from comp.strips import StripChunk

    return StripChunk(store, n_photos)


def _read_file(path: str, chunks: list[Chunk]) -> list[Any] | None:
    from comp.decode import Unreadable, decode

    try:
        status = os.stat(file_of(path))
        data = read_content(path)
    except OSError:  # it went away, or may not be read: as absent as if it had never been there
        return None
    sha = sha256_of(data)
    wanting = [chunk for chunk in chunks if chunk.wants(sha)]
    if wanting:
        try:
            photo = decode(data)
        except Unreadable as error:
            for chunk in wanting:
                chunk.add_unreadable(PhotoFacts(sha, unreadable=str(error)))
        else:
            height, width = photo.pixels.shape[:2]
            facts = PhotoFacts(sha, width, height, photo.mode, is_cut_short=photo.is_cut_short)
            for chunk in wanting:
                chunk.add(facts, photo.pixels)
    return [status.st_size, status.st_mtime_ns, sha]


class Chunk:
    """Pixels of one kind that a job is gathering, at most 256 photos in memory."""

    def __init__(self, store: ImageStore, n_photos: int) -> None:
        self.store, self.spec = store, store.spec
        self.pixels = self._room(n_photos)
        self.facts: list[PhotoFacts] = []
        self._mine: set[str] = set()

    def _room(self, n_photos: int) -> np.ndarray:
        return np.zeros((n_photos, self.spec.pixels, self.spec.pixels, self.spec.channels), np.uint8)

    def wants(self, sha: str) -> bool:
        """Return whether a content is neither stored nor gathered yet."""
        return sha not in self.store and sha not in self._mine

    def add(self, facts: PhotoFacts, pixels: np.ndarray) -> None:
        """Take a photo's pixels, at the size of this kind."""
        from comp.decode import bring_to_size

        self.pixels[len(self.facts)] = bring_to_size(pixels, self.spec.pixels, self.spec.channels, self.spec.resize)
        self.add_unreadable(facts)

    def add_unreadable(self, facts: PhotoFacts) -> None:
        """Take what is known of a photo; its pixels stay what they are."""
        self.facts.append(facts)
        self._mine.add(facts.sha)

    def save(self, read_from: list[list[Any]]) -> None:
        """Put the photos gathered into the store, if there are any."""
        if self.facts:
            photos = [vars(facts) for facts in self.facts]
            shas = [facts.sha for facts in self.facts]
            save_chunk(self.store.folder, shas, self.pixels[: len(shas)], {"photos": photos, "read_from": read_from})


def unreadable_table(bad: dict[str, str]) -> str:
    """Return the CSV that names unreadable files: path, why."""
    import pandas as pd

    return pd.DataFrame({"path": list(bad), "why": list(bad.values())}).to_csv(index=False)
