"""Several runs as one: their predictions averaged, out-of-fold and test alike, matched by id and class name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from comp.errors import Refused
from folds.oof import Predictions, align


def equal_mean(runs: Mapping[str, Predictions]) -> Predictions:
    """Return the mean of runs, each with the same weight.

    Raises:
        Refused: If a run has other classes, or rows missing or too many.
    """
    names = list(runs)
    first = runs[names[0]]
    for name in names[1:]:
        if runs[name].classes != first.classes:
            raise Refused(f"{name}: its classes are not those of {names[0]}; runs of one ensemble share one fold table")
    oof = [align(run.oof_ids, first.oof_ids, run.oof, f"{name}, out-of-fold") for name, run in runs.items()]
    test = [align(run.test_ids, first.test_ids, run.test, f"{name}, test rows") for name, run in runs.items()]
    return Predictions(first.oof_ids, _mean(oof), first.test_ids, _mean(test), first.classes)


def _mean(tables: list[np.ndarray]) -> np.ndarray:
    return np.asarray(np.mean(tables, axis=0, dtype=np.float64), dtype=np.float32)
