"""The feature bank: what a frozen part computes for a photo and a view, computed once, shared by folds, trials and heads.

    cache/features/<key>/          one bank: one frozen part, one view; chunks of rows by photo content
    cache/features/<key>/bank.json what the key was made from; its mtime tells when a plan last named it

Which photos are in a batch changes no photo's features (a test holds it), so ten new photos cost ten and give the same numbers.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from comp import images
from comp.augment import POLICY_VERSION, image_seeds, policy
from comp.backend import THREADS, backend_name, fast_forward
from comp.chunks import CHUNK, ChunkStore, save_chunk
from comp.console import say
from comp.engine import Engine, Job, Listener, Report
from comp.errors import Refused
from comp.images import CACHE, ImageStore, PixelSpec
from comp.registry import load_backbone
from comp.store import beside, key_of, locked, sha256_of_file, sweep, write_json
from folds.in_use import alone, held_by_others, hold
from folds.inputs import BankInputs
from folds.runs import RunPlan

BATCH = 8  # fixed, results may depend on it; activations of 8 photos stay near the core (32: a fifth slower at 224 px)
FOLDER = "features"
NAMED = "bank.json"  # its mtime tells when a plan last named the bank
EXTRACTION = "folds.features:extract_chunk"  # the job
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
        drawn = {"policy": POLICY_VERSION, "symmetries": sorted(self.symmetries)} if self.view.strength else {}
        made_by = {
            "source": source_sha(self.backbone),
            "pixels_version": images.DECODE_VERSION,
            "batch": BATCH,
            "keras": version("keras"),
            "backend": backend_name(),
            "threads": THREADS,
        }
        return {**parts, **drawn, **made_by}

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


def fill_banks(wanted: Sequence[Wanted], engine: Engine, listener: Listener, cache_dir: Path = CACHE) -> None:
    """Compute what is missing in banks; what a killed run had computed is not computed again."""
    engine.run(extraction_jobs(wanted, cache_dir), listener)


def extraction_jobs(wanted: Sequence[Wanted], cache_dir: Path = CACHE) -> list[Job]:
    """Return a job for each 256 photos that banks lack; a bank that is named counts as used now.

    Banks that differ in nothing but the cut are filled by one forward pass: a tail's activations and the pooled features that
    its head starts from cost as much as these features alone. No other process throws them away before this one ends.
    """
    hold(cache_dir / FOLDER, {bank.spec.key for bank in wanted})
    jobs = []
    for banks, shas in _lacking(wanted, cache_dir).items():
        spec = banks[0]
        for start in range(0, len(shas), CHUNK):
            part = shas[start : start + CHUNK]
            jobs.append(
                Job(
                    function=EXTRACTION,
                    arguments={
                        "spec": asdict(spec),
                        "cuts": [bank.cut for bank in banks],
                        "shas": part,
                        "cache_dir": str(cache_dir),
                    },
                    label=f"features of {spec.backbone} {spec.variant}, view {spec.view.index}, photos {start + 1} on",
                    needs_keras=True,
                    log_path=str(spec.folder(cache_dir) / "log.txt"),
                    size=len(part),
                )
            )
    return jobs


def _lacking(wanted: Sequence[Wanted], cache_dir: Path) -> dict[tuple[BankSpec, ...], list[str]]:
    """Return which photos are lacking in which banks: in the key are all banks of one forward pass that lack them."""
    by_pass: dict[BankSpec, dict[str, list[BankSpec]]] = {}
    for bank in dict.fromkeys(wanted):
        mark_used(bank.spec, cache_dir)
        sweep(bank.spec.folder(cache_dir))
        lacking = by_pass.setdefault(replace(bank.spec, cut=POOLED), {})
        for sha in bank.missing(cache_dir):
            lacking.setdefault(sha, []).append(bank.spec)
    found: dict[tuple[BankSpec, ...], list[str]] = {}
    for lacking in by_pass.values():
        for sha, banks in lacking.items():
            found.setdefault(tuple(sorted(set(banks), key=lambda bank: bank.cut)), []).append(sha)
    return found


def mark_used(spec: BankSpec, cache_dir: Path) -> None:
    """Note that a plan names the bank now: the oldest bank is thrown away first."""
    path = spec.folder(cache_dir) / NAMED
    if path.is_file():
        os.utime(path)
    else:
        write_json(path, spec.key_parts())


def extract_chunk(report: Report, spec: dict[str, Any], cuts: list[str], shas: list[str], cache_dir: str) -> int:
    """Compute and store the features of some photos under one view, at each of the cuts; return how many were computed.

    Raises:
        Refused: If a feature is not finite.
    """
    bank = BankSpec(**{**spec, "view": View(**spec["view"]), "symmetries": tuple(spec["symmetries"])})
    folders = [replace(bank, cut=cut).folder(Path(cache_dir)) for cut in cuts]
    with locked(folders[0] / f".{key_of(shas)[:16]}.lock", lambda line: report("note", line)):
        stores = [ChunkStore(folder) for folder in folders]
        missing = [sha for sha in shas if not all(sha in store for store in stores)]
        if missing:
            began = time.monotonic()
            photos = view_of(ImageStore(bank.image_spec, Path(cache_dir)).gather(missing), missing, bank)
            computed = features_at(bank, cuts, photos)
            share = round((time.monotonic() - began) / len(cuts), 2)
            for folder, features in zip(folders, computed, strict=True):
                save_chunk(folder, missing, features, {"seconds": share})
    return len(missing)


def seconds_of_bank(spec: BankSpec, cache_dir: Path = CACHE) -> float:
    """Return the seconds of work that all features of a bank took, summed over jobs."""
    markers = ChunkStore(spec.folder(cache_dir)).markers.values()
    return float(sum(marker.get("seconds", 0.0) for marker in markers))


def view_of(photos: np.ndarray, shas: Sequence[str], bank: BankSpec) -> np.ndarray:
    """Return the photos under the bank's view; what a photo is drawn to depends on its content and the view only."""
    if bank.view.index == 0:
        return photos
    if bank.view.index == 1:
        return np.ascontiguousarray(photos[:, :, ::-1])
    contents = np.array([int(sha[:15], 16) for sha in shas], dtype=np.int64)
    drawn: np.ndarray = policy(bank.view.strength, frozenset(bank.symmetries)).apply(
        photos, image_seeds(bank.view.index, 0, contents)
    )
    return drawn


