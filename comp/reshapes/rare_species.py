"""Rare Species as Hugging Face publishes it, into the layout that the course hands out: one metadata.csv that names photos.

    metadata/rarespecies-catalog.csv    rarespecies_id, eol_content_id, eol_page_id, kingdom, phylum, ..., family, ...
    dataset/<seven ranks>/<eol_content_id>_<eol_page_id>_eol-full-size-copy.jpg

Source: the data card of imageomics/rare-species; names of ranks are written in small letters, as the course does.
"""

from __future__ import annotations

import csv
from pathlib import Path

from comp.errors import Refused
from comp.store import replacing
from comp.tables import read_csv, shown

CATALOG = "metadata/rarespecies-catalog.csv"
COLUMNS = ["rare_species_id", "eol_content_id", "eol_page_id", "kingdom", "phylum", "family", "file_path"]


def reshape(folder: Path) -> None:
    """Write metadata.csv for the photos that lie in a downloaded folder; no photo is moved or changed.

    Raises:
        Refused: If the catalog lacks a column, or names photos that did not come.
    """
    catalog = read_csv(folder / CATALOG).rename(columns={"rarespecies_id": "rare_species_id"})
    lacking = [name for name in COLUMNS[:-1] if name not in catalog.columns]
    if lacking:
        raise Refused(f"{CATALOG} lacks the column {lacking[0]!r}: the data set has changed; expected {COLUMNS[:-1]}")
    paths = {"_".join(path.name.split("_")[:2]): path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}
    keys = [f"{content}_{page}" for content, page in catalog[["eol_content_id", "eol_page_id"]].itertuples(index=False)]
    absent = [key for key in keys if key not in paths]
    if absent:
        raise Refused(f"{CATALOG} names {len(absent):,} photos that did not come (first: {shown(absent)}); try again")
    for rank in ("kingdom", "phylum", "family"):
        catalog[rank] = catalog[rank].str.lower()
    rows = catalog.assign(file_path=[paths[key] for key in keys])[COLUMNS]
    with replacing(folder / "metadata.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows.itertuples(index=False)])
