"""The one door for downloads: resumed, checked by hash, with a time-out on every call; nothing is fetched at import."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comp.errors import BadInput, Refused
from comp.store import disk_full_is_one_line, locked

CONNECT_SECONDS, READ_SECONDS = 3.0, 60.0
BLOCK = 1 << 20


def does_answer(url: str) -> bool:
    """Return whether the source of a file answers within 3 seconds and has it."""
    import requests

    try:
        reply = requests.head(url, timeout=CONNECT_SECONDS, allow_redirects=True)
    except requests.RequestException:
        return False
    return reply.ok


def download(
    url: str, path: Path, *, sha256: str = "", md5: str = "", report: Callable[[int], None] | None = None
) -> Path:
    """Fetch a file to `path`, going on where an earlier try stopped, and check it; a wrong file is never left in place.

    Args:
        url: What to fetch.
        sha256, md5: Hashes to check, where known.
        report: Takes the bytes that are there so far.

    Raises:
        BadInput: If the source does not answer or has no such file.
        Refused: If the file that came has another hash.
        NoSpace: If the disk is full.
    """
    with locked(path.with_name(f".{path.name}.lock")):
        if path.is_file():
            return path
        part = path.with_name(f".{path.name}.part")
        with disk_full_is_one_line(path):
            _fetch_rest(url, part, report or (lambda n_bytes: None))
        _check(part, url, sha256, md5)
        part.replace(path)
    return path


def _fetch_rest(url: str, part: Path, report: Callable[[int], None]) -> None:
    import requests

    have = part.stat().st_size if part.is_file() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as reply:
            if (
                reply.status_code == 416
            ):  # nothing is left to send: all of it is there, or what is there is of another file
                if reply.headers.get("Content-Range", "").rpartition("/")[2] not in ("", "*", str(have)):
                    part.unlink()
                    _fetch_rest(url, part, report)
                return
            reply.raise_for_status()
            _write(reply, part, have if reply.status_code == 206 else 0, report)
    except requests.RequestException as error:
        raise BadInput(
            f"{url} could not be fetched ({type(error).__name__}): fetch it by hand, or try again later"
        ) from error


def _write(reply: Any, part: Path, have: int, report: Callable[[int], None]) -> None:
    with part.open("ab" if have else "wb") as file:
        for block in reply.iter_content(BLOCK):
            file.write(block)
            report(file.tell())
    expected = reply.headers.get("Content-Length")
    if expected is not None and part.stat().st_size != have + int(expected):
        raise BadInput(
            f"{reply.url}: the download was cut at {part.stat().st_size:,} bytes; run the same command again"
        )


def _check(part: Path, url: str, sha256: str, md5: str) -> None:
    for name, expected in (("sha256", sha256), ("md5", md5)):
        if not expected:
            continue
        with part.open("rb") as file:
            got = hashlib.file_digest(file, name).hexdigest()
        if got != expected:
            part.unlink()
            raise Refused(f"{url}: the file that came has {name} {got}, expected {expected}; it was thrown away")
