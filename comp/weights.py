"""Where pre-trained weights are found: WEIGHTS=folder, the project's weights/, Keras' own cache, then a download."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from comp.console import share_bar
from comp.errors import BadInput, Refused
from comp.fetch import does_answer, download
from comp.registry import load_backbone
from comp.spec import Candidate, Weights
from comp.store import key_of, sha256_of_file

NONE = "none"  # WEIGHTS=none: train from scratch
PROJECT_FOLDER = Path("weights")
LARGEST_DOWNLOAD = 150.0  # megabytes that are fetched without being asked for


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights that is on disk and whole.

    Attributes:
        sha256: Hash of its bytes, part of the key of everything computed with it.
    """

    path: Path
    sha256: str


def facts_of(candidate: Candidate) -> Weights | None:
    """Return what is known of a candidate's pre-trained weights, or None where there are none."""
    backbone = load_backbone(candidate.backbone)
    return backbone.weights.get(candidate.variant or backbone.default_variant)


def places(folder: str | None) -> list[Path]:
    """Return the folders that weights are looked for in, in order.

    Args:
        folder: What WEIGHTS names, or None.
    """
    named = [Path(folder).expanduser()] if folder and folder != NONE else []
    return [*named, PROJECT_FOLDER, keras_cache()]


def keras_cache() -> Path:
    """Return where Keras keeps the weights that it downloads."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"


def find_weights(facts: Weights, folder: str | None) -> WeightsFile | None:
    """Return the first file of weights that is on disk, checked by its hash where the publisher tells one.

    Raises:
        BadInput: If WEIGHTS names a folder that is not there.
        Refused: If a file has the published name and another hash.
    """
    if folder and folder != NONE and not Path(folder).expanduser().is_dir():
        raise BadInput(f"WEIGHTS={folder}: no such folder; name the folder that holds {facts.file}, or WEIGHTS=none")
    for place in places(folder):
        for name in (facts.file, *facts.aliases):
            if (place / name).is_file():
                return _checked(place / name, facts)
    return None


def _checked(path: Path, facts: Weights) -> WeightsFile:
    sha256 = sha256_of_file(path)
    if path.name == facts.file and facts.sha256 and sha256 != facts.sha256:
        raise Refused(f"weights {path}: sha256 {sha256[:12]}, expected {facts.sha256[:12]}; fetch {facts.url} again")
    if path.name == facts.file and facts.md5 and _md5(path) != facts.md5:
        raise Refused(f"weights {path}: md5 {_md5(path)}, expected {facts.md5}; fetch {facts.url} again")
    return WeightsFile(path, _with_what_is_beside(path, sha256, facts))


def _with_what_is_beside(path: Path, sha256: str, facts: Weights) -> str:
    """Return the hash of a file together with those of the files that decide what is computed with it."""
    found = [path.parent / name for name in facts.beside if (path.parent / name).is_file()]
    return key_of([sha256, *((one.name, sha256_of_file(one)) for one in found)]) if found else sha256


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def fetch_weights(facts: Weights, folder: Path = PROJECT_FOLDER) -> WeightsFile:
    """Return weights that were not on disk, downloaded and checked.

    Raises:
        RemoteError: If their source does not give them; the kind says why.
        Refused: If the file that came has another hash.
    """
    with share_bar(f"download {facts.file}") as report:
        path = download(facts.url, folder / facts.file, sha256=facts.sha256, md5=facts.md5, report=report)
    return WeightsFile(path, sha256_of_file(path))


def not_to_be_had(candidate: Candidate, facts: Weights, folder: str | None, is_offline: bool) -> str:
    """Return the one line about weights that were asked for and are nowhere: the file, the places, the way out."""
    why = "OFFLINE=1 forbids to ask" if is_offline else "there is no answer from"
    return (
        f"candidate {candidate}: its weights {facts.file} ({facts.megabytes:.0f} MB) are in none of "
        f"{', '.join(map(str, places(folder)))}, and {why} {facts.url}; put the file there and name the folder with "
        "WEIGHTS=folder, or train from scratch with WEIGHTS=none"
    )


def may_download(facts: Weights, is_offline: bool) -> str:
    """Return why a file that is missing is not fetched unasked, or the empty string where it may be."""
    if is_offline:
        return "OFFLINE=1"
    if facts.megabytes >= LARGEST_DOWNLOAD:
        return f"{facts.megabytes:.0f} MB, over {LARGEST_DOWNLOAD:.0f}; ask for it by name"
    return "" if does_answer(facts.url) else "its source does not answer"
