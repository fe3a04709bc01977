"""The plan: what a command is going to do, decided and shown before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from comp.backend import THREADS, backend_name
from comp.console import duration, relative, show_facts
from comp.engine import Engine, n_cores
from comp.errors import BadInput
from comp.images import ABSENT, CACHE, FileIndex, ImageStore, PhotoFacts, PixelSpec
from comp.machine import slowness
from comp.registry import load_competition
from comp.sources import DATA_ROOT, Source, find_source
from comp.spec import Competition
from comp.tables import Tables, read_tables
from comp.ways import Ways
from comp.weights import PROJECT_FOLDER
from folds.banks import banks_of, n_passes, wanted_banks
from folds.by_rule import for_rows
from folds.cuts import bytes_of, choose_cut, feature_shapes, n_views
from folds.cv import unfinished_folds
from folds.dataset import dataset_folder
from folds.prepare import (
    check_seed,
    n_unread_photos,
    needed_specs,
    number_of_folds,
    photo_paths,
    rows_of_fit,
    with_group,
)
from folds.presets import DEFAULT_PRESET, seconds_of_features, seconds_of_fold, shortened
from folds.runs import RunPlan, other_datasets, run_dir
from submissions.choose import Choice, choose, fetched
from submissions.phylum import IN_TRAINING, check_phylum
from submissions.write import check_out

PRECISIONS = {"fp32": "float32", "bf16": "mixed_bfloat16"}
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
    repeats: int = 1
    jobs: int | None = None
    engine: str = "local"
    group: str | None = None
    allow_missing: bool = False
    out: Path | None = None
    weights: str | None = None
    offline: bool = False
    precision: str | None = None
    cut: str | None = None
    cache_gb: float = 20.0
    bank_gb: float = 8.0
    phylum: str = "auto"
    bags: int = 0
    with_runs: str | None = None
    tuned: str = "yes"
    lexicon: str = "auto"
    most_rows: int = 0  # train rows that a benchmark track's minutes are made for


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is going to be done.

    Attributes:
        choices: What is trained: each candidate complete, with recipe, weights and precision.
        notes: What differs from what one might expect, one line each.
        seeds: Seeds of training; the folds stay the same.
        specs: Kinds of pixels that the image cache must hold.
    """

    settings: Settings
    competition: Competition
    source: Source
    tables: Tables
    choices: list[Choice]
    notes: list[str]
    seeds: list[int]
    n_folds: int
    n_jobs: int
    specs: list[PixelSpec]

    @property
    def n_rows(self) -> tuple[int, int]:
        """Return the numbers of train rows and of test rows in the tables."""
        return len(self.tables.train), 0 if self.tables.test is None else len(self.tables.test)

    @property
    def repeated_choices(self) -> list[Choice]:
        """Return the choice behind each run, in the order of `runs`."""
        return [choice for choice in self.choices for _ in self.seeds]

    def label(self, run: RunPlan) -> str:
        """Return what the tables call a run: its candidate, with its seed where there are several."""
        return f"{run.candidate} seed {run.seed}" if len(self.seeds) > 1 else str(run.candidate)

    def runs(self, data8: str) -> list[RunPlan]:
        """Return the runs over the fold table `data8`: each candidate with each seed."""
        return [
            RunPlan(
                candidate=choice.candidate,
                recipe=choice.recipe,
                seed=seed,
                facts=self.competition.facts_in_key(),
                data8=data8,
                threads=THREADS,
                backend=backend_name(),
                weights_sha=choice.weights.sha256 if choice.weights else "",
                weights_path=str(choice.weights.path.resolve()) if choice.weights else "",
                precision=choice.precision,
            )
            for choice in self.choices
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
    if settings.repeats < 1:
        raise BadInput(f"REPEATS={settings.repeats}: expected a whole number from 1 on")
    check_seed(settings.seed)
    if settings.bags < 0:
        raise BadInput(f"BAGS={settings.bags}: expected a whole number from 0 on")
    check_phylum(settings.phylum, competition.condition_column)
    if settings.out is not None:
        settings = replace(settings, out=check_out(settings.out))
    ways = Ways(folder=settings.weights, is_offline=settings.offline, precision=_precision(settings.precision))
    choices, notes = choose(settings.backbones, competition, settings.preset, ways)
    if settings.phylum in IN_TRAINING:
        conditioned: Any = {"condition": settings.phylum}
        choices = [replace(one, recipe=replace(one.recipe, **conditioned)) for one in choices]
    source = find_source(competition, settings.data, settings.data_root)
    tables = read_tables(competition, source.folder, settings.allow_missing)
    n_folds = number_of_folds(tables, settings.folds)
    choices = [replace(one, recipe=for_rows(one.recipe, rows_of_fit(tables, n_folds))) for one in choices]
    choices, shorter = _within_minutes(choices, len(tables.train), settings.most_rows)
    return Plan(
        settings=settings,
        competition=competition,
        source=source,
        tables=tables,
        choices=choices,
        notes=[*notes, *shorter],
        seeds=list(range(settings.seed, settings.seed + settings.seeds)),
        n_folds=n_folds,
        n_jobs=settings.jobs or n_cores(),
        specs=[PixelSpec(choice.recipe.pixels, competition.channels, competition.resize) for choice in choices],
    )


def _within_minutes(choices: Sequence[Choice], n_rows: int, most_rows: int) -> tuple[list[Choice], list[str]]:
    """Return the choices with fewer epochs where there are more rows than a track's minutes are made for, and a line for each."""
    found, notes = [], []
    for choice in choices:
        recipe = shortened(choice.candidate, choice.recipe, n_rows, most_rows)
        if recipe != choice.recipe:
            notes.append(
                f"{choice.candidate}: {recipe.epochs} epochs, not {choice.recipe.epochs}: the track's minutes are made for "
                f"{most_rows:,} train rows"
            )
        found.append(replace(choice, recipe=recipe))
    return found, notes


def _precision(asked: str | None) -> str | None:
    """Return Keras' name of the precision that PRECISION asks for.

    Raises:
        BadInput: If there is no such precision.
    """
    if asked is None or asked in PRECISIONS.values():
        return asked
    if asked not in PRECISIONS:
        raise BadInput(f"PRECISION={asked}: expected one of {', '.join([*PRECISIONS, *PRECISIONS.values()])}")
    return PRECISIONS[asked]


def with_features(plan: Plan, engine: Engine) -> Plan:
    """Return the plan with the cut of each tail chosen, and what features take on disk.

    Raises:
        BadInput: If a cut that was named does not exist, or no bank fits into BANK_GB.
    """
    return replace(plan, choices=[_with_features(plan, choice, engine) for choice in plan.choices])


def _with_features(plan: Plan, choice: Choice, engine: Engine) -> Choice:
    candidate, recipe, settings = choice.candidate, choice.recipe, plan.settings
    if candidate.fit not in ("probe", "tail"):
        return choice
    shapes = feature_shapes(candidate, recipe.pixels, plan.competition.channels, engine)
    if candidate.fit == "tail":
        cut = choose_cut(candidate, recipe, shapes, plan.n_rows, settings.bank_gb, settings.cut)
        recipe = replace(recipe, cut=cut)
    return replace(choice, recipe=recipe, feature_bytes=bytes_of(shapes[recipe.cut]))


def with_weights(plan: Plan) -> Plan:
    """Return the plan with every file of weights on disk; what was to be fetched is fetched now."""
    return replace(plan, choices=fetched(plan.choices, PROJECT_FOLDER))


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
            ("rows", f"{len(tables.train):,} train rows, {n_test}, {_n_labels(tables)}"),
            *[("", line) for line in (*tables.notes, *_missing_lines(tables))],
            ("folds", _folds_line(plan)),
            *[("", line) for line in _repeats_lines(plan)],
            ("candidates", ", ".join(f"{choice.candidate}" for choice in plan.choices) + _seeds_words(plan)),
            *[("", line) for line in (*plan.notes, *_weights_lines(plan))],
            ("stored", f"{n_photos - n_unread:,} of {n_photos:,} photos decoded; {_stored_runs(plan, photos)}"),
            ("to do", f"{_estimate(plan, photos, n_unread)}, {plan.n_jobs} jobs side by side"),
        ],
    )


