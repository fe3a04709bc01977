"""Where answers go wrong, for the report: who is mistaken for whom, and the surest mistakes with their photos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from comp.spec import Competition
from submissions.report import charts
from submissions.report.judge import Judge
from submissions.report.photos import Album
from submissions.report.theme import Plot, Plots
from submissions.report.words import condition_name
from submissions.suspects import find_suspects

MOST_MISTAKES, TOP = 12, 5
IN_MATRIX = 8  # families of a phylum that are shown: those mistaken most
WHOLE = 12  # classes up to which the whole matrix is shown
PAIRS = 8


@dataclass(frozen=True)
class Mistake:
    """One row answered wrong, or right: where it is, what it is, and the likeliest answers with their probabilities.

    Attributes:
        row: Position among the scored rows.
    """

    row: int
    row_id: str
    sha: str
    truth: str
    top: tuple[tuple[str, float], ...]


def mistake_facts(judge: Judge, competition: Competition, album: Album, plots: Plots) -> dict[str, Any]:
    """Return what the template tells of mistakes, its plots drawn."""
    said = judge.scored.argmax(axis=1)
    n_wrong = int((said != judge.truth).sum())
    return {
        "n_wrong": n_wrong,
        "pairs": pairs(judge, said),
        "matrices": matrices(judge, competition, said, plots),
        "surest": [_shown(one, album) for one in surest(judge)],
    }


def pairs(judge: Judge, said: np.ndarray) -> list[tuple[str, str, int, int]]:
    """Return the pairs of classes that are mistaken for one another most: both names, and how often each way."""
    counts = confusion(judge, said)
    np.fill_diagonal(counts, 0)
    together = np.triu(counts + counts.T)
    order = np.argsort(-together, axis=None, kind="stable")[:PAIRS]
    places = [divmod(int(place), counts.shape[1]) for place in order]
    names = judge.dataset.classes
    return [(names[i], names[j], int(counts[i, j]), int(counts[j, i])) for i, j in places if together[i, j]]


def confusion(judge: Judge, said: np.ndarray) -> np.ndarray:
    """Return (C, C) how many rows of a class (truth, down) got which answer (across)."""
    n = len(judge.dataset.classes)
    return np.bincount(judge.truth * n + said, minlength=n * n).reshape(n, n)


def matrices(judge: Judge, competition: Competition, said: np.ndarray, plots: Plots) -> list[Plot]:
    """Return the confusion between phyla, and within each between the families mistaken most; of all families where few."""
    names = judge.dataset.classes
    counts = confusion(judge, said)
    if len(names) <= WHOLE:
        return [_matrix("confusion", "all classes", counts, names, plots)]
    phyla, of_class = _phylum_of(judge)
    if not phyla:
        kept = _most_mistaken(counts, np.arange(len(names)))
        return [
            _matrix("confusion", "the classes mistaken most", counts[np.ix_(kept, kept)], _named(names, kept), plots)
        ]
    word = condition_name(competition)
    between = np.zeros((len(phyla), len(phyla)), int)
    np.add.at(between, (of_class[judge.truth], of_class[said]), 1)
    found = [_matrix("confusion-between", f"each {word}", between, phyla, plots)] if len(phyla) > 1 else []
    for index, phylum in enumerate(phyla):
        kept = _most_mistaken(counts, np.flatnonzero(of_class == index))
        if len(kept) > 1:
            what = f"the classes of {phylum} mistaken most"
            found.append(_matrix(f"confusion-{index}", what, counts[np.ix_(kept, kept)], _named(names, kept), plots))
    return found


def _named(names: list[str], kept: np.ndarray) -> list[str]:
    return [names[index] for index in kept.tolist()]


def _phylum_of(judge: Judge) -> tuple[list[str], np.ndarray]:
    """Return the phyla, the most frequent first, and (C,) which one each class is of, the most frequent where several."""
    groups, which = charts.series_of(judge.condition.tolist())
    if groups == [""]:
        return [], np.empty(0, int)
    counts = np.zeros((len(judge.dataset.classes), len(groups)), int)
    np.add.at(counts, (judge.truth, which), 1)
    return [name or "(none)" for name in groups], counts.argmax(axis=1)


def _most_mistaken(counts: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return the classes that take part in most mistakes among some, in the order of their names."""
    inside = counts[np.ix_(among, among)].copy()
    np.fill_diagonal(inside, 0)
    n_mistakes = inside.sum(axis=0) + inside.sum(axis=1)
    order = np.argsort(-n_mistakes, kind="stable")[:IN_MATRIX]
    return np.sort(among[order[n_mistakes[order] > 0]])


def _matrix(name: str, what: str, counts: np.ndarray, names: list[str], plots: Plots) -> Plot:
    right, n = int(np.trace(counts)), int(counts.sum())
    off = counts.copy()
    np.fill_diagonal(off, 0)
    i, j = np.unravel_index(int(off.argmax()), off.shape)
    most = f"; most often {names[i]} is answered as {names[j]} ({off[i, j]})" if off.max() else ""
    alt = f"Confusion between {what}: {right} of {n} on the diagonal{most}."
    side = min(4.8, 1.7 + 0.34 * len(names))
    return plots.draw(
        name, alt, f"Who is mistaken for whom: {what}.",
        lambda figure: charts.matrix(figure, counts, names, names), (side, max(2.2, side)),
    )  # fmt: skip


def surest(judge: Judge) -> list[Mistake]:
    """Return the mistakes in which the answer is likeliest and the truth least likely."""
    found = find_suspects(judge.ids, judge.truth, judge.scored, judge.dataset.classes).head(MOST_MISTAKES)
    position = {row_id: row for row, row_id in enumerate(judge.ids)}
    return [told(judge, position[row_id]) for row_id in found["id"]]


def told(judge: Judge, row: int) -> Mistake:
    """Return one scored row with its likeliest answers."""
    names = judge.dataset.classes
    order = np.argsort(-judge.scored[row], kind="stable")[:TOP]
    sha = str(judge.dataset.in_folds["sha"].to_numpy(dtype=object)[judge.counted][row])
    top = tuple((names[place], float(judge.scored[row, place])) for place in order)
    return Mistake(row, judge.ids[row], sha, names[judge.truth[row]], top)


def _shown(one: Mistake, album: Album) -> dict[str, Any]:
    alt = f"a photo of {one.truth} that is answered as {one.top[0][0]}"
    return {"mistake": one, "photo": album.photo(one.sha, alt)}
