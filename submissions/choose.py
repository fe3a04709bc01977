"""What is trained, decided: candidates with their fit, recipe, weights and precision, and what was left out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from comp.backend import precision_for
from comp.candidates import check_reads, parse_candidates
from comp.registry import load_backbone
from comp.spec import Candidate, Competition, Fit, Recipe, Weights
from comp.ways import LAST_RESORT, Found, Ways, weights_of
from comp.weights import WeightsFile
from folds.presets import FITS_WITH_WEIGHTS, check_preset, complete


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One candidate, complete.

    Attributes:
        weights: The file on disk, or None where none is used or it is still to be fetched.
        to_fetch: What is to be downloaded first, or None.
        feature_bytes: Bytes of the features of one photo in one view, where the fit has any.
        tuned: What the manifest says of the tuned file behind the recipe, or None where there is none.
    """

    candidate: Candidate
    recipe: Recipe
    precision: str
    weights: WeightsFile | None = None
    to_fetch: Weights | None = None
    feature_bytes: int = 0
    tuned: Mapping[str, Any] | None = None


def choose(asked: str | None, competition: Competition, preset: str, ways: Ways) -> tuple[list[Choice], list[str]]:
    """Return what is trained, and a line for each thing that differs from what one might expect.

    Args:
        asked: What BACKBONES says; None takes the competition's own candidates, as far as their weights can be had.

    Raises:
        BadInput: If a candidate cannot be parsed, or its weights are asked for and not to be had.
    """
    check_preset(preset)
    named = parse_candidates(" ".join(competition.candidates) if asked is None else asked)
    choices: list[Choice] = []
    notes: list[str] = []
    for candidate in named:
        if competition.task == "transcribe":
            check_reads(candidate)
        found, why_not = weights_of(candidate, ways, is_named=asked is not None)
        if why_not and asked is None:
            notes.append(f"{candidate} left out: {why_not}")
            continue
        choices += _fits_of(candidate, found, competition, preset, ways)
        if why_not:
            notes.append(f"{candidate} is trained from scratch: {why_not}")
    if not choices:
        choices = _fits_of(Candidate(LAST_RESORT), None, competition, preset, ways)
    return list({choice.candidate: choice for choice in choices}.values()), notes


def _fits_of(candidate: Candidate, found: Found, competition: Competition, preset: str, ways: Ways) -> list[Choice]:
    """Return the candidate with each fit that the preset takes it with."""
    fits: Sequence[Fit] = (candidate.fit,) if candidate.fit else FITS_WITH_WEIGHTS[preset] if found else ("scratch",)
    choices = []
    for fit in fits:
        whole, recipe = complete(replace(candidate, fit=fit), preset, competition)
        use = "extract" if fit == "probe" else "train"
        choices.append(
            Choice(
                candidate=whole,
                recipe=recipe,
                precision=ways.precision or precision_for(load_backbone(whole.backbone).bf16_pays, use),
                weights=found if isinstance(found, WeightsFile) else None,
                to_fetch=found if isinstance(found, Weights) else None,
            )
        )
    return choices


def fetched(choices: Sequence[Choice], folder: Path) -> list[Choice]:
    """Return the choices with what was to be fetched on disk, below `folder`.

    Raises:
        RemoteError: If a source stops answering.
        Refused: If a file that came is not what was published.
    """
    from comp.weights import fetch_weights

    return [
        replace(choice, weights=fetch_weights(choice.to_fetch, folder), to_fetch=None) if choice.to_fetch else choice
        for choice in choices
    ]
