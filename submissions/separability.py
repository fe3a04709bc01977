"""Are train and test alike? How well a simple model tells a train row from a test row by its features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from comp.chunks import ChunkStore
from comp.images import CACHE, ImageStore
from comp.metrics import Floats, metric
from folds.banks import banks_of
from folds.dataset import Dataset
from folds.runs import plan_of
from submissions.stored import finished_runs, is_outside

LARGEST = 2000  # rows of each side that are looked at: enough for an error of 0.01
GRID = 8  # side of the grid that photos are averaged over, where no run has features
ALIKE, APART = 0.55, 0.7
N_FOLDS = 5


def separability(train: Floats, test: Floats) -> float:
    """Return the area under the ROC curve of telling test rows from train rows: 0.5 where they are alike, 1 where not at all.

    By logistic regression on standardised features, each row told by a model that did not see it. The same rows give the
    same number on one machine.

    Args:
        train, test: (N, D) and (M, D) features.

    Source: Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests" (ICLR 2017).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = np.concatenate([train, test]).astype(np.float64)
    is_test = np.repeat([0, 1], [len(train), len(test)])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000, class_weight="balanced"))
    splits = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0)
    told = cross_val_predict(model, features, is_test, cv=splits, method="predict_proba")
    return metric("auc").function(is_test, told)


def separability_line(dataset: Dataset, photos: ImageStore) -> str:
    """Return how alike train and test are, as one line; '' where one of them has too few rows to tell."""
    random = np.random.default_rng(0)
    train, test = (_drawn(rows["sha"].tolist(), random) for rows in (dataset.in_folds, dataset.readable_test))
    if min(len(train), len(test)) < 2 * N_FOLDS:
        return ""
    features, what = features_of(dataset, [*train, *test], photos)
    area = separability(features[: len(train)], features[len(train) :])
    words = (
        "they are alike" if area < ALIKE else "they differ a little" if area < APART else "they differ: CV may mislead"
    )
    return f"train against test: told apart with AUC {area:.3f} by {what} (0.5: not at all); {words}"


def _drawn(shas: list[str], random: np.random.Generator) -> list[str]:
    """Return at most LARGEST photos, each once: a photo that is there twice would be in two parts."""
    each = sorted(set(shas))
    return each if len(each) <= LARGEST else [each[i] for i in np.sort(random.permutation(len(each))[:LARGEST])]


def features_of(dataset: Dataset, shas: Sequence[str], photos: ImageStore) -> tuple[Floats, str]:
    """Return (N, D) features of photos and whose they are: of a frozen backbone of a run where stored, else mean colours."""
    for run in finished_runs(dataset.folder):
        if is_outside(run) or plan_of(run).candidate.fit != "probe":
            continue
        plan = plan_of(run)
        store = ChunkStore(banks_of(plan)[0].folder(CACHE))
        if all(sha in store for sha in shas):
            rows = store.gather(shas).astype(np.float32)
            return rows.reshape(len(rows), -1), f"the features of {plan.candidate}"
    pixels = photos.gather(shas).astype(np.float32)
    side = pixels.shape[1] // GRID
    cells = pixels.reshape(len(pixels), GRID, side, GRID, side, -1).mean(axis=(2, 4))
    return cells.reshape(len(pixels), -1), f"mean colours of {GRID} x {GRID} cells"
