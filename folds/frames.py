"""Frames: what readers of strips say, a row of probabilities over the alphabet for each few columns of a picture.

Stored as (sum T, A) float32 beside lengths, ids and alphabet; column 0 is the blank, which reads as the empty string.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from comp.errors import Refused

BLANK = ""
SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames of some rows.

    Attributes:
        ids: (N,) of the rows.
        values: (sum T, A) float32 probabilities, row after row.
        lengths: (N,) frames of each row.
        alphabet: (A,) what each column reads as; column 0 is the blank.
    """

    ids: list[str]
    values: np.ndarray
    lengths: np.ndarray
    alphabet: list[str]

    @cached_property
    def ends(self) -> np.ndarray:
        """Return (N + 1,) where each row begins, and where the last one ends."""
        return np.cumsum([0, *self.lengths])

    @cached_property
    def position(self) -> dict[str, int]:
        """Return the row of each id."""
        return {row_id: row for row, row_id in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, row: int) -> np.ndarray:
        """Return (T, A) float32, the frames of one row."""
        return self.values[self.ends[row] : self.ends[row + 1]]

    def checked(self, what: str) -> Frames:
        """Return these frames, if there are as many as their lengths say and each is probabilities.

        Raises:
            Refused: If not; the subject of the message is `what`.
        """
        expected = (int(self.lengths.sum()), len(self.alphabet))
        if self.values.shape != expected or len(self.lengths) != len(self.ids) or self.values.dtype != np.float32:
            raise Refused(f"{what}: expected {expected} float32 frames, got {self.values.shape} {self.values.dtype}")
        bad = ~(np.abs(self.values.sum(axis=1, dtype=np.float64) - 1) <= SUM_TOLERANCE) | (self.values.min(axis=1) < 0)
        if bad.any():
            row = int(np.searchsorted(self.ends, int(bad.argmax()), "right")) - 1
            raise Refused(f"{what}: the frames of id {self.ids[row]!r} are no probabilities; predict again")
        return self


def in_order(frames: Frames, wanted: Sequence[str], what: str) -> Frames:
    """Return the rows in the order of the ids wanted, by id, never by position.

    Raises:
        Refused: If an id is missing, foreign or there twice.
    """
    if list(wanted) == frames.ids:
        return frames
    have, want = Counter(frames.ids), Counter(wanted)
    odd = (have - want) + (want - have) + Counter(row_id for row_id in have if have[row_id] > 1)
    if odd:
        raise Refused(
            f"{what}: expected {len(wanted)} ids, got {len(frames)}; the first missing, foreign or double is {min(odd)!r}"
        )
    rows = [frames.position[row_id] for row_id in wanted]
    parts = [frames.of(row) for row in rows]
    return Frames(list(wanted), _joined(parts, frames.values), frames.lengths[rows], frames.alphabet)


def _joined(parts: Sequence[np.ndarray], like: np.ndarray) -> np.ndarray:
    return np.concatenate(parts) if parts else like[:0]


def put_together(parts: Sequence[Frames]) -> Frames:
    """Return the rows of several frames of one alphabet, one after the other.

    Raises:
        Refused: If alphabets differ.
    """
    if any(part.alphabet != parts[0].alphabet for part in parts):
        raise Refused("frames of different alphabets cannot be put together; predict again")
    return Frames(
        [row_id for part in parts for row_id in part.ids],
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.lengths for part in parts]),
        parts[0].alphabet,
    )


def are_equally_long(several: Sequence[Frames]) -> bool:
    """Return whether every row has as many frames in each of them, so that frames can be averaged."""
    return all(np.array_equal(frames.lengths, several[0].lengths) for frames in several)


def mean_of(several: Sequence[Frames]) -> Frames:
    """Return the mean of frames of the same rows, in the same order, of equal lengths and one alphabet.

    Raises:
        Refused: If rows, lengths or alphabets differ.
    """
    first = several[0]
    if not are_equally_long(several) or any(one.ids != first.ids or one.alphabet != first.alphabet for one in several):
        raise Refused("frames of different rows, lengths or alphabets cannot be averaged; predict again")
    mean = np.mean([one.values for one in several], axis=0, dtype=np.float64)
    return Frames(first.ids, np.asarray(mean, np.float32), first.lengths, first.alphabet)


def as_facts(frames: Frames, name: str) -> dict[str, Any]:
    """Return what is written beside the array of these frames: ids and lengths."""
    return {name: frames.ids, f"{name}_lengths": [int(length) for length in frames.lengths]}


def from_facts(values: np.ndarray, facts: Mapping[str, Any], name: str) -> Frames:
    """Return the frames whose ids and lengths stand in a file beside them; see `as_facts`."""
    return Frames(facts[name], values, np.asarray(facts[f"{name}_lengths"], np.int64), facts["classes"])
