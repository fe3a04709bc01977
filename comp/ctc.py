"""Frames to texts: the decodings of CTC, on the way from what a reader of strips says to a transcript.

Frames are (T, A) probabilities; column 0 is the blank. A text is what is left of a path, a column a frame, when neighbours that are
equal become one and blanks go (Graves et al. 2006, "Connectionist Temporal Classification", ICML). All in NumPy, on rows of any
length without padding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from comp.metrics import Floats

SMALLEST = 1e-12  # a probability of 0 has no logarithm
CUT = 1e-4  # characters less likely than this in a frame begin no new beam there
Path = npt.NDArray[np.int64]


def logs_of(frames: Floats) -> Floats:
    """Return the natural logarithms of probabilities, float64 and finite."""
    return np.log(np.maximum(frames.astype(np.float64), SMALLEST))


def collapsed(path: Sequence[int], alphabet: Sequence[str]) -> str:
    """Return the text of a path: neighbours that are equal once, blanks gone."""
    text, before = [], 0
    for column in path:
        if column != before and column:
            text.append(alphabet[column])
        before = column
    return "".join(text)


def greedy(frames: Floats, alphabet: Sequence[str]) -> str:
    """Return the text of the likeliest path, the likeliest column of each frame."""
    return collapsed(frames.argmax(axis=1).tolist(), alphabet)


def beam(frames: Floats, alphabet: Sequence[str], width: int = 16) -> list[tuple[str, float]]:
    """Return texts with their log-probabilities, the likeliest first: the prefix beam search of CTC.

    The greedy text is always among them, and each number is at most the text's own log-probability: paths that lead over prefixes
    that were dropped are not in it.

    Args:
        width: How many prefixes are kept after each frame, and texts returned.

    Source: Hannun et al. 2014, "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent
    DNNs" (arXiv 1408.2873), algorithm 1, without a language model.
    """
    beams: dict[tuple[int, ...], tuple[float, float]] = {
        (): (1.0, 0.0)
    }  # prefix: ends in a blank, ends in its last column
    scale = 0.0
    for frame in frames.astype(np.float64):
        columns = [column for column in np.flatnonzero(frame > CUT).tolist() if column]
        beams = _longer(beams, frame.tolist(), columns)
        kept = sorted(beams.items(), key=lambda item: (-sum(item[1]), item[0]))[:width]
        total = max(sum(kept[0][1]), SMALLEST)
        scale += float(np.log(total))
        beams = {prefix: (blank / total, other / total) for prefix, (blank, other) in kept}
    found = {
        "".join(alphabet[column] for column in prefix): float(np.log(sum(share)) + scale)
        for prefix, share in beams.items()
    }
    text = greedy(frames, alphabet)
    if text not in found:
        found[text] = log_probability(logs_of(frames), text, alphabet)
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def _longer(
    beams: dict[tuple[int, ...], tuple[float, float]], frame: list[float], columns: list[int]
) -> dict[tuple[int, ...], tuple[float, float]]:
    """Return the beams after one more frame, every prefix with its two probabilities."""
    after: dict[tuple[int, ...], list[float]] = {}
    for prefix, (blank, other) in beams.items():
        own = after.setdefault(prefix, [0.0, 0.0])
        own[0] += (blank + other) * frame[0]
        last = prefix[-1] if prefix else 0
        if last:
            own[1] += other * frame[last]
        for column in columns:
            share = blank if column == last else blank + other
            if share:
                after.setdefault((*prefix, column), [0.0, 0.0])[1] += share * frame[column]
    return {prefix: (blank, other) for prefix, (blank, other) in after.items()}


def log_probability(logs: Floats, text: str, alphabet: Sequence[str]) -> float:
    """Return the natural logarithm of a text's probability, summed over all its paths; -inf where it cannot be written.

    Args:
        logs: (T, A) as `logs_of` gives them.

    Source: Graves et al. 2006, equations 5 to 8.
    """
    place = {character: column for column, character in enumerate(alphabet) if character}
    if any(character not in place for character in text):
        return -np.inf
    columns = [column for character in text for column in (0, place[character])] + [0]
    if not len(logs):
        return 0.0 if not text else -np.inf
    of_states = logs[:, columns]
    may_skip = np.array([i > 1 and columns[i] != 0 and columns[i] != columns[i - 2] for i in range(len(columns))])
    alpha = np.full(len(columns), -np.inf)
    alpha[:2] = of_states[0, :2]
    for state in of_states[1:]:
        one = np.concatenate(([-np.inf], alpha[:-1]))
        two = np.where(may_skip, np.concatenate(([-np.inf, -np.inf], alpha[:-2]))[: len(alpha)], -np.inf)
        alpha = np.logaddexp(np.logaddexp(alpha, one), two) + state
    return float(np.logaddexp.reduce(alpha[-2:]))
