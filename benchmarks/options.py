"""What each option of a recipe gains on real photos: two seeds with it against two without, over the same five folds.

Each option is measured where it is cheapest to be true: on features what works on features, on pixels the rest. The runs stay
where `make submit` keeps its own, so that a second time takes seconds.

Run: make perf ARGS=options DATA=path/to/animal-families WEIGHTS=path/to/weights
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure
from comp.engine import open_engine
from comp.metrics import metric
from folds.oof import Predictions
from folds.prepare import fold_table, read_photos
from submissions.compare import Comparison, compare
from submissions.matched import match
from submissions.plan import Plan, Settings, make_plan, with_features, with_weights
from submissions.submit import train_plan

SEEDS = 2
OPTIONS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "mobilenet:probe:160px": {
        "EMA": {"ema": 0.99},
        "mixup": {"mixup": 0.2},
        "cosine-margin head": {"head": "cosine"},
    },
    "scratch_cnn:small:48px": {"EMA": {"ema": 0.99}, "cutmix": {"cutmix": 1.0}, "GeM pooling": {"pool": "gem"}},
}


def measure(data: str | None, weights: str | None) -> list[Figure]:
    """Return the gain of each option over the preset `quick`, in points of macro-F1 with its interval.

    Raises:
        BadInput: If DATA or WEIGHTS names no folder that can be used.
    """
    figures = []
    for candidate, options in OPTIONS.items():
        settings = Settings(
            competition="rare_species",
            data=Path(data) if data else None,
            weights=weights,
            backbones=candidate,
            preset="quick",
            seeds=SEEDS,
        )
        for name, found in _gains(settings, options).items():
            figures.append(
                Figure(
                    f"{name}, {candidate}",
                    100 * found.gain,
                    "points of macro-F1",
                    f"{100 * found.low:+.1f} to {100 * found.high:+.1f}, from {100 * found.a:.1f}; {SEEDS} seeds each",
                    is_gain=True,
                )
            )
    return figures


def _gains(settings: Settings, options: Mapping[str, Mapping[str, Any]]) -> dict[str, Comparison]:
    """Return the comparison of each option with going without, all trained over one fold table."""
    engine = open_engine(settings.engine, settings.jobs)
    plan = with_weights(with_features(make_plan(settings), engine))
    dataset = fold_table(plan.tables, read_photos(plan.tables, plan.specs, engine), plan.n_folds)
    names: dict[str, list[str]] = {}
    tables: dict[str, Predictions] = {}
    for option, values in {"": {}, **options}.items():
        found = train_plan(_with(plan, values), dataset, engine)
        names[option] = list(found)
        tables |= found
    matched, chosen = match(dataset, tables), metric(plan.competition.metric, dataset.classes)
    return {option: compare(matched, names[""], names[option], chosen) for option in options}


def _with(plan: Plan, values: Mapping[str, Any]) -> Plan:
    """Return the plan with these values in every recipe."""
    return replace(plan, choices=[replace(one, recipe=replace(one.recipe, **values)) for one in plan.choices])
