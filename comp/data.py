"""`make data`: a competition's raw files into data/<competition>, from Kaggle, Hugging Face or a plain address.

What comes is unpacked beside and renamed into place whole, so a folder that is there is complete, and is left as it is.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from comp.console import relative, say, share_bar
from comp.errors import BadInput, NoSpace, Refused, RemoteError
from comp.fetch import fetch, open_url
from comp.kaggle_client import Kaggle
from comp.kaggle_credentials import permission_warning
from comp.patience import Patience
from comp.registry import load
from comp.spec import Competition
from comp.store import beside, disk_full_is_one_line, locked, sweep
from comp.unpack import SUFFIXES, is_archive, unpack

KINDS = "a slug, `kaggle-dataset:OWNER/NAME`, `hf:OWNER/NAME` or `https://...#sha256=HASH`"


@dataclass(frozen=True)
class Origin:
    """Where data come from: `kaggle`, `kaggle-dataset`, `hf` or `url`, its name there, and the hash of a plain file."""

    kind: str
    name: str
    sha256: str = ""


def origin_of(competition: Competition) -> Origin:
    """Return where a competition's data come from: Kaggle if it has a slug, else the first of its sources.

    Raises:
        BadInput: If it names none, or one that is no source.
    """
    if competition.slug:
        return Origin("kaggle", competition.slug)
    if not competition.sources:
        drawn = "; its sample is drawn by make submit" if competition.sample else ""
        raise BadInput(f"competition {competition.name} names no place to download from: expected {KINDS}{drawn}")
    return parse_origin(competition.sources[0])


def parse_origin(source: str) -> Origin:
    """Return a source, parsed.

    Raises:
        BadInput: If it is none, or a plain address without a hash.
    """
    owned = re.fullmatch(r"(kaggle-dataset|hf):([\w.-]+/[\w.-]+)", source)
    if owned:
        return Origin(owned[1], owned[2])
    plain = re.fullmatch(r"(https?://[^#]+)(?:#sha256=([0-9a-fA-F]{64}))?", source)
    if plain and plain[2]:
        return Origin("url", plain[1], plain[2].lower())
    lacks = "it names no hash, add #sha256=HASH" if plain else f"expected {KINDS}"
    raise BadInput(f"source {source!r}: {lacks}")


def get_data(competition: Competition, data_root: Path, patience: Patience | None = None) -> Path:
    """Download and unpack a competition's data, and return their folder; where it is there, nobody is called.

    Raises:
        BadInput: If the competition names no source.
        RemoteError: If the source does not give them; the kind says why.
        Refused: If what came is not what was announced, or is unsafe to unpack.
        NoSpace: If the disk cannot hold them.
    """
    origin = origin_of(competition)
    folder = data_root / competition.name
    with locked(data_root / f".{competition.name}.lock", on_wait=say):
        if folder.is_dir():
            say(f"{relative(folder)} is there already, nothing is fetched; remove it to fetch it again")
            return folder
        sweep(data_root)
        downloads = data_root / f".{competition.name}.download"
        with disk_full_is_one_line(folder), _made(folder) as new:
            _bring(origin, downloads, new, competition, patience or Patience())
            if competition.reshape:
                load("comp.reshapes", competition.reshape).reshape(new)
        shutil.rmtree(downloads, ignore_errors=True)
    return folder


@contextmanager
def _made(folder: Path) -> Iterator[Path]:
    """Yield a folder to fill, which takes its name when all is in it, and is gone if anything fails."""
    new = beside(folder)
    new.mkdir(parents=True)
    try:
        yield new
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _bring(origin: Origin, downloads: Path, new: Path, competition: Competition, patience: Patience) -> None:
    if origin.kind == "hf":
        from comp.hugging_face import snapshot

        snapshot(origin.name, new)
        return
    bring = {"kaggle": _competition_files, "kaggle-dataset": _dataset_files, "url": _plain_file}[origin.kind]
    bring(origin, downloads, new, patience)
    _lift(new, {competition.train_folder, competition.test_folder})


def _competition_files(origin: Origin, downloads: Path, new: Path, patience: Patience) -> None:
    kaggle = _kaggle(patience)
    announced = {str(file.name): int(file.total_bytes) for file in kaggle.files(origin.name)}
    n_bytes = sum(announced.values())
    say(f"{origin.name}: {len(announced)} files, {n_bytes / 1e6:,.1f} MB")
    _check_room(new, n_bytes)
    path = downloads / f"{origin.name}.zip"

    def open_at(headers: dict[str, str]) -> object:
        return kaggle.open_competition_files(origin.name, headers)

    with share_bar(f"download {origin.name}") as report:
        fetch(open_at, path, f"data of {origin.name}", patience, say, report)
    _unpacked(path, new, check=lambda: _check_announced(new, announced))
    _tell_code_competition(kaggle, origin.name)


def _tell_code_competition(kaggle: Kaggle, slug: str) -> None:
    """Say what a code competition takes; where Kaggle does not tell, upload will."""
    with suppress(RemoteError):
        if kaggle.competition(slug).is_kernels_submissions_only:
            say(
                f"{slug} is a code competition: it takes a notebook, not a CSV; after make submit, make notebook COMP=... "
                "writes predict.ipynb and its data set"
            )


def _dataset_files(origin: Origin, downloads: Path, new: Path, patience: Patience) -> None:
    kaggle = _kaggle(patience)
    owner, _, name = origin.name.partition("/")

    def open_at(headers: dict[str, str]) -> object:
        return kaggle.open_dataset(owner, name, headers)

    path = downloads / f"{name}.zip"
    with share_bar(f"download {origin.name}") as report:
        fetch(open_at, path, f"data set {origin.name}", patience, say, report)
    _unpacked(path, new)


def _plain_file(origin: Origin, downloads: Path, new: Path, patience: Patience) -> None:
    name = PurePosixPath(origin.name.partition("?")[0]).name or "download"
    path = downloads / name
    with share_bar(f"download {name}") as report:
        fetch(open_url(origin.name, patience), path, name, patience, say, report, origin.sha256)
    if is_archive(path):
        _unpacked(path, new)
    else:
        path.rename(new / name)


def _kaggle(patience: Patience) -> Kaggle:
    kaggle = Kaggle(patience)
    warning = permission_warning(kaggle.credentials)
    if warning:
        say(f"warning: {warning}")
    return kaggle


def _unpacked(path: Path, new: Path, check: Callable[[], None] = lambda: None) -> None:
    """Unpack an archive; one that is refused is thrown away, so that the next try fetches it anew."""
    say(f"unpacking {path.name}")
    try:
        unpack(path, new, note=say)
        check()
    except Refused:
        path.unlink()
        raise


def _check_announced(new: Path, announced: dict[str, int]) -> None:
    """Refuse data of which an announced file is missing or has another size; archives are unpacked and gone by now."""
    for name, n_bytes in announced.items():
        path = new / name
        if name.lower().endswith(SUFFIXES) or name.endswith(".gz"):
            continue
        if not path.is_file():
            raise Refused(f"the archive of all files lacks {name}, which Kaggle lists; run the same command again")
        if n_bytes and path.stat().st_size != n_bytes:
            raise Refused(
                f"{name} has {path.stat().st_size:,} bytes, Kaggle lists {n_bytes:,}; run the same command again"
            )


def _check_room(new: Path, n_bytes: int) -> None:
    """Refuse to begin where the disk cannot hold the archive and its files side by side."""
    free = shutil.disk_usage(new).free
    if free < 2 * n_bytes:
        raise NoSpace(
            f"{new.parent} has {free / 1e9:.1f} GB free, and archive and files take {2 * n_bytes / 1e9:.1f} GB"
        )


def _lift(new: Path, expected: set[str]) -> None:
    """Where all lies in one folder that is none of the competition's own, make that folder the root."""
    entries = list(new.iterdir())
    if len(entries) != 1 or not entries[0].is_dir() or entries[0].name in expected:
        return
    inner = entries[0].rename(new.with_name(new.name.removesuffix(".tmp") + ".inner.tmp"))
    new.rmdir()
    inner.rename(new)
