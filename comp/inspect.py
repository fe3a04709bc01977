"""What was found in a competition's folder: counts, sizes, modes, unreadable files, twins, and one picture of it all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from comp.console import progress, relative, say, show_facts, show_table
from comp.engine import Engine
from comp.images import CACHE, ImageStore, PhotoFacts, PixelSpec, cache_images, unreadable_table
from comp.store import replacing, write_text
from comp.tables import Tables
from comp.twins import THUMBNAIL, twins_of_table

SHEET = PixelSpec(96, channels=3, resize="pad")
SHEET_COLUMNS = 12
SHEET_LARGEST = 96  # photos on the contact sheet
LISTED = 3


def inspect(tables: Tables, engine: Engine, out_dir: Path) -> Path:
    """Print what was found in the tables and photos; write the counts of all classes and a contact sheet; return its path."""
    test = [] if tables.test is None else tables.test["path"].tolist()
    paths = [*tables.train["path"].tolist(), *test]
    with progress("photos", len(set(paths)), "photos") as listener:
        found = cache_images(tables.data_dir, paths, [SHEET, THUMBNAIL], engine, listener, CACHE)
    photos = dict(zip(paths, found, strict=True))
    _show_counts(tables)
    _write_counts(tables, out_dir / "classes.csv")
    _show_photos(list(photos.values()))
    _show_unreadable(photos, out_dir)
    _show_twins(tables, photos)
    return contact_sheet(tables, photos, out_dir / "contact_sheet.png")


def _show_counts(tables: Tables) -> None:
    counts = tables.train["label"].value_counts()
    n_test = "none, a tenth of train is held out" if tables.test is None else f"{len(tables.test):,}"
    show_facts(
        f"{tables.competition.name}: {relative(tables.data_dir)}",
        [
            ("train rows", f"{len(tables.train):,}"),
            ("test rows", n_test),
            ("classes", f"{len(counts)}, {counts.min()} to {counts.max()} rows each, median {counts.median():.0f}"),
            ("largest", _named(counts.head(LISTED))),
            ("smallest", _named(counts.tail(LISTED))),
            *[("", note) for note in tables.notes],
        ],
    )
    if "condition" in tables.train:
        by = tables.train.groupby("condition")["label"].agg(["size", "nunique"]).sort_values("size", ascending=False)
        rows = [[str(name), f"{row['size']:,}", str(row["nunique"])] for name, row in by.iterrows()]
        show_table("", [str(tables.competition.condition_column), "train rows", "classes"], rows)


def _write_counts(tables: Tables, path: Path) -> None:
    """Write the train rows of each class, and of each phylum in it where the competition knows one, in order."""
    names = {"label": "class", "condition": str(tables.competition.condition_column)}
    by = [name for name in names if name in tables.train]
    counts = tables.train.groupby(by).size().rename("rows").reset_index()
    write_text(path, counts.rename(columns=names).to_csv(index=False, lineterminator="\n"))
    say(f"train rows of every class: in {relative(path)}")


def _named(counts: object) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items())  # type: ignore[attr-defined]


def _show_photos(photos: Sequence[PhotoFacts]) -> None:
    readable = [photo for photo in photos if not photo.unreadable]
    if not readable:
        return
    sides = np.array([(photo.width, photo.height) for photo in readable])
    modes = Counter(photo.mode for photo in readable)
    n_cut = sum(photo.is_cut_short for photo in readable)
    show_facts(
        "photos",
        [
            ("width", _range(sides[:, 0])),
            ("height", _range(sides[:, 1])),
            ("modes", ", ".join(f"{mode} {n:,}" for mode, n in modes.most_common())),
            ("cut short", f"{n_cut:,}"),
        ],
    )


def _range(values: np.ndarray) -> str:
    return f"{values.min()} to {values.max()} px, median {np.median(values):.0f}"


def _show_unreadable(photos: dict[str, PhotoFacts], out_dir: Path) -> None:
    bad = {path: photo.unreadable for path, photo in photos.items() if photo.unreadable}
    if not bad:
        say("unreadable: none")
        return
    path = out_dir / "unreadable.csv"
    write_text(path, unreadable_table(bad))
    first = ", ".join(f"{name} ({why})" for name, why in list(bad.items())[:LISTED])
    say(f"unreadable: {len(bad)}, the first {first}; all in {relative(path)}")


def _show_twins(tables: Tables, photos: dict[str, PhotoFacts]) -> None:
    if not tables.competition.twins:
        say("near-duplicates: not looked for in this competition")
        return
    twins = twins_of_table(tables, photos)
    names = [path for path in tables.train["path"] if not photos[path].unreadable]
    say(
        f"near-duplicates: {len(twins.pairs)} pairs, {len(twins.across)} across classes, {len(twins.oversized)} crowds over 30"
    )
    for i, j in [*twins.across, *twins.pairs][:LISTED]:
        say(f"  {names[i]}  ~  {names[j]}")


def contact_sheet(tables: Tables, photos: dict[str, PhotoFacts], path: Path) -> Path:
    """Write a PNG with one photo a class (classes after the 96th are left out), named below each, and return its path."""
    from PIL import Image, ImageDraw

    readable = tables.train[[not photos[name].unreadable for name in tables.train["path"]]]
    firsts = readable.groupby("label").head(1).sort_values("label").head(SHEET_LARGEST)
    pixels = ImageStore(SHEET, CACHE).gather([photos[name].sha for name in firsts["path"]])
    side, line = SHEET.pixels + 4, 14
    n_rows = -(-len(firsts) // SHEET_COLUMNS)
    sheet = Image.new("RGB", (SHEET_COLUMNS * side, max(1, n_rows) * (side + line)), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (photo, label) in enumerate(zip(pixels, firsts["label"], strict=True)):
        x, y = index % SHEET_COLUMNS * side, index // SHEET_COLUMNS * (side + line)
        sheet.paste(Image.fromarray(photo), (x + 2, y + 2))
        draw.text((x + 2, y + side - 1), label[:16], fill="black")
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")
    return path
