"""A CSV made again from the stored predictions that its manifest names: the same hash, or one line that says what differs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from comp.errors import Refused
from comp.store import sha256_of, sha256_of_file
from comp.tables import read_csv
from folds.oof import score
from submissions.stored import read_manifest, rebuild
from submissions.write import as_csv, make_frame, with_prior

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
        BadInput: If there is no manifest, or it is of an older version.
        Refused: If the CSV was edited, a run is gone or another, or the CSV or the score come out different.
    """
    manifest = read_manifest(file)
    recorded, got = manifest["sha256"], sha256_of_file(file)
    if got != recorded:
        raise Refused(f"{file} was edited: its hash is {got[:8]}, expected {recorded[:8]}; make submit writes it again")
    made = rebuild(manifest, str(file))
    # the order of the rows is the file's, which is the recorded one; which ids there are is checked by what follows
    ids = read_csv(file)[made.competition.id_column].tolist()
    if sorted(ids) != sorted(made.dataset.test["id"]):
        raise Refused(f"{file}: its ids are not those of the test rows of fold table {made.dataset.data8}")
    table = with_prior(made.predictions, ids, made.dataset)
    again = sha256_of(as_csv(make_frame(made.competition, ids, table, made.dataset.classes)))
    if again != recorded:
        raise Refused(
            f"{file}: made again its hash is {again[:8]}, expected {recorded[:8]}; the stored runs say otherwise"
        )
    name, cv = manifest["metric"], manifest["cv"]["score"]
    value = score(made.dataset, made.predictions.oof, name).value
    if abs(value - cv) > SCORE_TOLERANCE:
        raise Refused(f"{file}: its nested {name} is {value:.6f}, but the manifest says {cv:.6f}")
    return Verified(recorded, name, value, len(made.matched.names), len(ids))
