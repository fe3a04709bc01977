"""The image cache of what has a height and a free width: lines and words, as strips of pixels without any padding.

cache/images/height-<N>px-.../<chunk>/rows.npy    (sum W, height, channels) uint8: column after column, strip after strip
cache/images/height-<N>px-.../<chunk>/done.json   `widths` beside the hashes: where each strip begins and ends
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from comp.chunks import save_chunk
from comp.errors import Refused
from comp.images import CACHE, Chunk, ImageStore, PhotoFacts, PixelSpec


class StripStore(ImageStore):
    """Read access to cached strips of one height, by content hash."""

    def __init__(self, spec: PixelSpec, cache_dir: Path = CACHE) -> None:
        super().__init__(spec, cache_dir)
        self._ends = {name: np.cumsum([0, *marker["widths"]]) for name, marker in self.markers.items()}

    def widths(self, shas: Sequence[str]) -> np.ndarray:
        """Return (N,) int64, the width of each strip in pixels.

        Raises:
            Refused: If a content is not stored.
        """
        places = [self._place(sha) for sha in shas]
        return np.array([self._ends[chunk][row + 1] - self._ends[chunk][row] for chunk, row in places], np.int64)

    def strips(self, shas: Sequence[str]) -> list[np.ndarray]:
        """Return strips in the order asked, each (height, W, channels) uint8, a view of the memory map.

        Raises:
            Refused: If a content is not stored.
        """
        found = []
        for chunk, row in [self._place(sha) for sha in shas]:
            begin, end = self._ends[chunk][row : row + 2]
            found.append(self._array(chunk)[begin:end].transpose(1, 0, 2))
        return found

    def gather(self, shas: Sequence[str]) -> np.ndarray:
        """Refuse: strips have no common width, `strips` gives a list."""
        raise Refused(f"{self.folder}: strips have no common width; ask for them one by one")

    def _place(self, sha: str) -> tuple[str, int]:
        if sha not in self:
            raise Refused(f"{self.folder}: the content {sha[:12]} is not stored; `make clean` and run again")
        return self._places[sha]


class StripChunk(Chunk):
    """Strips that a job is gathering, at most 256 in memory; one that cannot be read has no width."""

    def _room(self, n_photos: int) -> np.ndarray:
        self.strips: list[np.ndarray] = []
        return np.zeros((0, self.spec.pixels, self.spec.channels), np.uint8)

    def add(self, facts: PhotoFacts, pixels: np.ndarray) -> None:
        """Take a photo's pixels, at the height of this kind."""
        from comp.decode import bring_to_height

        strip = bring_to_height(pixels, self.spec.pixels, self.spec.channels)
        super().add_unreadable(facts)
        self.strips.append(strip.transpose(1, 0, 2))

    def add_unreadable(self, facts: PhotoFacts) -> None:
        """Take what is known of a photo that has no pixels."""
        super().add_unreadable(facts)
        self.strips.append(self.pixels)

    def save(self, read_from: list[list[object]]) -> None:
        """Put the strips gathered into the store, if there are any."""
        if self.facts:
            photos, shas = [vars(facts) for facts in self.facts], [facts.sha for facts in self.facts]
            told = {"photos": photos, "read_from": read_from, "widths": [len(strip) for strip in self.strips]}
            save_chunk(self.store.folder, shas, np.concatenate(self.strips), told)
