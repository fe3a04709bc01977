"""A tiny competition of drawn words in the layout of the IAM words: letters of a few strokes, slanted and noisy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from comp.registry import load_competition
from comp.spec import Candidate, Competition, Recipe
from comp.tables import Tables, read_tables
from comp.twins import no_twins
from folds.dataset import Dataset, make_dataset
from folds.runs import RunPlan
from tests.made import PixelSpec, read_all

VOCABULARY = ("al", "la", "oil", "toll", "lot", "tail", "a", "total", "o.", "ill")
HEIGHT = 16
WORDS: Competition = replace(load_competition("handwriting"), name="mini", pixels=HEIGHT, n_folds=3)
FACTS = '''"""A mini competition of drawn words."""

from dataclasses import replace

from comp.registry import load_competition

COMPETITION = replace(load_competition("handwriting"), name="mini", pixels=16, n_folds=2)
'''


def make_words(folder: Path, n_pages: int = 6, n_a_page: int = 10, n_test: int = 6) -> Path:
    """Write words.txt, words/, test/ and sample_submission.csv; the same bytes each time."""
    random = np.random.default_rng(2026)
    lines = ["# word_id ok graylevel x y w h tag transcription"]
    for page in range(n_pages):
        for i in range(n_a_page):
            name, text = f"p{page}-0{i % 2}-{i:02d}", VOCABULARY[(page + i) % len(VOCABULARY)]
            picture = draw(text, random)
            write(folder / "words" / f"p{page}" / f"p{page}-0{i % 2}" / f"{name}.png", picture)
            lines.append(f"{name} ok 0 0 0 {picture.shape[1]} {picture.shape[0]} XX {text}")
    (folder / "words.txt").write_text("\n".join(lines) + "\n")
    ids = [f"t{i:02d}" for i in range(n_test)]
    for i, name in enumerate(ids):
        write(folder / "test" / f"{name}.png", draw(VOCABULARY[i], random))
    if n_test:
        (folder / "sample_submission.csv").write_text("id,text\n" + "".join(f"{name},the\n" for name in ids))
    return folder


def write(path: Path, picture: np.ndarray) -> None:
    """Write a picture, its folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)


def draw(text: str, random: np.random.Generator) -> np.ndarray:
    """Return a word, dark on light: (24, W) uint8."""
    width = 12 * len(text) + 8
    picture = np.full((24, width), 210, np.uint8)
    for i, letter in enumerate(text):
        place = (4 + 12 * i + int(random.integers(-1, 2)), 19)
        cv2.putText(picture, letter, place, cv2.FONT_HERSHEY_PLAIN, 1.2, int(random.integers(10, 60)), 1)
    noise = random.normal(0, 6, picture.shape)
    return np.asarray(np.clip(picture + noise, 0, 255), np.uint8)


def words_dataset(folder: Path, n_test: int = 6) -> tuple[Dataset, Tables]:
    """Return the fold table of a made folder; cache/ and runs/ lie in the current folder."""
    tables = read_tables(WORDS, make_words(folder, n_test=n_test))
    photos = read_all(tables, [PixelSpec(HEIGHT, 1, "height")])
    return make_dataset(tables, photos, no_twins(len(tables.train)), WORDS.n_folds), tables


def words_plan(dataset: Dataset, seed: int = 0, **recipe: object) -> RunPlan:
    """Return the plan of a tiny run over a made fold table."""
    made = Recipe(**{"pixels": HEIGHT, "epochs": 2, "batch_size": 8, "width": 8, "strength": 0.3, **recipe})  # type: ignore[arg-type]
    return RunPlan(
        candidate=Candidate("crnn", "tiny", "scratch", HEIGHT),
        recipe=made,
        seed=seed,
        facts=WORDS.facts_in_key(),
        data8=dataset.data8,
        threads=1,
        backend="tensorflow",
    )
