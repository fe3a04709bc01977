"""Small things that tests make: a competition of coloured squares, its folder, its fold table."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from comp.engine import ignore_events
from comp.engines.inline import InlineEngine
from comp.images import CACHE, PhotoFacts, PixelSpec, cache_images
from comp.spec import Candidate, Competition, Recipe
from comp.tables import Tables, read_tables
from comp.twins import no_twins
from folds.dataset import Dataset, make_dataset
from folds.runs import RunPlan

CLASSES = ("amber", "blue", "coral")
COLOURS = {"amber": (230, 180, 40), "blue": (40, 60, 200), "coral": (240, 110, 90)}
SQUARES = Competition(
    name="squares",
    title="Colour of a square",
    layout="table",
    id_column="id",
    target_column="colour",
    path_column="photo",
    submission="label",
    pixels=16,
    twins=False,
    n_folds=3,
)
RECIPE = Recipe(pixels=16, epochs=3, batch_size=8, width=8)


def make_squares(folder: Path, n_rows: int = 36, n_test: int = 6, noise: float = 20.0) -> Path:
    """Write a folder of the competition `squares`: train.csv, test.csv, sample_submission.csv and photos."""
    random = np.random.default_rng(1)
    (folder / "photos").mkdir(parents=True)
    rows = []
    for i in range(n_rows + n_test):
        label = CLASSES[i % 3]
        pixels = np.clip(np.array(COLOURS[label]) + random.normal(0, noise, (16, 16, 3)), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / "photos" / f"{i:03d}.png"), pixels[..., ::-1])
        rows.append({"id": f"{i:03d}", "photo": f"photos/{i:03d}.png", "colour": label})
    table = pd.DataFrame(rows)
    table.iloc[:n_rows].to_csv(folder / "train.csv", index=False)
    if n_test:
        test = table.iloc[n_rows:]
        test[["id", "photo"]].to_csv(folder / "test.csv", index=False)
        test[["id"]].assign(colour="amber").to_csv(folder / "sample_submission.csv", index=False)
    return folder


def squares_dataset(folder: Path, specs: list[PixelSpec] | None = None, n_test: int = 6) -> tuple[Dataset, Tables]:
    """Return the fold table of a made folder; cache/ and runs/ lie in the current folder."""
    tables = read_tables(SQUARES, make_squares(folder, n_test=n_test))
    photos = read_all(tables, specs or [PixelSpec(16)])
    return make_dataset(tables, photos, no_twins(len(tables.train)), 3), tables


def read_all(tables: Tables, specs: list[PixelSpec]) -> dict[str, PhotoFacts]:
    """Bring the photos of tables into cache/ of the current folder."""
    paths = [*tables.train["path"], *([] if tables.test is None else tables.test["path"])]
    facts = cache_images(tables.data_dir, paths, specs, InlineEngine(), ignore_events, CACHE)
    return dict(zip(paths, facts, strict=True))


def run_plan(dataset: Dataset, recipe: Recipe | None = None, seed: int = 0, backbone: str = "mlp") -> RunPlan:
    """Return the plan of a tiny run over a made fold table, of the backbone whose step is traced fastest."""
    recipe = recipe or RECIPE
    return RunPlan(
        candidate=Candidate(backbone, "tiny", "scratch", recipe.pixels),
        recipe=recipe,
        seed=seed,
        facts=SQUARES.facts_in_key(),
        data8=dataset.data8,
        threads=1,
        backend="tensorflow",
    )
