"""One large file from a server to the disk: resumed after every failure, its size and hash checked, never half in place."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from comp.errors import NoNetwork, NotThere, Refused, RemoteError, ServerTrouble
from comp.patience import Again, Patience, patiently, retry_after
from comp.store import disk_full_is_one_line, locked, write_json

BLOCK = 1 << 16  # what a connection that breaks can lose

Opener = Callable[[dict[str, str]], Any]


def fetch(
    open_at: Opener,
    path: Path,
    what: str,
    patience: Patience,
    note: Callable[[str], None],
    report: Callable[[float], None],
    sha256: str = "",
) -> Path:
    """Bring a file to `path` and return that; an earlier try, even of a killed command, is gone on with.

    Bytes of two versions of a file are never mixed: a part is only gone on with if the server says it is the same file.

    Args:
        open_at: Called with request headers (a range of bytes), returns the streaming reply; raises `Again` or RemoteError.
        what: The file in the words of an error line.
        note: Takes a line for each longer pause.
        report: Takes the share of the file that is there, 0 to 1, where its size is known.
        sha256: Hash to check; where empty, the hash that the storage names is, if it names one.

    Raises:
        RemoteError: If the server refuses, or patience ends; what came is kept for the next try.
        Refused: If what came has another hash; it is thrown away.
        NoSpace: If the disk is full.
    """
    part, facts_path = (path.with_name(f".{path.name}.{end}") for end in ("part", "part.json"))
    with disk_full_is_one_line(path), locked(path.with_name(f".{path.name}.lock"), on_wait=note):
        if not path.is_file():
            patiently(lambda: _fetch_rest(open_at, part, facts_path, what, report), patience, note)
            _check(part, _facts(facts_path), what, sha256)
            part.replace(path)
            facts_path.unlink(missing_ok=True)
    return path


def _fetch_rest(open_at: Opener, part: Path, facts_path: Path, what: str, report: Callable[[float], None]) -> None:
    import requests

    have, facts = part.stat().st_size if part.is_file() else 0, _facts(facts_path)
    if have and have == facts.get("n_bytes"):
        return
    headers = {"Accept-Encoding": "identity"}
    if have and facts.get("etag") and have < (facts.get("n_bytes") or have + 1):
        headers |= {"Range": f"bytes={have}-", "If-Range": facts["etag"]}
    with closing(open_at(headers)) as reply:
        start = have if reply.status_code == 206 and "Range" in headers else 0
        if not start:
            write_json(facts_path, _facts_of(reply))
        try:
            _write(reply, part, start, _facts(facts_path).get("n_bytes"), report)
        except (requests.RequestException, ConnectionError, TimeoutError) as error:
            raise Again(
                NoNetwork(f"{what}: the download broke off ({type(error).__name__}); try again later")
            ) from None
    expected = _facts(facts_path).get("n_bytes")
    if expected is not None and part.stat().st_size != expected:
        raise Again(ServerTrouble(f"{what}: {part.stat().st_size:,} of {expected:,} bytes came; try again later"))


def _write(reply: Any, part: Path, start: int, n_bytes: int | None, report: Callable[[float], None]) -> None:
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        for block in reply.iter_content(BLOCK):
            file.write(block)
            if n_bytes:
                report(min(1.0, file.tell() / n_bytes))


def _facts_of(reply: Any) -> dict[str, Any]:
    """Return what a reply says of the whole file: its size, a tag that changes with it, its MD5 where the storage names it."""
    length = reply.headers.get("Content-Length", "")
    tag = reply.headers.get("ETag", "")
    return {
        "n_bytes": int(length) if length.isdigit() else None,
        "etag": "" if tag.startswith("W/") else tag,  # a weak tag does not stand for the bytes
        "md5": md5_of_headers(reply.headers),
    }


def md5_of_headers(headers: Mapping[str, str]) -> str:
    """Return the MD5 that Google's or Amazon's storage sends beside a file, in hexadecimal digits, or the empty string."""
    hashes = [part.strip() for part in headers.get("x-goog-hash", "").split(",")]
    named = [part.removeprefix("md5=") for part in hashes if part.startswith("md5=")]
    named += [headers["Content-MD5"]] if "Content-MD5" in headers else []
    try:
        return base64.b64decode(named[0], validate=True).hex() if named else ""
    except ValueError:
        return ""


def _facts(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _check(part: Path, facts: dict[str, Any], what: str, sha256: str) -> None:
    for name, expected in (("sha256", sha256), ("md5", facts.get("md5", ""))):
        if not expected:
            continue
        with part.open("rb") as file:
            got = hashlib.file_digest(file, name).hexdigest()
        if got != expected.lower():
            part.unlink()
            raise Refused(
                f"{what}: what came has {name} {got[:16]}, expected {expected[:16]}; it was thrown away, try again"
            )


def open_url(url: str, patience: Patience) -> Opener:
    """Return what opens a plain address for `fetch`."""
    import requests

    shown = url.partition("?")[0]

    def open_at(headers: dict[str, str]) -> Any:
        try:
            reply = requests.get(url, headers=headers, stream=True, timeout=patience.timeout)
        except requests.RequestException as error:
            raise Again(NoNetwork(f"{shown} cannot be reached ({type(error).__name__}): check the network")) from None
        if reply.ok:
            return reply
        reply.close()
        raise refusal_of(shown, reply.status_code, reply.headers.get("Retry-After"))

    return open_at


def refusal_of(shown: str, status: int, header: str | None) -> Exception:
    """Return what an error status of a plain address means: `Again` where it may pass."""
    if status == 429 or status >= 500:
        return Again(ServerTrouble(f"{shown} answers {status}; try again later"), retry_after(header))
    if status in (404, 410):
        return NotThere(f"{shown} is not there ({status}): check the address")
    return RemoteError(f"{shown} refuses ({status})")
