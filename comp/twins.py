"""Near-duplicates: pairs that a perceptual hash proposes and equal thumbnails confirm; folds keep them together.

A hash alone would chain a fifth of MNIST into one cluster, so it only proposes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from comp.images import CACHE, ImageStore, PhotoFacts, PixelSpec
from comp.tables import Tables

TWINS_VERSION = 1  # raised when other pairs come out
THUMBNAIL = PixelSpec(32, channels=1, resize="squash")
HASH_DISTANCE = 10  # bits of 64; generous, because the thumbnails decide
CORRELATION = 0.98
LARGEST_CLUSTER = 30
_BLOCK = 2048


@dataclass(frozen=True)
class Twins:
    """Which rows show nearly the same picture.

    Attributes:
        cluster: (N,) int; rows of one number are twins of one another, a number of its own for each other row.
        pairs: Confirmed pairs of rows (i < j) of one class, joined.
        across: Confirmed pairs of two classes: listed, not joined, since one of the labels is likely wrong.
        oversized: Clusters over 30 rows: listed, not joined, since such a crowd is a series, not a copy.
    """

    cluster: np.ndarray
    pairs: list[tuple[int, int]]
    across: list[tuple[int, int]]
    oversized: list[list[int]]


def perceptual_hashes(thumbnails: np.ndarray) -> np.ndarray:
    """Return a 64-bit hash a picture: the signs of its 8 x 8 lowest frequencies against their median.

    Args:
        thumbnails: (N, 32, 32) uint8, grey.

    Returns:
        (N,) uint64.

    Source: Zauner 2010, "Implementation and benchmarking of perceptual image hash functions", the DCT hash.
    """
    from scipy.fft import dctn

    frequencies = dctn(thumbnails.astype(np.float32), axes=(1, 2))[:, :8, :8].reshape(len(thumbnails), 64)
    bits = frequencies > np.median(frequencies, axis=1, keepdims=True)
    hashes: np.ndarray = np.packbits(bits, axis=1).view(np.uint64).reshape(-1)
    return hashes


def find_pairs(thumbnails: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs (i < j) of pictures that are nearly the same, in order.

    Flat pictures (all of one grey) are never anybody's twin.

    Args:
        thumbnails: (N, 32, 32) uint8, grey.
    """
    hashes = perceptual_hashes(thumbnails)
    standard = _standardised(thumbnails)
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(hashes), _BLOCK):
        block = hashes[start : start + _BLOCK, None]
        near = np.bitwise_count(block ^ hashes[None, start:]) <= HASH_DISTANCE
        first, second = np.nonzero(near)
        first, second = first + start, second + start
        keep = first < second
        first, second = first[keep], second[keep]
        pairs += _confirmed(standard, first, second)
    return pairs


def _standardised(thumbnails: np.ndarray) -> np.ndarray:
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    is_flat = length <= 32.0  # one grey level a pixel
    return np.asarray(np.where(is_flat, 0.0, flat / np.maximum(length, 1e-6)), dtype=np.float32)


def _confirmed(standard: np.ndarray, first: np.ndarray, second: np.ndarray) -> list[tuple[int, int]]:
    confirmed = []
    for start in range(0, len(first), 65536):  # a block at a time keeps memory flat
        i, j = first[start : start + 65536], second[start : start + 65536]
        correlation = np.einsum("nd,nd->n", standard[i], standard[j])
        same = correlation >= CORRELATION
        confirmed += list(zip(i[same].tolist(), j[same].tolist(), strict=True))
    return confirmed


def find_twins(thumbnails: np.ndarray, labels: Sequence[str]) -> Twins:
    """Return which rows are twins; pairs across classes and clusters over 30 are listed, not joined.

    Args:
        thumbnails: (N, 32, 32) uint8, grey, one a row.
        labels: The class of each row.
    """
    within: list[tuple[int, int]] = []
    across: list[tuple[int, int]] = []
    for i, j in find_pairs(thumbnails):
        (within if labels[i] == labels[j] else across).append((i, j))
    cluster = join(len(thumbnails), within)
    sizes = np.bincount(cluster, minlength=len(thumbnails))
    oversized = [np.flatnonzero(cluster == number).tolist() for number in np.flatnonzero(sizes > LARGEST_CLUSTER)]
    crowd = {row for rows in oversized for row in rows}
    pairs = [(i, j) for i, j in within if i not in crowd]
    return Twins(join(len(thumbnails), pairs), pairs, across, oversized)


def join(n_rows: int, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return (n_rows,) numbers that are equal for rows connected by pairs, and different otherwise."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    i, j = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = coo_matrix((np.ones(len(i), np.int8), (i, j)), shape=(n_rows, n_rows))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def no_twins(n_rows: int) -> Twins:
    """Return that no row has a twin: for digits and words, where alike is not the same."""
    return Twins(np.arange(n_rows), [], [], [])


def twins_of_table(tables: Tables, photos: Mapping[str, PhotoFacts]) -> Twins:
    """Return the twins among the readable train rows, in their order; none where the competition does not look for them.

    Args:
        photos: What is known of each photo, by path; thumbnails of the readable ones are in the cache.
    """
    train = tables.train
    readable = [not photos[path].unreadable for path in train["path"]]
    labels = train["label"][readable].tolist()
    if not tables.competition.twins or not labels:
        return no_twins(len(labels))
    shas = [photos[path].sha for path in train["path"][readable]]
    return find_twins(ImageStore(THUMBNAIL, CACHE).gather(shas)[..., 0], labels)
