"""What the condition column (the phylum) says of a row: families of other phyla get zero, and the rest is renormalised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from comp.errors import BadInput
from comp.metrics import Floats

Phylum = Literal["auto", "no", "decode", "input", "split"]
PHYLUM = get_args(Phylum)
IN_TRAINING = ("input", "split")  # ways that training goes; the others work on finished runs
LISTED = 5


def check_phylum(phylum: str, condition_column: str | None) -> None:
    """Do nothing if PHYLUM names a way that the competition has.

    Raises:
        BadInput: If there is no such way, it needs a condition column that the competition lacks.
    """
    if phylum not in PHYLUM:
        raise BadInput(f"PHYLUM={phylum}: expected one of {', '.join(PHYLUM)}")
    if phylum not in ("auto", "no") and condition_column is None:
        raise BadInput(f"PHYLUM={phylum}: the competition has no condition column; leave PHYLUM out, or say PHYLUM=no")


@dataclass(frozen=True)
class Learnt:
    """Which phylum each family is of, as the train rows tell.

    Attributes:
        phylum_of: The phylum of each class index that a row tells it for.
        contradictions: One line for each class whose rows tell several phyla.
    """

    phylum_of: dict[int, str]
    contradictions: list[str]


def learn(truth: np.ndarray, condition: Sequence[str] | np.ndarray, classes: Sequence[str]) -> Learnt:
    """Return the phylum of each class; rows whose phylum is empty tell nothing.

    Args:
        truth: (N,) class index of train rows.
        condition: (N,) their phylum.
    """
    told: dict[int, Counter[str]] = {}
    for index, phylum in zip(truth.tolist(), condition, strict=True):
        if phylum:
            told.setdefault(index, Counter())[phylum] += 1
    odd = {index: counts for index, counts in sorted(told.items()) if len(counts) > 1}
    lines = [
        f"{classes[i]}: {', '.join(f'{name} {n}' for name, n in counts.most_common())}" for i, counts in odd.items()
    ]
    return Learnt({index: next(iter(counts)) for index, counts in told.items() if index not in odd}, lines)


def refuse_contradictions(learnt: Learnt, condition_column: str) -> None:
    """Do nothing if the map from class to phylum is a function.

    Raises:
        BadInput: If rows of one class tell several phyla; the classes are listed.
    """
    if learnt.contradictions:
        n = len(learnt.contradictions)
        raise BadInput(
            f"PHYLUM=decode: {n} classes have more than one {condition_column}, expected one each: "
            f"{'; '.join(learnt.contradictions[:LISTED])}; mend the table, or say PHYLUM=no"
        )


def facts_of(learnt: Learnt, truth: np.ndarray, n_classes: int) -> dict[str, Any]:
    """Return what `decode` needs, as plain JSON values: the phylum of each class ('' where unknown) and its share."""
    shares = np.bincount(truth, minlength=n_classes) / max(1, len(truth))
    return {
        "phylum": [learnt.phylum_of.get(index, "") for index in range(n_classes)],
        "shares": [float(share) for share in shares],
    }


def decode(facts: dict[str, Any], probabilities: Floats, condition: Sequence[str] | np.ndarray) -> Floats:
    """Return (N, C) probabilities with classes of other phyla at zero; a class of unknown phylum is never ruled out.

    A row without a phylum, or of one that no class has, stays as it is. A row whose model gave the classes of its phylum
    nothing at all gets their shares among the train rows.

    Args:
        facts: As `facts_of` gave them.
        condition: (N,) the phylum of each row.
    """
    phyla = np.array(facts["phylum"], dtype=object)
    out = probabilities.copy()
    for phylum in _known(facts, condition):
        rows = np.flatnonzero(np.asarray(condition, dtype=object) == phylum)
        is_possible = (phyla == phylum) | (phyla == "")
        left = np.where(is_possible, probabilities[rows], 0).astype(np.float64)
        shares = np.where(is_possible, facts["shares"], 0.0)
        sums = left.sum(axis=1, keepdims=True)
        left[sums[:, 0] == 0] = shares if shares.sum() else is_possible
        out[rows] = left / left.sum(axis=1, keepdims=True)
    return out


def _known(facts: dict[str, Any], condition: Sequence[str] | np.ndarray) -> list[str]:
    """Return the phyla of rows that some class has."""
    return sorted(set(map(str, condition)) & set(facts["phylum"]) - {""})


def fallback_line(facts: dict[str, Any], condition: Sequence[str] | np.ndarray, column: str, what: str) -> str:
    """Return a warning that counts the rows which decoding leaves as they are, or the empty string."""
    known = set(_known(facts, condition))
    n_missing = sum(not phylum for phylum in condition)
    foreign = Counter(phylum for phylum in condition if phylum and phylum not in known)
    if not n_missing and not foreign:
        return ""
    names = ", ".join(name for name, _ in foreign.most_common(LISTED))
    parts = [f"{n_missing} have none"] if n_missing else []
    parts += [f"{foreign.total()} one that no train row has ({names})"] if foreign else []
    return f"warning: {column} is not used for {n_missing + foreign.total()} of {len(condition)} {what}: {', '.join(parts)}"
