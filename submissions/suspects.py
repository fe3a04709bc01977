"""Rows that are most likely mislabelled: a model that did not see them is sure of another class; shown with their photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from comp.console import relative, say, show_table
from comp.engine import Engine, ignore_events
from comp.errors import BadInput, Refused
from comp.images import CACHE, ImageStore, PixelSpec, cache_images
from comp.metrics import Floats
from comp.store import read_json, replacing, write_text
from comp.tables import Tables
from folds.dataset import Dataset
from submissions.separability import separability_line
from submissions.stored import Rebuilt, read_manifest, rebuild

LISTED, ON_SHEET, SHEET_COLUMNS = 10, 24, 6
SHEET = PixelSpec(128, channels=3, resize="pad")


def find_suspects(ids: list[str], truth: np.ndarray, table: Floats, classes: list[str]) -> pd.DataFrame:
    """Return every row whose label is not what its out-of-fold probabilities say, the most suspect first.

    A row is the more suspect the more probable the class said is than the label given: 1 where the model is certain and the
    label has no probability at all. A class that models tell badly fills the list with its own errors; look at the photos.

    Args:
        ids: (N,) of the rows.
        truth: (N,) class index of the label given.
        table: (N, C) out-of-fold probabilities.

    Returns:
        Columns id, label, said, p_label, p_said, margin.

    Source: Northcutt, Jiang and Chuang, "Confident Learning" (JAIR 2021), ranked by normalised margin.
    """
    rows = np.arange(len(truth))
    said = table.argmax(axis=1)
    p_label, p_said = table[rows, truth].astype(np.float64), table[rows, said].astype(np.float64)
    names = np.asarray(classes, dtype=object)
    found = pd.DataFrame(
        {
            "id": ids,
            "label": names[truth],
            "said": names[said],
            "p_label": p_label,
            "p_said": p_said,
            "margin": p_said - p_label,
        }
    )
    wrong: pd.DataFrame = found[said != truth]
    return wrong.sort_values(["margin", "id"], ascending=[False, True], kind="stable").reset_index(drop=True)


def newest_csv(dataset: Dataset) -> Path:
    """Return the CSV over a fold table that was written last.

    Raises:
        BadInput: If there is none.
    """
    manifests = sorted(
        (str(read_json(path).get("written", "")), path) for path in (dataset.folder / "submissions").glob("*.json")
    )
    if not manifests:
        raise BadInput(
            f"no CSV over fold table {dataset.data8}, whose ensemble could judge labels; make submit makes one"
        )
    return manifests[-1][1].with_suffix(".csv")


def suspects(file: Path, tables: Tables, engine: Engine) -> Path:
    """Print the most suspect rows and how alike train and test are; write suspects.csv and a sheet of photos; return its path.

    Args:
        file: A CSV of ours, whose nested out-of-fold table judges the labels.

    Raises:
        BadInput, Refused: If the CSV cannot be made again, or the tables are not those that it was made over.
    """
    made = rebuild(read_manifest(file), str(file))
    rows = made.dataset.in_folds
    found = find_suspects(rows["id"].tolist(), made.matched.truth, made.predictions.oof, made.matched.classes)
    _show(found, made, file)
    folder = made.dataset.folder
    write_text(folder / "suspects.csv", found.to_csv(index=False, float_format="%.4f", lineterminator="\n"))
    say(
        f"all {len(found):,} in {relative(folder / 'suspects.csv')}; the first {min(ON_SHEET, len(found))} on the sheet"
    )
    _say_twins(made.dataset)
    store = _photos(tables, made.dataset, engine)
    line = separability_line(made.dataset, store)
    if line:
        say(line)
    return _sheet(found.head(ON_SHEET), made.dataset, store, folder / "suspects.png")


def _show(found: pd.DataFrame, made: Rebuilt, file: Path) -> None:
    rows = [
        [one["id"], one["label"], f"{one['p_label']:.2f}", one["said"], f"{one['p_said']:.2f}"]
        for one in found.head(LISTED).to_dict("records")
    ]
    title = f"labels that {file.name} doubts most, of {len(made.matched.truth):,} out-of-fold rows"
    show_table(title, ["id", "label", "probability", "said", "probability"], rows)


def _say_twins(dataset: Dataset) -> None:
    pairs = dataset.facts.get("twins_across_classes", [])
    if pairs:
        first = " and ".join(pairs[0])
        say(f"{len(pairs)} pairs of near-equal photos have different labels, one of which is wrong; the first: {first}")


def _photos(tables: Tables, dataset: Dataset, engine: Engine) -> ImageStore:
    """Return read access to the photos of all rows, small; those that are not in the cache yet are decoded."""
    known = {*dataset.train["id"], *dataset.test["id"]}
    every = [tables.train] if tables.test is None else [tables.train, tables.test]
    paths = [path for part in every for row_id, path in zip(part["id"], part["path"], strict=True) if row_id in known]
    cache_images(tables.data_dir, paths, [SHEET], engine, ignore_events, CACHE)
    store = ImageStore(SHEET, CACHE)
    lacking = [sha for sha in dataset.in_folds["sha"] if sha not in store]
    if lacking:
        raise Refused(
            f"{tables.data_dir}: {len(lacking)} photos of fold table {dataset.data8} are not in it; name the folder that it was "
            "made from: --data folder"
        )
    return store


def _sheet(found: pd.DataFrame, dataset: Dataset, store: ImageStore, path: Path) -> Path:
    """Write a PNG with the photo of each suspect, what is said above what is given, and return its path."""
    from PIL import Image, ImageDraw

    sha_of = dict(zip(dataset.in_folds["id"], dataset.in_folds["sha"], strict=True))
    pixels = store.gather([sha_of[row_id] for row_id in found["id"]]) if len(found) else np.empty((0,))
    side, line = SHEET.pixels + 8, 14
    n_lines = max(1, -(-len(found) // SHEET_COLUMNS))
    sheet = Image.new("RGB", (SHEET_COLUMNS * side, n_lines * (side + 3 * line)), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (photo, one) in enumerate(zip(pixels, found.to_dict("records"), strict=True)):
        x, y = index % SHEET_COLUMNS * side, index // SHEET_COLUMNS * (side + 3 * line)
        sheet.paste(Image.fromarray(photo), (x + 4, y + 2))
        words = (one["id"], f"label {one['label']}", f"said {one['p_said']:.2f} {one['said']}")
        for row, text in enumerate(words):
            draw.text((x + 4, y + side - 4 + row * line), text[:22], fill="black")
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")
    return path
