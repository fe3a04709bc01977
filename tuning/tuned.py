"""What a study found, as a file made to be read by people, and how a plan takes it: over the preset, under the command line."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from comp.candidates import parse_candidate
from comp.errors import BadInput, Refused
from comp.registry import load_backbone
from comp.spec import Candidate, Competition, Recipe
from comp.store import read_json, sha256_of_file, write_json
from folds.cv import commit, library_versions
from folds.runs import tuned_path
from tuning.honest import Verdict, as_facts
from tuning.setup import Subject
from tuning.space import Space, differences, space_of
from tuning.storage import command_line
from tuning.study import Count

TUNED_VERSION = 1
COVERS = "rows only"  # both sides have one seed: chance of training is not in the interval


def write_tuned(subject: Subject, folder: Path, verdict: Verdict, counts: Count, facts: dict[str, Any]) -> Path:
    """Write what a study found as a difference to the preset's recipe; return the file's path.

    Args:
        folder: runs/<competition>/<data8> of the study.
        facts: What else is told: competition, preset, metric, study.
    """
    chosen, path = verdict.chosen, tuned_path(folder, subject.candidate)
    write_json(
        path,
        {
            "candidate": str(subject.candidate),
            **facts,
            "changes": chosen.changes,
            "verdict": verdict_line(verdict),
            "score": round(chosen.score.value, 6),
            "interval": [round(chosen.score.low, 6), round(chosen.score.high, 6)],
            "decided_over": {
                "data8": verdict.dataset.data8,
                "fold_seed": verdict.dataset.facts["fold_seed"],
                "seed": verdict.seed,
                "level_of_differences": round(verdict.level, 4),
                "covers": COVERS,
            },
            "default": as_facts(verdict.default),
            "finalists": [as_facts(finalist) for finalist in verdict.others],
            "trials": {"complete": counts.complete, "pruned": counts.pruned, "failed": counts.failed},
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "command": command_line(),
            "commit": commit(),
            "versions": {**library_versions(), "optuna": version("optuna")},
            "tuned_version": TUNED_VERSION,
            "default_recipe": subject.recipe.as_dict(),
            "space": subject.space.as_dict(),
        },
    )
    return path


def verdict_line(verdict: Verdict) -> str:
    """Return what was decided and why, as one line."""
    best = next(iter(verdict.others), None)
    if best is None or best.difference is None:
        return "the default stays: the search found no other recipe"
    if verdict.chosen is verdict.default:
        words = _difference_words(best.difference, verdict.level)
        what = "worse" if best.difference[2] < 0 else "within the noise"
        return f"the default stays: the best of the search differs by {words}, which is {what} ({COVERS})"
    assert verdict.chosen.difference
    words = _difference_words(verdict.chosen.difference, verdict.level)
    return f"the tuned recipe is taken: on folds and a seed that the search never saw it differs by {words} ({COVERS})"


def _difference_words(difference: tuple[float, float, float], level: float) -> str:
    by, low, high = difference
    return f"{by:+.4f} ({level:.1%} interval of the paired difference {low:+.4f} to {high:+.4f}; positive is better)"


@dataclass(frozen=True)
class Tuned:
    """What the plan gets: the recipe to train with, and what is told of it.

    Attributes:
        note: A line for the person, empty where nothing was ever tuned.
        source: What a manifest says of the file that was used: name, hash, date, changes; None where none was.
    """

    recipe: Recipe
    note: str = ""
    source: dict[str, Any] | None = None


def tuned_recipe(
    folder: Path, candidate: Candidate, recipe: Recipe, competition: Competition, is_cut_asked: bool = False
) -> Tuned:
    """Return a candidate's recipe with what its study changed; command line over tuned over preset over backbone.

    A result that was made for another metric, recipe (another preset), space, size or fit is left out, and the note says so.
    What training does with the condition is no part of that: no search varies it, so it stays as the recipe has it.

    Args:
        folder: runs/<competition>/<data8>.
        candidate: Complete.
        recipe: The preset's recipe, with the cut chosen.
        is_cut_asked: Whether the cut was named on the command line, which then stands.
    """
    path = tuned_path(folder, candidate)
    if not path.is_file():
        return Tuned(recipe, _others(folder, candidate))
    found = read_json(path)
    why_not = _mismatch(found, candidate, recipe, competition, is_cut_asked)
    if why_not:
        return Tuned(
            recipe, f"{candidate}: tuned recipe left out, it was made for {why_not}; make tune anew takes this one"
        )
    changes = {name: value for name, value in found["changes"].items() if not (name == "cut" and is_cut_asked)}
    source = {"file": path.as_posix(), "sha256": sha256_of_file(path), "date": found.get("date"), "changes": changes}
    if not changes:
        return Tuned(recipe, f"{candidate}: tuned ({path.name}), and the default recipe stayed", source)
    try:
        whole = replace(recipe, **changes)
    except TypeError as error:
        raise Refused(f"{path}: its changes name no fields of a recipe ({error}); remove it, or tune again") from error
    return Tuned(whole, f"{candidate}: tuned recipe, {in_words(changes)} (TUNED=no goes without)", source)


def in_words(changes: dict[str, Any]) -> str:
    """Return changes of a recipe as a person reads them."""
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in changes.items()
    )


def _others(folder: Path, candidate: Candidate) -> str:
    """Return a note on results of the same backbone at another size or with another fit, or the empty string."""
    names = []
    for path in sorted((folder / "tuned").glob("*.json")):
        try:
            other = parse_candidate(str(read_json(path)["candidate"]))
        except (KeyError, BadInput):
            continue
        if (other.backbone, other.variant) == (candidate.backbone, candidate.variant):
            names.append(str(other))
    return (
        f"{candidate}: tuned recipe of {', '.join(names)} left out, it is of other pixels or another fit"
        if names
        else ""
    )


def _mismatch(
    found: dict[str, Any], candidate: Candidate, recipe: Recipe, competition: Competition, is_cut_asked: bool
) -> str:
    """Return what a result was made for instead of this plan, or the empty string."""
    if found.get("candidate") != str(candidate):
        return f"candidate {found.get('candidate')}"
    if found.get("metric", competition.metric) != competition.metric:
        return f"metric {found['metric']}"
    then, now = dict(found.get("default_recipe", {})), recipe.as_dict()
    then["condition"] = now["condition"]
    if is_cut_asked:
        then["cut"] = now["cut"]
    other = differences(then, now)
    if other:
        return f"another recipe ({other[0]}; another PRESET?)"
    other = differences(
        _without_cuts(found.get("space", {})), _without_cuts(_space(candidate, recipe, competition).as_dict())
    )
    return f"another space ({other[0]})" if other else ""


def _space(candidate: Candidate, recipe: Recipe, competition: Competition) -> Space:
    assert candidate.fit is not None
    backbone = load_backbone(candidate.backbone)
    cuts = backbone.cuts.get(candidate.variant or "", ())  # all: which of them fit is not asked here
    return space_of(candidate.fit, recipe, competition, backbone.options, cuts)


def _without_cuts(space: dict[str, Any]) -> dict[str, Any]:
    """Return a space without the cuts, which depend on the room on the disk."""
    return {name: knob for name, knob in space.items() if name != "cut"}
