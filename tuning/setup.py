"""What is tuned, decided before anything is trained: candidates with their default recipe, weights, cuts and space; rows and folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from comp.backend import THREADS, backend_name, precision_for
from comp.candidates import parse_candidates
from comp.console import say
from comp.engine import Engine
from comp.errors import BadInput
from comp.images import PhotoFacts, PixelSpec
from comp.registry import load_backbone, load_competition
from comp.sources import DATA_ROOT, find_source
from comp.spec import Candidate, Competition, Fit, Recipe, Weights
from comp.tables import Tables, read_tables
from comp.tasks import refuse_transcripts
from comp.ways import LAST_RESORT, Ways, weights_of
from comp.weights import WeightsFile, fetch_weights
from folds.by_rule import for_rows
from folds.cuts import bytes_of, choose_cut, feature_shapes
from folds.dataset import Dataset
from folds.prepare import check_seed, fold_table, number_of_folds, read_photos, rows_of_fit, with_group
from folds.presets import DEFAULT_PRESET, check_preset, complete
from folds.runs import RunPlan
from tuning.space import Space, check_names, space_of

PRECISIONS = {"fp32": "float32", "bf16": "mixed_bfloat16"}
BANKED: tuple[Fit, ...] = ("probe", "tail")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the person asked for: one field for each variable of the Makefile."""

    competition: str = "specimens"
    data: Path | None = None
    data_root: Path = DATA_ROOT
    backbones: str | None = None
    preset: str = DEFAULT_PRESET
    folds: int | None = None
    group: str | None = None
    seed: int = 0
    jobs: int | None = None
    allow_missing: bool = False
    weights: str | None = None
    offline: bool = False
    precision: str | None = None
    cut: str | None = None
    cache_gb: float = 20.0
    bank_gb: float = 8.0
    trials: int = 40
    minutes: float | None = None
    storage: str | None = None
    pruner: str = "median"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One candidate that is tuned, complete.

    Attributes:
        recipe: What the preset gives it: the default that a tuned recipe has to beat.
    """

    candidate: Candidate
    recipe: Recipe
    precision: str
    weights: WeightsFile | None
    space: Space

    @property
    def fit(self) -> Fit:
        """Return how it is trained."""
        assert self.candidate.fit is not None
        return self.candidate.fit

    def plan(self, dataset: Dataset, competition: Competition, seed: int) -> RunPlan:
        """Return the run of the default recipe over a fold table."""
        return RunPlan(
            candidate=self.candidate,
            recipe=self.recipe,
            seed=seed,
            facts=competition.facts_in_key(),
            data8=dataset.data8,
            threads=THREADS,
            backend=backend_name(),
            weights_sha=self.weights.sha256 if self.weights else "",
            weights_path=str(self.weights.path.resolve()) if self.weights else "",
            precision=self.precision,
        )


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What all studies of a command stand on: rows, photos, folds."""

    competition: Competition
    tables: Tables
    photos: dict[str, PhotoFacts]
    dataset: Dataset


def read_tables_of(settings: Settings) -> Tables:
    """Return the competition's tables.

    Raises:
        BadInput: If anything asked for is unknown, impossible or not there.
    """
    check_seed(settings.seed)
    if settings.trials < 1:
        raise BadInput(f"TRIALS={settings.trials}: expected a whole number from 1 on")
    if settings.minutes is not None and settings.minutes <= 0:
        raise BadInput(f"MINUTES={settings.minutes:g}: expected a number above 0")
    if settings.pruner not in ("median", "asha"):
        raise BadInput(f"PRUNER={settings.pruner}: expected median or asha")
    check_preset(settings.preset)
    competition = with_group(load_competition(settings.competition), settings.group)
    refuse_transcripts(competition, "make tune")
    check_names(competition)
    return read_tables(
        competition, find_source(competition, settings.data, settings.data_root).folder, settings.allow_missing
    )


def make_ground(settings: Settings, tables: Tables, subjects: Sequence[Subject], engine: Engine) -> Ground:
    """Bring the photos into the cache and assign the folds, both only where that was not done before."""
    competition = tables.competition
    specs = [PixelSpec(subject.recipe.pixels, competition.channels, competition.resize) for subject in subjects]
    photos = read_photos(tables, specs, engine)
    dataset = fold_table(tables, photos, number_of_folds(tables, settings.folds))
    return Ground(competition=competition, tables=tables, photos=photos, dataset=dataset)


