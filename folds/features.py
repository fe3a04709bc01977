"""What a frozen part computes for a photo and a view: computed once into banks, shared by folds, trials and heads.

Which photos are in a batch changes no photo's features (a test holds it), so ten new photos cost ten and give the same numbers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from comp.augment import image_seeds, policy
from comp.backend import fast_forward
from comp.chunks import CHUNK, ChunkStore, save_chunk
from comp.engine import Engine, Job, Listener, Report
from comp.errors import Refused
from comp.images import CACHE, ImageStore
from comp.registry import load_backbone
from comp.store import key_of, locked, sweep
from folds.banks import BATCH, FOLDER, BankSpec, View, Wanted, passes
from folds.kept import hold, mark_used

EXTRACTION = "folds.features:extract_chunk"  # the job


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
    for spec, cuts, shas in _lacking(wanted, cache_dir):
        for start in range(0, len(shas), CHUNK):
            part = shas[start : start + CHUNK]
            jobs.append(
                Job(
                    function=EXTRACTION,
                    arguments={
                        "spec": asdict(spec),
                        "cuts": cuts,
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


def _lacking(wanted: Sequence[Wanted], cache_dir: Path) -> list[tuple[BankSpec, list[str], list[str]]]:
    """Return what forward passes are to be made: a bank, the cuts at which photos are lacking, and these photos."""
    for bank in dict.fromkeys(wanted):
        mark_used(bank.spec, cache_dir)
        sweep(bank.spec.folder(cache_dir))
    found = []
    for spec, lacking in passes(wanted, cache_dir).items():
        shas_of: dict[tuple[str, ...], list[str]] = {}
        for sha, cuts in lacking.items():
            shas_of.setdefault(tuple(sorted(cuts)), []).append(sha)
        found += [(replace(spec, cut=cuts[0]), list(cuts), shas) for cuts, shas in shas_of.items()]
    return found


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


def _stamp(path: str) -> str:
    """Return what tells a file from another that lay under its name, where its hash is not known."""
    return f"{os.stat(path).st_mtime_ns}" if path else ""
