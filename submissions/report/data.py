"""The report's first section: what is asked, what the photos are like, and how the folds share families and groups."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from comp.images import PhotoFacts
from comp.spec import Competition
from comp.tables import read_csv
from folds.assign import HOLDOUT
from folds.dataset import Dataset
from submissions.report import charts
from submissions.report.photos import Album, Photo
from submissions.report.theme import Plots
from submissions.report.words import condition_name, metric_words

MOST_IN_GALLERY = 2000
FEW = 300  # families up to which the gallery's photos are of the larger size
SIDES = (96, 64)
SHOWN = 5


def data_facts(dataset: Dataset, competition: Competition, album: Album, plots: Plots) -> dict[str, Any]:
    """Return what the template tells of the data, its plots drawn."""
    train = dataset.train
    counts = train["label"].value_counts()
    is_classes = competition.task == "classify"
    return {
        "competition": competition,
        "metric_words": metric_words(competition.metric),
        "sources": _sources(competition),
        "n_train": len(train),
        "n_test": len(dataset.test),
        "n_classes": len(counts),
        "smallest": int(counts.min()),
        "median": float(counts.median()),
        "largest": int(counts.max()),
        "phyla": _phyla(dataset, competition) if is_classes else None,
        "photos": _photos(list(album.facts.values()), plots),
        "unreadable": _unreadable(dataset),
        "twins": _twins(dataset),
        "folds": _folds(dataset, is_classes),
        "plots": _plots(dataset, competition, plots) if is_classes else [],
        "gallery": gallery(dataset, album) if is_classes else [],
    }


def _sources(competition: Competition) -> list[str]:
    kaggle = [f"https://www.kaggle.com/competitions/{competition.slug}"] if competition.slug else []
    drawn = [f"the embedded sample {competition.sample}, drawn by this project"] if competition.sample else []
    return [*kaggle, *(source.partition("#")[0] for source in competition.sources), *drawn]


def conditions_of(dataset: Dataset) -> list[str]:
    """Return the values of the condition among the train rows, the most frequent first; empty where nothing is known."""
    counts = dataset.train["condition"].value_counts()
    return [] if set(counts.index) <= {""} else [str(name) for name in counts.index]


def _phyla(dataset: Dataset, competition: Competition) -> dict[str, Any] | None:
    """Return the table by phylum, or None where the competition has none."""
    names = conditions_of(dataset)
    if not names:
        return None
    train, test = dataset.train, dataset.test
    rows = []
    for name in names:
        inside = train[train["condition"] == name]
        counts = inside["label"].value_counts()
        n_test = int((test["condition"] == name).sum()) if "condition" in test else 0
        sizes = f"{counts.min()} to {counts.max()}"
        rows.append(
            [
                name or "(none)",
                f"{len(inside):,}",
                f"{100 * len(inside) / len(train):.1f} %",
                f"{len(counts)}",
                sizes,
                f"{n_test:,}",
            ]
        )
    word = condition_name(competition)
    columns = [word, "train photos", "share", "classes", "photos a class", "test photos"]
    return {"word": word, "columns": columns, "rows": rows}


def _photos(facts: list[PhotoFacts], plots: Plots) -> dict[str, Any] | None:
    """Return sizes and modes of the photos, or None where nothing is known of them any more."""
    if not facts:
        return None
    widths = np.array([photo.width for photo in facts])
    heights = np.array([photo.height for photo in facts])
    modes = Counter(photo.mode for photo in facts).most_common()
    alt = f"Scatter of {len(facts)} photos: widths {widths.min()} to {widths.max()}, heights {heights.min()} to {heights.max()} pixels."
    plot = plots.draw(
        "photo-sizes", alt, "Sizes of the photos; a larger dot stands for more photos.",
        lambda figure: charts.photo_sizes(figure, widths, heights),
    )  # fmt: skip
    return {
        "n": len(facts),
        "width": _range(widths),
        "height": _range(heights),
        "modes": [(mode, f"{n:,}") for mode, n in modes],
        "n_cut": sum(photo.is_cut_short for photo in facts),
        "plot": plot,
    }


def _range(values: np.ndarray) -> str:
    return f"{values.min():,} to {values.max():,}, median {np.median(values):,.0f}"


def _unreadable(dataset: Dataset) -> list[list[str]]:
    path = dataset.folder / "unreadable.csv"
    return read_csv(path)[["path", "why"]].to_numpy().tolist() if path.is_file() else []


def _twins(dataset: Dataset) -> dict[str, Any]:
    facts = dataset.facts
    return {
        "looked_for": facts.get("twins", False),
        "joined": facts["twins_joined"],
        "across": facts["twins_across_classes"],
        "crowds": facts["crowds_not_joined"],
    }


def _folds(dataset: Dataset, is_classes: bool) -> dict[str, Any]:
    train = dataset.train
    inside = train[train["fold"] != HOLDOUT]
    rows = [_fold_row(fold, part, is_classes) for fold, part in train.groupby("fold")]
    by_family = inside.groupby("label")["fold"].nunique()
    group = dataset.facts.get("group_column")
    straddling = int((inside.groupby("group")["fold"].nunique() > 1).sum()) if group else 0
    fold_of = dict(zip(train["id"], train["fold"], strict=True))
    apart = sum(fold_of.get(a) != fold_of.get(b) for a, b in dataset.facts["twins_joined"])
    return {
        "n": dataset.n_folds,
        "seed": dataset.facts["fold_seed"],
        "rows": rows,
        "everywhere": int((by_family == dataset.n_folds).sum()),
        "left_out": len(dataset.facts["classes_left_out"]),
        "group": group,
        "n_groups": int(inside["group"].nunique()) if group else 0,
        "straddling": straddling,
        "twins_apart": apart,
        "has_holdout": dataset.facts["has_holdout"],
    }


def _fold_row(fold: Any, part: pd.DataFrame, is_classes: bool) -> list[str]:
    counts = part["label"].value_counts()
    name = "hold-out" if fold == HOLDOUT else f"fold {fold}"
    rarest = f"{counts.index[-1]}, {counts.iloc[-1]}" if is_classes else ""
    return [name, f"{len(part):,}", f"{len(counts):,}", rarest]


def _plots(dataset: Dataset, competition: Competition, plots: Plots) -> list[Any]:
    train = dataset.train
    counts = train["label"].value_counts()
    condition = train.groupby("label")["condition"].agg(lambda values: values.mode().iloc[0])
    series = [str(condition[name]) for name in counts.index]
    word = condition_name(competition)
    sizes = plots.draw(
        "photos-per-family",
        f"{len(counts)} classes with {counts.min()} to {counts.max()} train photos each, most frequent first: "
        f"{', '.join(f'{name} {n}' for name, n in counts.head(SHOWN).items())}.",
        f"Photos a class, by {word}." if any(series) else "Photos a class.",
        lambda figure: charts.family_sizes(figure, counts.tolist(), series, "classes"),
    )
    return [sizes, _fold_plot(dataset, word, plots)]


def _fold_plot(dataset: Dataset, word: str, plots: Plots) -> Any:
    train = dataset.train
    folds = sorted(train["fold"].unique())
    names = ["hold-out" if fold == HOLDOUT else f"fold {fold}" for fold in folds]
    groups, which = charts.series_of(train["condition"].tolist())
    parts = {
        name: [int(((which == index) & (train["fold"] == fold).to_numpy()).sum()) for fold in folds]
        for index, name in enumerate(groups)
    }
    rows = train["fold"].value_counts()
    return plots.draw(
        "folds",
        "Rows in each fold: "
        + ", ".join(f"{name} {rows[fold]}" for name, fold in zip(names, folds, strict=True))
        + ".",
        f"Train photos in each fold, by {word}." if any(groups) else "Train photos in each fold.",
        lambda figure: charts.fold_bars(figure, names, parts),
        (4.8, 0.9 + 0.32 * len(folds)),
    )


def gallery(dataset: Dataset, album: Album) -> list[Photo]:
    """Return one photo a family, in the order of their names; none where photos are gone."""
    side = SIDES[0] if len(dataset.classes) <= FEW else SIDES[1]
    found = []
    for row in first_rows(dataset).to_dict("records"):
        known = f" ({row['condition']})" if row["condition"] else ""
        photo = album.photo(row["sha"], f"a photo of {row['label']}{known}", [row["label"]], side)
        found += [photo] if photo else []
    return found


def first_rows(dataset: Dataset) -> pd.DataFrame:
    """Return the first train row of each family, at most 2,000."""
    return dataset.train.groupby("label").head(1).sort_values(["condition", "label"]).head(MOST_IN_GALLERY)