def _n_labels(tables: Tables) -> str:
    labels = tables.train["label"]
    if tables.competition.task == "transcribe":
        return f"{labels.nunique():,} different texts of {len(set(''.join(labels)))} characters"
    return f"{labels.nunique()} classes"


def _missing_lines(tables: Tables) -> Sequence[str]:
    return [f"{len(tables.missing)} photos are absent, as allowed"] if tables.missing else []


def _weights_lines(plan: Plan) -> list[str]:
    """Return a line for each candidate with pre-trained weights: the file, its cut and precision, what is fetched first."""
    lines = []
    for choice in plan.choices:
        cut = f", cut at {choice.recipe.cut}" if choice.recipe.cut else ""
        if choice.to_fetch:
            lines.append(
                f"to download: {choice.to_fetch.file}, {choice.to_fetch.megabytes:.0f} MB, {choice.to_fetch.url}"
            )
        elif choice.weights:
            lines.append(f"{choice.candidate}: weights {relative(choice.weights.path)}{cut}, {choice.precision}")
    return list(dict.fromkeys(lines))


def _folds_line(plan: Plan) -> str:
    competition = plan.competition
    held = " twins stay together," if competition.twins else ""
    group = f" rows of one {competition.group_column} stay together," if competition.group_column else ""
    strata = f" stratified by {competition.target_column}," if competition.task == "classify" else ""
    return f"{plan.n_folds},{strata}{held}{group} fold seed {competition.fold_seed}"