def features_of(bank: BankSpec, photos: np.ndarray) -> np.ndarray:
    """Return (N, ...) float16 features of photos at the bank's cut.

    Raises:
        Refused: If a feature is not finite, or too large for 16 bits.
    """
    return features_at(bank, [bank.cut], photos)[0]


def features_at(bank: BankSpec, cuts: Sequence[str], photos: np.ndarray) -> list[np.ndarray]:
    """Return (N, ...) float16 features of photos at each cut, by one forward pass in batches of one fixed size.

    A cut's features are the same to the last bit whatever other cuts are asked for with it.

    Raises:
        Refused: If a feature is not finite, or too large for 16 bits.
    """
    import keras

    keras.config.set_dtype_policy(bank.precision)
    forward = _extractor(
        bank.backbone,
        bank.variant,
        bank.weights_path,
        bank.weights_sha or _stamp(bank.weights_path),
        bank.pixels,
        bank.channels,
        bank.precision,
        tuple(cuts),
    )
    parts: list[list[np.ndarray]] = [[] for _ in cuts]
    for start in range(0, len(photos), BATCH):
        batch = photos[start : start + BATCH]
        filled = np.concatenate([batch, np.repeat(batch[-1:], BATCH - len(batch), axis=0)])
        for part, found in zip(parts, forward(filled), strict=True):
            part.append(_in_16_bits(np.asarray(found, dtype=np.float32)[: len(batch)]))
    features = [np.concatenate(part) for part in parts]
    for cut, found in zip(cuts, features, strict=True):
        if not np.isfinite(found).all():
            raise Refused(
                f"{bank.backbone} {bank.variant} at {cut or 'its end'}: a feature is not finite in 16 bits; "
                "look at the weights, or take another cut (CUT=layer) or the fit full"
            )
    return features


def _in_16_bits(features: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which is refused
        return features.astype(np.float16)


@lru_cache(maxsize=1)
def _extractor(
    backbone: str,
    variant: str,
    weights: str,
    weights_sha: str,
    pixels: int,
    channels: int,
    precision: str,
    cuts: tuple[str, ...],
) -> Any:
    """Return the frozen part, compiled once a worker: it is a fact of the bank, so what a worker did before changes nothing."""
    import keras

    from folds.model import pooled

    whole = load_backbone(backbone).build(pixels, variant, weights or None, channels=channels)
    whole.trainable = False
    outputs = [whole.get_layer(cut).output if cut else pooled(whole.output) for cut in cuts]
    return fast_forward(keras.Model(whole.input, outputs), BATCH)


def trim(limit_bytes: float, keep: Collection[str], cache_dir: Path = CACHE) -> int:
    """Throw away the banks used longest ago until all fit; return the bytes freed.

    Those whose keys are kept stay, and those that another running process named; where these alone are too many, that is said.
    """
    home = cache_dir / FOLDER
    if not home.is_dir():
        return 0
    with alone(home):
        sweep(home)
        keep = {*keep, *held_by_others(home)}
        banks = sorted((path for path in home.glob("[!.]*") if path.is_dir()), key=_last_named)
        sizes = {folder: _bytes_in(folder) for folder in banks}
        freed, total = 0, sum(sizes.values())
        for folder, n_bytes in sizes.items():
            if total - freed <= limit_bytes:
                break
            if folder.name not in keep:
                _throw_away(folder)
                freed += n_bytes
    if total - freed > limit_bytes:
        say(
            f"stored features take {(total - freed) / 1e9:.1f} GB, more than CACHE_GB={limit_bytes / 1e9:g}: "
            "this plan and other running commands need them"
        )
    return freed


def _throw_away(folder: Path) -> None:
    """Remove a bank; it is renamed first, so that it is there whole or not at all."""
    rubbish = beside(folder)  # swept where this process is killed meanwhile
    shutil.rmtree(rubbish, ignore_errors=True)  # of a killed process that had this one's number: containers
    with suppress(FileNotFoundError):
        folder.rename(rubbish)
    shutil.rmtree(rubbish, ignore_errors=True)


def _last_named(folder: Path) -> float:
    """Return when a plan last named a bank; 0 for what is no whole bank."""
    with suppress(FileNotFoundError):
        return (folder / NAMED).stat().st_mtime
    return 0.0


def _stamp(path: str) -> str:
    """Return what tells a file from another that lay under its name, where its hash is not known."""
    return f"{os.stat(path).st_mtime_ns}" if path else ""


def _bytes_in(folder: Path) -> int:
    """Return the bytes of the files in a folder; one that is gone before it is looked at has none."""
    n_bytes = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                n_bytes += os.lstat(os.path.join(path, name)).st_size
    return n_bytes
