"""The plan: what a command is going to do, decided and shown before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from comp.backend import THREADS, backend_name
from comp.candidates import parse_candidates
from comp.console import relative, show_facts
from comp.engine import n_cores
from comp.errors import BadInput
from comp.images import ABSENT, CACHE, FileIndex, ImageStore, PhotoFacts, PixelSpec
from comp.registry import load_competition
from comp.sources import DATA_ROOT, Source, find_source
from comp.spec import Candidate, Competition, Recipe
from comp.tables import Tables, read_tables
from folds.cv import unfinished_folds
from folds.dataset import dataset_folder
from folds.prepare import n_unread_photos, needed_specs, number_of_folds, photo_paths, with_group
from folds.presets import DEFAULT_PRESET, complete, seconds_of_fold
from folds.runs import RunPlan, other_datasets, run_dir

SECONDS_PER_PHOTO = 0.003  # reading and decoding on one core; photos of the web's usual size


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the person asked for: one field for each variable of the Makefile."""

    competition: str = "specimens"
    data: Path | None = None
    data_root: Path = DATA_ROOT
    backbones: str | None = None
    preset: str = DEFAULT_PRESET
    folds: int | None = None
    seed: int = 0
    seeds: int = 1
    jobs: int | None = None
    engine: str = "local"
    group: str | None = None
    allow_missing: bool = False
    out: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is going to be done.

    Attributes:
        candidates: Each with variant, fit and pixels filled in, and its recipe.
        seeds: Seeds of training; the folds stay the same.
        specs: Kinds of pixels that the image cache must hold.
    """

    settings: Settings
    competition: Competition
    source: Source
    tables: Tables
    candidates: list[tuple[Candidate, Recipe]]
    seeds: list[int]
    n_folds: int
    n_jobs: int
    specs: list[PixelSpec]

    def runs(self, data8: str) -> list[RunPlan]:
        """Return the runs over the fold table `data8`: each candidate with each seed."""
        return [
            RunPlan(
                candidate=candidate,
                recipe=recipe,
                seed=seed,
                facts=self.competition.facts_in_key(),
                data8=data8,
                threads=THREADS,
                backend=backend_name(),
            )
            for candidate, recipe in self.candidates
            for seed in self.seeds
        ]


def make_plan(settings: Settings) -> Plan:
    """Read the tables and decide what is to be done; nothing is decoded or trained.

    Raises:
        BadInput: If anything asked for is unknown, impossible or not there.
    """
    competition = with_group(load_competition(settings.competition), settings.group)
    if settings.seeds < 1:
        raise BadInput(f"SEEDS={settings.seeds}: expected a whole number from 1 on")
    if settings.seed < 0:
        raise BadInput(f"SEED={settings.seed}: expected a whole number from 0 on")
    asked = parse_candidates(" ".join(competition.candidates) if settings.backbones is None else settings.backbones)
    candidates = list(dict(complete(candidate, settings.preset, competition) for candidate in asked).items())
    source = find_source(competition, settings.data, settings.data_root)
    tables = read_tables(competition, source.folder, settings.allow_missing)
    return Plan(
        settings=settings,
        competition=competition,
        source=source,
        tables=tables,
        candidates=candidates,
        seeds=list(range(settings.seed, settings.seed + settings.seeds)),
        n_folds=number_of_folds(tables, settings.folds),
        n_jobs=settings.jobs or n_cores(),
        specs=[PixelSpec(recipe.pixels, competition.channels, competition.resize) for _, recipe in candidates],
    )


def known_photos(plan: Plan) -> dict[str, PhotoFacts] | None:
    """Return what is known of each photo without reading any, or None where one is still to be read."""
    tables = plan.tables
    if n_unread_photos(tables, plan.specs):
        return None
    stores = [ImageStore(spec, CACHE) for spec in needed_specs(tables.competition, plan.specs)]
    index = FileIndex(tables.data_dir, CACHE, stores)
    facts = {sha: known for store in stores for sha, known in store.facts.items()}
    return {path: facts.get(index.sha(path), ABSENT) for path in photo_paths(tables)}


def show_plan(plan: Plan) -> None:
    """Print the plan: rows, classes, folds, candidates, what is stored already, estimated time and disk."""
    competition, tables = plan.competition, plan.tables
    n_unread = n_unread_photos(tables, plan.specs)
    photos = known_photos(plan)
    n_test = "a tenth of them held out" if tables.test is None else f"{len(tables.test):,} test rows"
    n_photos = len(set(photo_paths(tables)))
    show_facts(
        f"{competition.name}: {competition.title}",
        [
            ("data", relative(plan.source.folder)),
            ("rows", f"{len(tables.train):,} train rows, {n_test}, {tables.train['label'].nunique()} classes"),
            *[("", line) for line in (*tables.notes, *_missing_lines(tables))],
            ("folds", _folds_line(plan)),
            ("candidates", ", ".join(f"{candidate}" for candidate, _ in plan.candidates) + _seeds_words(plan)),
            ("stored", f"{n_photos - n_unread:,} of {n_photos:,} photos decoded; {_stored_runs(plan, photos)}"),
            ("to do", f"{_estimate(plan, photos, n_unread)}, {plan.n_jobs} jobs side by side"),
        ],
    )


def _missing_lines(tables: Tables) -> Sequence[str]:
    return [f"{len(tables.missing)} photos are absent, as allowed"] if tables.missing else []


def _folds_line(plan: Plan) -> str:
    competition = plan.competition
    held = " twins stay together," if competition.twins else ""
    group = f" rows of one {competition.group_column} stay together," if competition.group_column else ""
    return f"{plan.n_folds}, stratified by {competition.target_column},{held}{group} fold seed {competition.fold_seed}"


def _seeds_words(plan: Plan) -> str:
    words = f"; preset {plan.settings.preset}, seed {plan.seeds[0]}"
    return words if len(plan.seeds) == 1 else f"{words} to {plan.seeds[-1]}"


def _stored_runs(plan: Plan, photos: dict[str, PhotoFacts] | None) -> str:
    if photos is None:
        return "stored folds are looked up when the photos are read"
    folder = dataset_folder(plan.tables, photos, plan.n_folds)
    runs = [run_dir(folder, run) for run in plan.runs(folder.name)]
    n_left = sum(len(unfinished_folds(run, plan.n_folds)) for run in runs)
    others = other_datasets(plan.competition.name, folder.name)
    note = f" ({len(others)} other fold tables here, of other data or folds, are not touched)" if others else ""
    return f"{len(runs) * plan.n_folds - n_left} of {len(runs) * plan.n_folds} folds trained{note}"


def _estimate(plan: Plan, photos: dict[str, PhotoFacts] | None, n_unread: int) -> str:
    n_train = len(plan.tables.train) * (plan.n_folds - 1) // plan.n_folds
    seconds = SECONDS_PER_PHOTO * n_unread / plan.n_jobs
    n_left = {candidate: plan.n_folds * len(plan.seeds) for candidate, _ in plan.candidates}
    if photos is not None:
        folder = dataset_folder(plan.tables, photos, plan.n_folds)
        n_left = {candidate: 0 for candidate, _ in plan.candidates}
        for run in plan.runs(folder.name):
            n_left[run.candidate] += len(unfinished_folds(run_dir(folder, run), plan.n_folds))
    seconds += (
        sum(seconds_of_fold(candidate, recipe, n_train) * n_left[candidate] for candidate, recipe in plan.candidates)
        / plan.n_jobs
    )
    n_bytes = n_unread * sum(spec.bytes_per_photo() for spec in plan.specs)
    return f"about {in_words(seconds)}, {n_bytes / 1e6:,.0f} MB of disk"


def in_words(seconds: float) -> str:
    """Return a duration as a person says it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