def subjects_of(settings: Settings, tables: Tables, engine: Engine) -> list[Subject]:
    """Return what is tuned: the candidates named, else the competition's own, as far as their weights can be had.

    Without a fit it is a tail where weights are there, else it is trained from scratch, and why is said.

    Raises:
        BadInput: If a candidate cannot be parsed, or its weights are needed and not to be had.
    """
    is_named = settings.backbones is not None
    found = []
    for candidate in parse_candidates(settings.backbones or " ".join(tables.competition.candidates)):
        weights, why_not = _weights(candidate, settings, is_named)
        if why_not:
            say(f"{candidate} {'is tuned from scratch' if is_named else 'left out'}: {why_not}")
        if is_named or not why_not:
            found.append(_subject(candidate, weights, settings, tables, engine))
    if not found:
        found = [_subject(Candidate(LAST_RESORT), None, settings, tables, engine)]
    return list({subject.candidate: subject for subject in found}.values())


def _subject(
    asked: Candidate, weights: WeightsFile | None, settings: Settings, tables: Tables, engine: Engine
) -> Subject:
    fit = asked.fit or _fit_of(asked, weights)
    candidate, recipe = complete(replace(asked, fit=fit), settings.preset, tables.competition)
    recipe = for_rows(recipe, rows_of_fit(tables, number_of_folds(tables, settings.folds)))
    backbone = load_backbone(candidate.backbone)
    cuts: list[str] = []
    if fit == "tail":
        recipe, cuts = _with_cuts(candidate, recipe, settings, tables, engine)
    use = "extract" if fit == "probe" else "train"
    return Subject(
        candidate=candidate,
        recipe=recipe,
        precision=_precision(settings.precision) or precision_for(backbone.bf16_pays, use),
        weights=weights if fit != "scratch" else None,
        space=space_of(fit, recipe, tables.competition, backbone.options, cuts),
    )


def _fit_of(asked: Candidate, weights: WeightsFile | None) -> Fit:
    backbone = load_backbone(asked.backbone)
    if weights is None:
        return "scratch"
    return "tail" if backbone.cuts.get(asked.variant or backbone.default_variant) else "probe"


def _precision(asked: str | None) -> str | None:
    if asked is None or asked in PRECISIONS.values():
        return asked
    if asked not in PRECISIONS:
        raise BadInput(f"PRECISION={asked}: expected one of {', '.join(PRECISIONS)}")
    return PRECISIONS[asked]


def _weights(candidate: Candidate, settings: Settings, is_named: bool) -> tuple[WeightsFile | None, str]:
    """Return a candidate's weights, fetched where they may be, and why there are none although it could have some."""
    found, why_not = weights_of(candidate, Ways(folder=settings.weights, is_offline=settings.offline), is_named)
    return fetch_weights(found) if isinstance(found, Weights) else found, why_not


def _with_cuts(
    candidate: Candidate, recipe: Recipe, settings: Settings, tables: Tables, engine: Engine
) -> tuple[Recipe, list[str]]:
    """Return the recipe with its default cut, and the cuts to try: those whose banks of all strengths fit into BANK_GB."""
    shapes = feature_shapes(candidate, recipe.pixels, tables.competition.channels, engine)
    n_rows = len(tables.train), 0 if tables.test is None else len(tables.test)
    default = choose_cut(candidate, recipe, shapes, n_rows, settings.bank_gb, settings.cut)
    recipe = replace(recipe, cut=default)
    if settings.cut:
        return recipe, [default]
    cuts = load_backbone(candidate.backbone).cuts.get(candidate.variant or "", ())
    n_levels = len(_strengths(recipe, tables.competition, cuts))
    n_drawn = max(0, recipe.views - 2) * n_levels + min(recipe.views, 2)
    n_views = n_rows[0] * n_drawn + n_rows[1] * recipe.tta_views
    fitting = [cut for cut in cuts if n_views * bytes_of(shapes[cut]) <= settings.bank_gb * 1e9]
    return recipe, list(dict.fromkeys([default, *fitting]))


def _strengths(recipe: Recipe, competition: Competition, cuts: Sequence[str]) -> list[float]:
    knobs = space_of("tail", recipe, competition, (), cuts).knobs
    return [value for knob in knobs if knob.name == "strength" for value in knob.choices if value > 0]
