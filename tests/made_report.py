"""Finished runs with wild names, and the report on them, made as a person would; nothing is trained."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from comp.engines.inline import InlineEngine
from comp.images import PixelSpec
from comp.store import write_json
from comp.tables import Tables, read_tables
from comp.twins import no_twins
from folds.dataset import Dataset, make_dataset
from folds.runs import fold_dir
from submissions.report.make import Wishes, make_report
from tests.made import CLASSES, SQUARES, make_squares, read_all
from tests.made_runs import finished_run
from tests.test_stored import submission

WILD = ('<script>alert("a")</script>', r"$\frac{a$ & b", "naïve 'family' {{ 7 * 7 }}")
COMPETITION = replace(SQUARES, condition_column="phylum", title="Which <b>square</b>?")


def wild_squares(folder: Path, n_rows: int = 36) -> tuple[Dataset, Tables]:
    """Return the fold table of coloured squares whose families, and phyla, have names that break what does not escape."""
    make_squares(folder, n_rows=n_rows)
    for name in ("train.csv", "test.csv"):
        table = pd.read_csv(folder / name, dtype=str)
        if "colour" in table:
            table["colour"] = table["colour"].map(dict(zip(CLASSES, WILD, strict=True)))
        table["phylum"] = ["<i>odd</i>" if int(row_id) % 3 else "even" for row_id in table["id"]]
        table.to_csv(folder / name, index=False)
    (folder / "sample_submission.csv").unlink()
    tables = read_tables(COMPETITION, folder)
    photos = read_all(tables, [PixelSpec(16), PixelSpec(64)])
    return make_dataset(tables, photos, no_twins(len(tables.train)), 3), tables


def with_curves(run: Path, n_folds: int, n_epochs: int = 4) -> Path:
    """Give a made run learning curves, and return it."""
    for k in range(n_folds):
        losses = (np.geomspace(2, 0.1, n_epochs) + 0.01 * k).tolist()
        write_json(fold_dir(run, k) / "history.json", {"loss": losses, "inner_loss": [], "seconds": [1.0] * n_epochs})
    return run


def wild_report(folder: Path) -> Path:
    """Return the page about an ensemble of two runs over wild squares; the current folder holds cache/ and runs/."""
    dataset, tables = wild_squares(folder / "data")
    runs = [with_curves(finished_run(dataset, seed, 1.0), dataset.n_folds) for seed in range(2)]
    submission(dataset, runs, tables)
    return make_report(dataset, COMPETITION, Wishes(data=folder / "data"), InlineEngine())


def visible(page: Path) -> str:
    """Return the text of a page without styles and pictures, entities and all."""
    text = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", page.read_text(), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())
