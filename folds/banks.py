"""Which feature banks there are: what decides every number in one, and which of them a run needs.

cache/features/<key>/          one bank: one frozen part, one view; chunks of rows by photo content
cache/features/<key>/bank.json what the key was made from; its mtime tells when a plan last named it
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from comp import images
from comp.augment import POLICY_VERSION
from comp.backend import THREADS, backend_name
from comp.chunks import ChunkStore
from comp.images import PixelSpec
from comp.registry import load_backbone
from comp.store import key_of, sha256_of_file
from folds.inputs import BankInputs
from folds.runs import RunPlan

BATCH = 8  # fixed, results may depend on it; activations of 8 photos stay near the core (32: a fifth slower at 224 px)
FOLDER = "features"
POOLED = ""  # the cut of a bank that holds pooled features


@dataclass(frozen=True)
class View:
    """One deterministic transform of a photo: 0 is the photo as it is, 1 its mirror image, 2 and on are drawn by the policy.

    Attributes:
        strength: Of the policy; always 0 for the first two.
    """

    index: int
    strength: float = 0.0


def views_of(n_views: int, strength: float, symmetries: Collection[str]) -> list[View]:
    """Return the first n views: plain, mirrored (where a mirror image means the same), then drawn ones of a strength."""
    first = [View(0), View(1)] if "flip" in symmetries else [View(0)]
    drawn = [View(index, strength) for index in range(2, 2 + max(0, n_views - len(first)))]
    return [*first, *(drawn if strength > 0 else [])][:n_views]


@dataclass(frozen=True, kw_only=True)
class BankSpec:
    """What decides every number in a bank."""

    backbone: str
    variant: str
    weights_path: str
    weights_sha: str
    pixels: int
    channels: int
    resize: str
    symmetries: tuple[str, ...]
    precision: str
    cut: str
    view: View

    @property
    def key(self) -> str:
        """Return the name of the bank's folder."""
        return key_of(self.key_parts())[:24]

    def key_parts(self) -> dict[str, Any]:
        """Return what the key hashes; where the weights lie is not in it, their content is."""
        parts = {name: value for name, value in asdict(self).items() if name not in ("weights_path", "symmetries")}
        library = load_backbone(self.backbone).library
        drawn = {"policy": POLICY_VERSION, "symmetries": sorted(self.symmetries)} if self.view.strength else {}
        made_by = {
            "source": source_sha(self.backbone),
            "pixels_version": images.DECODE_VERSION,
            "batch": BATCH,
            "keras": version("keras"),
            "backend": backend_name(),
            "threads": THREADS,
        }
        return {**parts, **drawn, **made_by, **({library: version(library)} if library else {})}

    @property
    def image_spec(self) -> PixelSpec:
        """Return the kind of pixels that it is computed from."""
        return PixelSpec(self.pixels, self.channels, self.resize)  # type: ignore[arg-type]

    def folder(self, cache_dir: Path) -> Path:
        """Return where the bank lies."""
        return cache_dir / FOLDER / self.key


@lru_cache
def source_sha(backbone: str) -> str:
    """Return the hash of a backbone's source file and of what such files share: another network gives other features."""
    file = import_module(f"comp.backbones.{backbone}").__file__
    assert file is not None
    shared = [*sorted(Path(file).parent.glob("_*.py")), Path(file).parents[1] / "layers.py"]
    return key_of([sha256_of_file(path) for path in [Path(file), *shared] if path.name != "__init__.py"])


def banks_of(plan: RunPlan) -> list[BankSpec]:
    """Return the banks that a run's fits are trained on, one a view; the first `tta_views` of them predict."""
    recipe, facts = plan.recipe, plan.facts
    return [
        BankSpec(
            backbone=plan.candidate.backbone,
            variant=plan.candidate.variant or "",
            weights_path=plan.weights_path,
            weights_sha=plan.weights_sha,
            pixels=recipe.pixels,
            channels=facts["channels"],
            resize=facts["resize"],
            symmetries=tuple(facts["symmetries"]),
            precision=plan.precision,
            cut=recipe.cut if plan.candidate.fit == "tail" else POOLED,
            view=view,
        )
        for view in views_of(recipe.views, recipe.strength, facts["symmetries"])
    ]


def bank_inputs(banks: Sequence[BankSpec], cache_dir: Path) -> BankInputs:
    """Return read access to banks that are filled, one store a view."""
    stores = [ChunkStore(bank.folder(cache_dir)) for bank in banks]
    return BankInputs(stores, stores[0].row_shape)


def starts_from_head(plan: RunPlan) -> bool:
    """Return whether a fit first trains its head alone, on pooled features."""
    return plan.candidate.fit == "tail" and plan.recipe.head_epochs > 0


def for_head(plan: RunPlan) -> RunPlan:
    """Return the plan of a tail's head alone: a probe of the same backbone, on the same views."""
    return replace(plan, candidate=replace(plan.candidate, fit="probe"), recipe=replace(plan.recipe, cut=POOLED))


@dataclass(frozen=True)
class Wanted:
    """A bank and the photos that a plan needs in it."""

    spec: BankSpec
    shas: tuple[str, ...]

    def missing(self, cache_dir: Path) -> list[str]:
        """Return the photos that are not in the bank yet."""
        folder, shas = self.spec.folder(cache_dir), list(dict.fromkeys(self.shas))
        try:
            store = ChunkStore(folder)
        except FileNotFoundError:
            if folder.is_dir():
                raise
            return shas  # another command threw the bank away just now
        return [sha for sha in shas if sha not in store]


def wanted_banks(plan: RunPlan, train: Sequence[str], test: Sequence[str]) -> list[Wanted]:
    """Return the banks that a run needs: every view of the train photos, of the test photos only the views that predict.

    The pooled features that a tail's head starts from are those of a probe of the same backbone: computed once for both.
    """
    pooled = banks_of(for_head(plan)) if starts_from_head(plan) else []
    return [Wanted(spec, tuple(train)) for spec in pooled] + [
        Wanted(spec, (*train, *(test if view < plan.recipe.tta_views else [])))
        for view, spec in enumerate(banks_of(plan))
    ]


def passes(wanted: Sequence[Wanted], cache_dir: Path) -> dict[BankSpec, dict[str, set[str]]]:
    """Return for each forward pass that banks share (all that differ in nothing but the cut) the cuts that each photo lacks."""
    lacking: dict[BankSpec, dict[str, set[str]]] = {}
    for bank in dict.fromkeys(wanted):
        cuts_of = lacking.setdefault(replace(bank.spec, cut=POOLED), {})
        for sha in bank.missing(cache_dir):
            cuts_of.setdefault(sha, set()).add(bank.spec.cut)
    return lacking


def n_passes(wanted: Sequence[Wanted], cache_dir: Path) -> int:
    """Return how many photos and views are to be sent through a frozen part, whatever number of banks each fills."""
    return sum(len(cuts_of) for cuts_of in passes(wanted, cache_dir).values())
