"""What the models of one finished fold say of photos, view by view: the jobs behind predictions, which need Keras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from comp.engine import Report
from comp.errors import Refused
from comp.store import read_marker, write_array
from folds.batches import predict_by_view
from folds.condition import OTHERS, Part, one_hot, parts_of, values_of
from folds.dataset import Dataset
from folds.fit import Fold, fresh_network, predict_size
from folds.oof import mean_of_tables
from folds.runs import MODEL, fold_dir
from folds.train import gather


def predict_fold(
    report: Report,
    run: str,
    fold: int,
    shas: list[str],
    conditions: list[str],
    cache_dir: str,
    weights: str,
    out: str,
    n_views: int,
) -> str:
    """Ask the model of one fold, or the models of its parts, about photos; return the file of their probabilities.

    Raises:
        Refused: If the fold is not finished.
    """
    found = answers_by_view(Path(run), fold, Path(cache_dir), weights, n_views, lambda _: (shas, conditions))
    write_array(Path(out), mean_of_tables(found.tables))
    return out


@dataclass(frozen=True, eq=False)
class ByView:
    """What a fold's models say of photos: (V, N, C) float32 probabilities, one table a view."""

    dataset: Dataset
    tables: np.ndarray


def answers_by_view(
    run: Path,
    fold: int,
    cache_dir: Path,
    weights: str,
    n_views: int,
    photos_of: Callable[[Dataset], tuple[list[str], list[str]]],
) -> ByView:
    """Return what the models of a finished fold say of photos, under each of the first views, as far as there are.

    Args:
        photos_of: From the fold table to the content hashes of the photos and what is known of each besides.

    Raises:
        Refused: If the fold is not finished.
    """
    if read_marker(fold_dir(run, fold)) is None:
        raise Refused(f"{fold_dir(run, fold)} is not a finished fold; run the command that makes it again")
    found = gather(run, fold, cache_dir, weights, is_to_fit=False)
    answer = _split if found.recipe.condition == "split" else _whole
    return ByView(found.dataset, answer(found, *photos_of(found.dataset), min(n_views, found.inputs.n_views)))


def _whole(fold: Fold, shas: list[str], conditions: list[str], n_views: int) -> np.ndarray:
    network = fresh_network(fold)
    network.load_weights(fold.folder / MODEL)
    known = one_hot(conditions, values_of(fold.dataset)) if fold.recipe.condition == "input" else None
    size = predict_size(fold)
    return predict_by_view(network, fold.inputs, shas, n_views, size, known)


def _split(fold: Fold, shas: list[str], conditions: list[str], n_views: int) -> np.ndarray:
    """Return (V, N, C): each photo answered by the model of its value, or as if the condition were not used where none is known."""
    table = np.zeros((n_views, len(shas), len(fold.dataset.classes)), np.float32)
    parts = parts_of(fold.dataset, fold.train_rows, {"new": conditions})
    for part in parts:
        rows = part.asked["new"]
        if not len(rows):
            continue
        mine = [shas[row] for row in rows.tolist()]
        if part.name == OTHERS and not (fold.folder / OTHERS / MODEL).is_file():
            table[:, rows] = _averaged(fold, parts[:-1], mine, n_views)
        else:
            table[:, rows] = _of_part(fold, part, mine, n_views)
    return table


def _averaged(fold: Fold, parts: list[Part], shas: list[str], n_views: int) -> np.ndarray:
    """Return (V, n, C) for photos of no known value, where no row of the fold had needed a model for such.

    That is the mean of the models of all values, each weighted by its train rows: as likely as a photo is to have that value.
    """
    n_rows = sum(len(part.train_rows) for part in parts)
    answers = [len(part.train_rows) / n_rows * _of_part(fold, part, shas, n_views) for part in parts]
    return np.asarray(np.sum(answers, axis=0), np.float32)


def _of_part(fold: Fold, part: Part, shas: list[str], n_views: int) -> np.ndarray:
    """Return (V, n, C) probabilities of photos that one part answers; classes that it does not know have 0."""
    table = np.zeros((n_views, len(shas), len(fold.dataset.classes)), np.float32)
    if len(part.classes) == 1:  # there is no model
        table[:, :, part.classes] = 1
    else:
        sub: Any = replace(fold, folder=fold.folder / part.name, classes=part.classes)
        table[:, :, part.classes] = _whole(sub, shas, [], n_views)
    return table
