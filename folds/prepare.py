"""From raw files to a fold table: tables read, photos into the cache, twins found, folds assigned, what is odd told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from comp.console import progress, relative, say, show_table
from comp.engine import Engine, Event, Listener
from comp.errors import BadInput
from comp.images import CACHE, FileIndex, ImageStore, PhotoFacts, PixelSpec, cache_images, unread, unreadable_table
from comp.registry import load_competition
from comp.sources import find_source
from comp.spec import Competition
from comp.store import write_text
from comp.tables import Tables, read_tables
from comp.twins import THUMBNAIL, twins_of_table
from folds.assign import HOLDOUT
from folds.dataset import Dataset, dataset_folder, make_dataset, readable_train
from folds.runs import other_datasets


def with_group(competition: Competition, group: str | None) -> Competition:
    """Return the competition with another group column, where one is named: that makes a fold table of its own."""
    return replace(competition, group_column=group) if group else competition


def read_competition(
    name: str, data: Path | None, data_root: Path, folds: int | None, group: str | None, allow_missing: bool
) -> tuple[Tables, int]:
    """Return a competition's tables and the number of folds asked for.

    Raises:
        BadInput: If the competition, its folder or its tables cannot be used.
    """
    competition = with_group(load_competition(name), group)
    tables = read_tables(competition, find_source(competition, data, data_root).folder, allow_missing)
    return tables, number_of_folds(tables, folds)


def number_of_folds(tables: Tables, folds: int | None) -> int:
    """Return the number of folds asked for, else the competition's own.

    Raises:
        BadInput: If it is under 2 or over the number of rows.
    """
    n_folds = tables.competition.n_folds if folds is None else folds
    if not 2 <= n_folds <= len(tables.train):
        raise BadInput(f"FOLDS={n_folds}: expected 2 to {len(tables.train)}, the number of train rows")
    return n_folds


def rows_of_fit(tables: Tables, n_folds: int) -> int:
    """Return how many rows the model of one fold is trained on, as far as the tables tell: no photo is read."""
    return len(tables.train) * (n_folds - 1) // n_folds


def check_seed(seed: int) -> None:
    """Refuse a seed of training below 0.

    Raises:
        BadInput: With what was given.
    """
    if seed < 0:
        raise BadInput(f"SEED={seed}: expected a whole number from 0 on")


def photo_paths(tables: Tables) -> list[str]:
    """Return the photos of all rows, train rows first."""
    test = [] if tables.test is None else tables.test["path"].tolist()
    return [*tables.train["path"].tolist(), *test]


def needed_specs(competition: Competition, specs: Sequence[PixelSpec]) -> list[PixelSpec]:
    """Return the kinds of pixels to have in the cache: those of the candidates, and thumbnails where twins are looked for."""
    kinds = {*specs, THUMBNAIL} if competition.twins or not specs else set(specs)
    return sorted(kinds, key=lambda spec: spec.key)


def read_photos(tables: Tables, specs: Sequence[PixelSpec], engine: Engine) -> dict[str, PhotoFacts]:
    """Bring all photos of the tables into the cache and return what is known of each, by path."""
    paths, kinds = photo_paths(tables), needed_specs(tables.competition, specs)
    with bar_if("photos", n_unread_photos(tables, specs), "photos") as listener:
        facts = cache_images(tables.data_dir, paths, kinds, engine, listener, CACHE)
    return dict(zip(paths, facts, strict=True))


def n_unread_photos(tables: Tables, specs: Sequence[PixelSpec]) -> int:
    """Return how many photos are new, changed or not yet in the cache in each of the kinds."""
    stores = [ImageStore(spec, CACHE) for spec in needed_specs(tables.competition, specs)]
    return len(unread(FileIndex(tables.data_dir, CACHE, stores), photo_paths(tables), stores))


def fold_table(tables: Tables, photos: dict[str, PhotoFacts], n_folds: int) -> Dataset:
    """Return the table under its folds; unreadable rows are counted and named in a file, twins kept together.

    Raises:
        BadInput: If no train photo can be read, or a class has fewer rows than folds.
        Refused: If the stored fold table was edited or torn.
    """
    if not len(readable_train(tables, photos)):
        raise BadInput(f"{tables.data_dir}: none of its {len(tables.train)} train photos can be read")
    others = other_datasets(tables.competition.name, dataset_folder(tables, photos, n_folds).name)
    dataset = make_dataset(tables, photos, twins_of_table(tables, photos), n_folds)
    if others:
        say(
            f"these rows and folds have their own folder, {relative(dataset.folder)}; runs over others are not mixed in"
        )
    _tell_unreadable(tables, photos, dataset)
    _tell_twins(dataset)
    return dataset


@contextmanager
def bar_if(label: str, total: float, unit: str = "") -> Iterator[Listener]:
    """Show a progress bar where there is something to do, and what jobs note in any case."""
    if not total:
        yield _only_notes
        return
    with progress(label, total, unit) as listener:
        yield listener


def _only_notes(event: Event) -> None:
    if event.kind == "note":
        say(event.value)


def _tell_unreadable(tables: Tables, photos: dict[str, PhotoFacts], dataset: Dataset) -> None:
    bad_train = {path: photos[path].unreadable for path in tables.train["path"] if photos[path].unreadable}
    test_paths = [] if tables.test is None else tables.test["path"].tolist()
    bad_test = {path: photos[path].unreadable for path in test_paths if photos[path].unreadable}
    if not bad_train and not bad_test:
        return
    path = dataset.folder / "unreadable.csv"
    write_text(path, unreadable_table({**bad_train, **bad_test}))
    say(
        f"unreadable photos: {len(bad_train)} train rows left out, {len(bad_test)} test rows get the prior "
        f"(named in {relative(path)})"
    )


def _tell_twins(dataset: Dataset) -> None:
    facts = dataset.facts
    joined, across, crowds = (facts[name] for name in ("twins_joined", "twins_across_classes", "crowds_not_joined"))
    if joined or across or crowds:
        say(
            f"near-duplicates: {len(joined)} pairs kept in one fold; only listed, {len(across)} pairs across classes and "
            f"{len(crowds)} crowds (in {relative(dataset.folder / 'dataset.json')})"
        )
    if facts["classes_left_out"]:
        n_left_out, n_classes = len(facts["classes_left_out"]), len(dataset.classes)
        say(f"{n_left_out} of {n_classes} classes have fewer groups than folds: trained on, and left out of the score")


def show_folds(dataset: Dataset) -> None:
    """Print rows, classes and the rarest class of each fold."""
    rows = []
    for fold, part in dataset.train.groupby("fold"):
        counts = part["label"].value_counts()
        name = "hold-out" if fold == HOLDOUT else str(fold)
        rows.append([name, f"{len(part):,}", str(len(counts)), f"{counts.index[-1]} {counts.iloc[-1]}"])
    show_table("", ["fold", "rows", "classes", "rarest class"], rows)
