"""Where a backbone is cut for a tail: the deepest-training cut whose bank is not too large, decided from shapes alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from comp.engine import Engine, Job, Report, ignore_events
from comp.errors import BadInput
from comp.images import CACHE
from comp.registry import load_backbone
from comp.spec import Candidate, Recipe
from comp.store import read_json, write_json
from folds.banks import POOLED, source_sha

BYTES = 2  # of one number in a bank: 16 bits


def choose_cut(
    candidate: Candidate,
    recipe: Recipe,
    shapes: Mapping[str, Sequence[int]],
    n_rows: tuple[int, int],
    limit_gb: float,
    asked: str | None = None,
) -> str:
    """Return the cut of a tail: the one named by hand, else the deepest-training one whose banks fit.

    Args:
        shapes: Of what comes out at each cut, as `feature_shapes` finds them.
        n_rows: Train and test photos that the banks hold.
        limit_gb: Bound on their bytes over all views, in 1e9 bytes.
        asked: A cut named by hand.

    Raises:
        BadInput: If the backbone has no such cut, none at all, or none that fits.
    """
    cuts = load_backbone(candidate.backbone).cuts.get(candidate.variant or "", ())
    if not cuts:
        raise BadInput(f"candidate {candidate}: its backbone names no cut, so it has no tail; ask for probe or full")
    if asked is not None:
        if asked not in cuts:
            raise BadInput(f"CUT={asked}: candidate {candidate} has no such cut, expected one of {', '.join(cuts)}")
        return asked
    sizes = {cut: n_views(recipe, n_rows) * bytes_of(shapes[cut]) for cut in cuts}
    fitting = [cut for cut in cuts if sizes[cut] <= limit_gb * 1e9]
    if not fitting:
        needs = ", ".join(f"{name} {size / 1e9:.1f} GB" for name, size in sizes.items())
        raise BadInput(
            f"candidate {candidate}: no bank fits into BANK_GB={limit_gb:g} ({needs}); raise it, or take fewer px"
        )
    return fitting[0]


def n_views(recipe: Recipe, n_rows: tuple[int, int]) -> int:
    """Return how many (photo, view) pairs the banks of a run hold, of train and test photos."""
    n_train, n_test = n_rows
    return n_train * recipe.views + n_test * recipe.tta_views


def bytes_of(shape: Sequence[int]) -> int:
    """Return the bytes of one photo's features in one view."""
    return math.prod(shape) * BYTES


def feature_shapes(
    candidate: Candidate, pixels: int, channels: int, engine: Engine, cache_dir: Path = CACHE
) -> dict[str, list[int]]:
    """Return the shape of what comes out at each cut, by name, and pooled, as `POOLED`; a worker builds the backbone once."""
    name = f"{candidate.variant}".replace("/", "_")
    file = f"{candidate.backbone}-{name}-{pixels}px-{channels}ch-{source_sha(candidate.backbone)[:12]}.json"
    path = cache_dir / "shapes" / file
    if not path.is_file():
        arguments = {
            "backbone": candidate.backbone,
            "variant": candidate.variant,
            "pixels": pixels,
            "channels": channels,
        }
        job = Job(
            function="folds.cuts:shapes_of", arguments=arguments, label=f"shapes of {candidate}", needs_keras=True
        )
        write_json(path, engine.run([job], ignore_events)[0])
    shapes: dict[str, list[int]] = read_json(path)
    return shapes


def shapes_of(report: Report, backbone: str, variant: str, pixels: int, channels: int) -> dict[str, list[int]]:
    """Build a backbone with random weights and return the shapes at its cuts and after pooling, without the batch."""
    facts = load_backbone(backbone)
    whole = facts.build(pixels, variant, None, channels=channels)
    cuts = facts.cuts.get(variant, ())
    at_cuts = {cut: [int(side) for side in whole.get_layer(cut).output.shape[1:]] for cut in cuts}
    return {**at_cuts, POOLED: [int(whole.output.shape[-1])]}
