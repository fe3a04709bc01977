"""From the plan to a fold table: photos into the cache, twins found, folds assigned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from comp.console import progress, relative, say
from comp.engine import Engine, Event, Job, Listener, open_engine
from comp.errors import BadInput
from comp.images import CACHE, FileIndex, ImageStore, PhotoFacts, cache_images, unread
from comp.store import write_text
from comp.twins import THUMBNAIL, Twins, find_twins, no_twins
from folds.cv import fold_jobs, train_runs
from folds.dataset import Dataset, make_dataset, readable_train
from folds.oof import Predictions
from folds.runs import other_datasets
from submissions.plan import Plan

UNREADABLE_LISTED = 3


def read_photos(plan: Plan, engine: Engine) -> dict[str, PhotoFacts]:
    """Bring all photos of the plan into the cache and return what is known of each, by path."""
    paths = plan.photo_paths
    stores = [ImageStore(spec, CACHE) for spec in plan.specs]
    n_unread = len(unread(FileIndex(plan.source.folder, CACHE, stores), paths, stores))
    with _bar_if("photos", n_unread, "photos") as listener:
        facts = cache_images(plan.source.folder, paths, plan.specs, engine, listener, CACHE)
    return dict(zip(paths, facts, strict=True))


@contextmanager
def _bar_if(label: str, total: float, unit: str = "") -> Iterator[Listener]:
    if not total:
        yield _only_notes
        return
    with progress(label, total, unit) as listener:
        yield listener


def _only_notes(event: Event) -> None:
    if event.kind == "note":
        say(event.value)


def fold_table(plan: Plan, photos: dict[str, PhotoFacts]) -> Dataset:
    """Return the table under its folds; unreadable rows are counted and named in a file, twins kept together."""
    train = readable_train(plan.tables, photos)
    twins = _twins(plan, train["label"].tolist(), [photos[path].sha for path in train["path"]])
    if not len(train):
        raise BadInput(f"{plan.source.folder}: none of its {len(plan.tables.train)} train photos can be read")
    dataset = make_dataset(plan.tables, photos, twins, plan.n_folds)
    others = other_datasets(plan.competition.name, dataset.data8)
    if others:
        say(f"this table and these folds have their own folder, {relative(dataset.folder)}; runs of others are not mixed in")
    _tell_unreadable(plan, photos, dataset)
    _tell_twins(dataset)
    return dataset


def _twins(plan: Plan, labels: list[str], shas: list[str]) -> Twins:
    if not plan.competition.twins:
        return no_twins(len(labels))
    return find_twins(ImageStore(THUMBNAIL, CACHE).gather(shas)[..., 0], labels)


def _tell_unreadable(plan: Plan, photos: dict[str, PhotoFacts], dataset: Dataset) -> None:
    tables = plan.tables
    bad_train = [path for path in tables.train["path"] if photos[path].unreadable]
    bad_test = [] if tables.test is None else [path for path in tables.test["path"] if photos[path].unreadable]
    if not bad_train and not bad_test:
        return
    path = dataset.folder / "unreadable.csv"
    lines = [f'"{name}",{photos[name].unreadable}' for name in [*bad_train, *bad_test]]
    write_text(path, "\n".join(["path,why", *lines]) + "\n")
    say(
        f"unreadable photos: {len(bad_train)} train rows left out, {len(bad_test)} test rows get the prior "
        f"(named in {relative(path)})"
    )


def _tell_twins(dataset: Dataset) -> None:
    facts = dataset.facts
    if facts["twins_joined"] or facts["twins_across_classes"] or facts["crowds_not_joined"]:
        say(
            f"near-duplicates: {len(facts['twins_joined'])} pairs kept in one fold, "
            f"{len(facts['twins_across_classes'])} pairs across classes and {len(facts['crowds_not_joined'])} crowds only listed "
            f"(in {relative(dataset.folder / 'dataset.json')})"
        )
    if facts["classes_left_out"]:
        n_left_out, n_classes = len(facts["classes_left_out"]), len(dataset.classes)
        say(f"{n_left_out} of {n_classes} classes have fewer groups than folds: trained on, and left out of the score")


def train(plan: Plan, dataset: Dataset, engine: Engine) -> dict[str, Predictions]:
    """Train what is not trained yet and return each run's predictions, by the run's name."""
    runs = plan.runs(dataset.data8)
    jobs: list[Job] = fold_jobs(runs, dataset, CACHE)
    with _bar_if(f"training {len(jobs)} folds", sum(job.size for job in jobs)) as listener:
        predictions = train_runs(runs, dataset, engine, listener, CACHE)
    return {run.name: found for run, found in zip(runs, predictions, strict=True)}


def open_planned_engine(plan: Plan) -> Engine:
    """Return the engine that the person asked for."""
    return open_engine(plan.settings.engine, plan.settings.jobs)
