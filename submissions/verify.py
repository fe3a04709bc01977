"""A CSV made again from the stored predictions that its manifest names: the same hash, or one line that says what differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from comp.errors import BadInput, Refused
from comp.spec import Competition
from comp.store import sha256_of, sha256_of_file
from comp.tables import read_csv
from folds.dataset import Dataset
from folds.oof import score, text_score
from submissions.stored import Rebuilt, read_manifest, rebuild, rebuild_texts
from submissions.write import as_csv, make_frame, make_text_frame, ordered_classes, with_prior

SCORE_TOLERANCE = 1e-6  # the manifest holds six digits


@dataclass(frozen=True)
class Verified:
    """What was found to be as recorded."""

    sha256: str
    metric: str
    cv: float
    n_runs: int
    n_rows: int


def verify(file: Path) -> Verified:
    """Make a CSV again and compare: its bytes with the hash in the manifest, its nested score with the one recorded.

    Raises:
        BadInput: If the CSV or its manifest is not there, or it is of an older version.
        Refused: If the CSV was edited, a run is gone or another, or the CSV or the score come out different.
    """
    manifest = read_manifest(file)
    if not file.is_file():
        raise BadInput(f"{file} is gone, only its manifest is here; make submit writes it again")
    recorded, got = manifest["sha256"], sha256_of_file(file)
    if got != recorded:
        raise Refused(f"{file} was edited: its hash is {got[:8]}, expected {recorded[:8]}; make submit writes it again")
    if manifest.get("format", {}).get("submission") == "text":
        return _verify_texts(file, manifest)
    made = rebuild(manifest, str(file))
    frame = _frame(file, made.competition, made.dataset, lambda ids, columns: _written(made, ids, columns, file))
    value = score(made.dataset, made.predictions.oof, manifest["metric"]).value
    return _compared(file, manifest, frame, value)


def _written(made: Rebuilt, ids: list[str], columns: list[str], file: Path) -> pd.DataFrame:
    table, classes = with_prior(made.predictions, ids, made.dataset), made.dataset.classes
    is_wide = made.competition.submission == "probabilities"
    ordered = ordered_classes(columns[1:], classes, str(file)) if is_wide else None
    return make_frame(made.competition, ids, table, classes, ordered)


def _verify_texts(file: Path, manifest: dict[str, Any]) -> Verified:
    competition, dataset, made = rebuild_texts(manifest, str(file))
    frame = _frame(file, competition, dataset, lambda ids, _: make_text_frame(competition, ids, made.test))
    return _compared(file, manifest, frame, text_score(dataset, made.oof, manifest["metric"]).value)


def _frame(
    file: Path, competition: Competition, dataset: Dataset, write: Callable[[list[str], list[str]], pd.DataFrame]
) -> pd.DataFrame:
    """Return the submission written again, its rows and columns in the order of the file."""
    # that order is the recorded one, because the hash is; which ids and classes there are is checked by what follows
    table = read_csv(file)
    ids = table[competition.id_column].tolist()
    if sorted(ids) != sorted(dataset.test["id"]):
        raise Refused(f"{file}: its ids are not those of the test rows of fold table {dataset.data8}")
    return write(ids, list(table.columns))


def _compared(file: Path, manifest: dict[str, Any], frame: pd.DataFrame, value: float) -> Verified:
    recorded, name, cv = manifest["sha256"], manifest["metric"], manifest["cv"]["score"]
    again = sha256_of(as_csv(frame))
    if again != recorded:
        raise Refused(
            f"{file}: made again its hash is {again[:8]}, expected {recorded[:8]}; the stored runs say otherwise"
        )
    if abs(value - cv) > SCORE_TOLERANCE:
        raise Refused(f"{file}: its nested {name} is {value:.6f}, but the manifest says {cv:.6f}")
    return Verified(recorded, name, value, len(manifest["runs"]), len(frame))
