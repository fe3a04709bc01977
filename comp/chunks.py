"""Rows of an array named by the content they were made from: the shape of the image cache and of the feature bank on disk.

    <folder>/<chunk>/rows.npy    (n, ...) the rows of up to 256 contents, memory-mapped when read
    <folder>/<chunk>/done.json   which content stands in which row, and what else is known of it

A chunk is written beside and renamed into place whole; it never changes afterwards. Ten new contents cost ten.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from comp.errors import Refused
from comp.store import MARKER, beside, disk_full_is_one_line, key_of, read_json, sync_folder, write_marker

ROWS = "rows.npy"
CHUNK = 256


class ChunkStore:
    """Read access to the rows of one kind, by content hash.

    Attributes:
        markers: What each chunk's marker says, by the chunk's name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.markers: dict[str, dict[str, Any]] = {}
        self._places: dict[str, tuple[str, int]] = {}
        self._arrays: dict[str, np.ndarray] = {}
        # not those that begin with a dot: they are not in place yet, and go when swept or renamed
        for marker_path in sorted(folder.glob(f"[!.]*/{MARKER}")):
            self._read_chunk(marker_path)

    def _read_chunk(self, marker_path: Path) -> None:
        marker, chunk = _read_once(marker_path), marker_path.parent
        if (chunk / ROWS).stat().st_size != marker["files"][ROWS]["bytes"]:
            raise Refused(f"{chunk / ROWS} was changed: expected another size; `make clean` and run again")
        self.markers[chunk.name] = marker
        for row, sha in enumerate(marker["shas"]):
            self._places.setdefault(sha, (chunk.name, row))

    def __contains__(self, sha: str) -> bool:
        return sha in self._places

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Return the shape of one row.

        Raises:
            Refused: If nothing is stored.
        """
        if not self.markers:
            raise Refused(f"{self.folder}: nothing is stored there")
        return self._array(next(iter(self.markers))).shape[1:]

    def gather(self, shas: Sequence[str]) -> np.ndarray:
        """Return rows in the order asked, copied out of the memory map: (N, ...).

        Raises:
            Refused: If a content is not stored.
        """
        absent = [sha for sha in shas if sha not in self._places]
        if absent:
            raise Refused(
                f"{self.folder}: {len(absent)} of {len(shas)} contents are not stored, the first {absent[0][:12]}"
            )
        if not len(shas):
            raise Refused(f"{self.folder}: no rows were asked for")
        first = self._array(self._places[shas[0]][0])
        rows = np.empty((len(shas), *first.shape[1:]), first.dtype)
        for position, sha in enumerate(shas):
            chunk, place = self._places[sha]
            rows[position] = self._array(chunk)[place]
        return rows

    def _array(self, chunk: str) -> np.ndarray:
        if chunk not in self._arrays:
            # mode "r" maps the file: pages are read when touched and belong to the system, not to this process
            self._arrays[chunk] = np.load(self.folder / chunk / ROWS, mmap_mode="r")
        return self._arrays[chunk]


@cache
def _read_once(marker_path: Path) -> Any:
    # a chunk never changes once it is there, and a worker looks at all of them for each job
    return read_json(marker_path)


def save_chunk(folder: Path, shas: Sequence[str], rows: np.ndarray, facts: Mapping[str, Any]) -> None:
    """Write a chunk beside and rename its folder into place, so that it is there whole or not at all.

    Args:
        shas: (n,) the contents that the rows were made from.
        rows: (n, ...).
        facts: What else the marker says.

    Raises:
        NoSpace: If the disk is full.
    """
    target = folder / key_of(list(shas))[:24]
    temporary = beside(target)
    with disk_full_is_one_line(folder):
        shutil.rmtree(temporary, ignore_errors=True)  # of a killed process that had this one's number: containers
        temporary.mkdir(parents=True)
        with (temporary / ROWS).open("wb") as file:
            np.save(file, rows)
            file.flush()
            os.fsync(file.fileno())
        write_marker(temporary, [ROWS], {"shas": list(shas), **facts}, indent=None)
        _put_in_place(temporary, target)
        sync_folder(folder)


def _put_in_place(temporary: Path, target: Path) -> None:
    """Rename a chunk to its name; one that another command made of the same contents meanwhile stays, for it may be in use."""
    if not (target / MARKER).is_file():
        shutil.rmtree(target, ignore_errors=True)  # only ever there when its marker was taken away by hand
        try:
            os.rename(temporary, target)
        except OSError:
            if not (target / MARKER).is_file():
                raise
    shutil.rmtree(temporary, ignore_errors=True)
