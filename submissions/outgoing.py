"""Which CSV is handed in, checked offline: the one that is named, or the last that `make submit` wrote for this competition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comp.console import relative
from comp.errors import BadInput, Refused
from comp.spec import Competition
from comp.store import read_json, sha256_of
from folds.runs import RUNS
from submissions.ledger import Event

NORMAL_95 = 2 * 1.959964  # standard errors between the ends of a 95 % interval


@dataclass(frozen=True)
class Outgoing:
    """A CSV that passed its check.

    Attributes:
        content: The bytes that were checked and are sent, whatever becomes of the file meanwhile.
        manifest: What stands beside the CSV; empty for one that this project did not write.
    """

    competition: Competition
    path: Path
    content: bytes
    manifest: dict[str, Any] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """Return the hash of the content."""
        return sha256_of(self.content)

    @property
    def n_rows(self) -> int:
        """Return the number of rows under the header."""
        return len(self.content.splitlines()) - 1

    @property
    def slug(self) -> str:
        """Return Kaggle's name of the competition."""
        return self.competition.slug or ""

    def cv_words(self) -> str:
        """Return the CV score with its interval, as a person reads it."""
        if not self.manifest:
            return "not known: there is no manifest beside it"
        cv = self.manifest["cv"]
        return f"{self.manifest['metric']} {cv['score']:.4f} ({cv['low']:.4f} to {cv['high']:.4f})"

    def event(self, kind: str, **values: str) -> Event:
        """Return an event of the ledger about this CSV."""
        return Event(
            event=kind,
            competition=self.competition.name,
            slug=self.slug,
            file=relative(self.path),
            sha256=self.sha256,
            **{**_facts(self.manifest, self.path), **values},
        )


def _facts(manifest: dict[str, Any], path: Path) -> dict[str, str]:
    if not manifest:
        return {}
    cv, ensemble = manifest["cv"], manifest.get("ensemble", {})
    error = (cv["high"] - cv["low"]) / NORMAL_95
    more = (manifest["n_train"] / manifest["n_test"]) ** 0.5 if manifest.get("n_test") else 1.0
    return {
        "manifest": relative(path.with_suffix(".json")),
        "runs": " ".join(Path(run["folder"]).name for run in manifest["runs"]),
        "weights": " ".join(f"{weight:.6g}" for weight in ensemble.get("weights", [])),
        "metric": manifest["metric"],
        "cv": f"{cv['score']:.6f}",
        "cv_se": f"{error:.6f}",
        "lb_se": f"{error * more:.6f}",
        "commit": str(manifest.get("commit") or ""),
    }


def prepare(competition: Competition, file: Path | None, runs: Path = RUNS, template: Path | None = None) -> Outgoing:
    """Return the CSV to hand in, checked as before it was written; nobody is called.

    Args:
        file: The CSV; None takes the newest of this competition.
        template: Sample submission to check against a CSV of which no fold table is here.

    Raises:
        BadInput: If the competition has no slug, or there is no such CSV.
        Refused: If the CSV is malformed, was edited, or belongs to another competition.
    """
    if not competition.slug:
        raise BadInput(
            f"competition {competition.name} has no slug: it is not on Kaggle, so there is nowhere to upload to"
        )
    path = newest_csv(competition, runs) if file is None else file.expanduser()
    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected the CSV to hand in (FILE=file.csv)")
    outgoing = Outgoing(competition, path, path.read_bytes(), _manifest(path, competition))
    if outgoing.manifest and outgoing.manifest["sha256"] != outgoing.sha256:
        raise Refused(
            f"{path} was changed after it was written: its manifest names another hash; run make submit again"
        )
    _check(outgoing, runs, template)
    return outgoing


def template_path(competition: Competition, data: Path | None, data_root: Path) -> Path | None:
    """Return the sample submission in the folder of raw files, or None where there is no such folder."""
    from comp.tables import find_data_dir

    try:
        return find_data_dir(competition, data, data_root) / competition.sample_submission
    except BadInput:
        return None


def newest_csv(competition: Competition, runs: Path = RUNS) -> Path:
    """Return the CSV that `make submit` wrote last for this competition, by the time in its manifest.

    Raises:
        BadInput: If there is none.
    """
    written = []
    for manifest_path in (runs / competition.name).glob("*/submissions/*.json"):
        manifest = read_json(manifest_path)
        if manifest.get("competition") == competition.name and manifest_path.with_suffix(".csv").is_file():
            written.append((manifest["written"], manifest_path.stat().st_mtime_ns, manifest_path.with_suffix(".csv")))
    if not written:
        raise BadInput(
            f"no CSV of {competition.name} in {runs / competition.name}: run make submit COMP={competition.name} first, "
            "or name one with FILE=file.csv"
        )
    return max(written)[2]


def _manifest(path: Path, competition: Competition) -> dict[str, Any]:
    manifest_path = path.with_suffix(".json")
    if not manifest_path.is_file():
        return {}
    manifest: dict[str, Any] = read_json(manifest_path)
    if manifest.get("competition") != competition.name:
        raise Refused(
            f"{path} was written for competition {manifest.get('competition')!r}, not for {competition.name!r}; check COMP="
        )
    return manifest


def _check(outgoing: Outgoing, runs: Path, template: Path | None) -> None:
    from io import BytesIO

    import pandas as pd

    from submissions.check import check_frame

    try:
        frame = pd.read_csv(BytesIO(outgoing.content), dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise Refused(f"{outgoing.path} cannot be read as CSV ({error}); run make submit again") from error
    ids, classes = _expected(outgoing, runs, template)
    # Kaggle takes rows, and columns of classes, in any order; which there are is what counts
    id_column = outgoing.competition.id_column
    got = list(frame[id_column]) if id_column in frame.columns else []
    same_rows = sorted(got) == sorted(ids)
    columns = [name for name in frame.columns if name != id_column]
    classes = columns if sorted(columns) == sorted(classes) else classes
    check_frame(frame, outgoing.competition, got if same_rows else ids, classes, str(outgoing.path))


def _expected(outgoing: Outgoing, runs: Path, template: Path | None) -> tuple[Sequence[str], Sequence[str]]:
    """Return the ids and the classes that a CSV must have: of the fold table it was made over, else of the newest one."""
    from comp.tables import read_csv
    from folds.dataset import load_dataset

    competition = outgoing.competition
    folder = _fold_table(outgoing, runs)
    if folder is not None:
        dataset = load_dataset(folder)
        return dataset.test["id"].tolist(), dataset.classes
    if template is None or not template.is_file():
        raise Refused(
            f"{outgoing.path} cannot be checked: no fold table of {competition.name} is in {runs}, and no sample "
            "submission; name the folder of the raw files with DATA=folder"
        )
    sample = read_csv(template)
    named = sample[competition.target_column] if competition.submission == "label" else sample.columns[1:]
    return sample[competition.id_column].tolist(), sorted(set(named))


def _fold_table(outgoing: Outgoing, runs: Path) -> Path | None:
    home = runs / outgoing.competition.name
    if "data8" in outgoing.manifest and (home / outgoing.manifest["data8"] / "dataset.json").is_file():
        return home / str(outgoing.manifest["data8"])
    tables = sorted(home.glob("*/dataset.json"), key=lambda path: path.stat().st_mtime_ns)
    return tables[-1].parent if tables else None