def _repeats_lines(plan: Plan) -> list[str]:
    """Return a line for further fold assignments, where REPEATS asks for some."""
    seeds = [plan.competition.fold_seed + other for other in range(1, plan.settings.repeats)]
    if not seeds:
        return []
    return [
        f"then the whole job again over {len(seeds)} more, fold seed {', '.join(map(str, seeds))}; the CSV is the first's"
    ]


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
    at_networks = 0.0
    n_bytes = n_unread * sum(spec.bytes_per_photo() for spec in plan.specs)
    folder = None if photos is None else dataset_folder(plan.tables, photos, plan.n_folds)
    n_train = rows_of_fit(plan.tables, plan.n_folds)
    counted: set[object] = set()
    for choice, run in zip(plan.repeated_choices, plan.runs("" if folder is None else folder.name), strict=True):
        n_left = plan.n_folds if folder is None else len(unfinished_folds(run_dir(folder, run), plan.n_folds))
        n_again = (plan.settings.repeats - 1) * plan.n_folds  # at most: what is stored of them is not looked up
        at_networks += (n_left + n_again) * seconds_of_fold(run.candidate, run.recipe, n_train)
        if n_left and choice.feature_bytes and choice.candidate not in counted:
            counted.add(choice.candidate)
            n_forward, n_features = _n_features(plan, run, photos)
            at_networks += n_forward * seconds_of_features(run.candidate, run.recipe)
            n_bytes += n_features * choice.feature_bytes
    seconds = SECONDS_PER_PHOTO * n_unread + slowness() * at_networks
    return f"about {duration(seconds / plan.n_jobs)}, {n_bytes / 1e6:,.0f} MB of disk"


def _n_features(plan: Plan, run: RunPlan, photos: dict[str, PhotoFacts] | None) -> tuple[int, int]:
    """Return how many (photo, view) pairs are still to be computed, and how many of them are stored at the run's cut.

    The pooled features that a tail's head starts from come from the same forward passes, and take next to no room.
    """
    if photos is None or not run.weights_sha:
        n_all = n_views(run.recipe, plan.n_rows)
        return n_all, n_all
    test_paths: Iterable[str] = [] if plan.tables.test is None else plan.tables.test["path"]
    train, test = ([photos[path].sha for path in paths] for paths in (plan.tables.train["path"], test_paths))
    wanted, at_cut = wanted_banks(run, train, test), set(banks_of(run))
    return n_passes(wanted, CACHE), sum(len(bank.missing(CACHE)) for bank in wanted if bank.spec in at_cut)
