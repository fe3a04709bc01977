"""The one door for files: down from any server, and up to Kaggle's storage; resumed, checked, with a time-out on every call.

What is asked of Kaggle goes through `comp/kaggle_client.py`; nothing else in this project opens a connection to a site. Nothing
is fetched at import.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from comp.console import say
from comp.errors import NoNetwork, NotThere, Refused, RemoteError, ServerTrouble
from comp.patience import Again, Patience, patiently, retry_after
from comp.store import disk_full_is_one_line, locked, write_json

BLOCK = 1 << 16  # what a connection that breaks can lose
CONNECT_SECONDS = 3.0
OF_WEIGHTS = Patience(connect=CONNECT_SECONDS, tries=3)  # the person waits, and another way is at hand

Opener = Callable[[dict[str, str]], Any]
Bar = Callable[[float], None]


def no_bar(share: float) -> None:
    """Show nothing of a transfer."""


def does_answer(url: str) -> bool:
    """Return whether the source of a file answers within 3 seconds and has it."""
    import requests

    try:
        reply = requests.head(url, timeout=CONNECT_SECONDS, allow_redirects=True)
    except requests.RequestException:
        return False
    return reply.ok


def download(
    url: str,
    path: Path,
    *,
    sha256: str = "",
    md5: str = "",
    report: Bar = no_bar,
    patience: Patience = OF_WEIGHTS,
) -> Path:
    """Bring the file behind a plain address to `path` and return that; a wrong file is never left in place.

    Args:
        sha256, md5: Hashes to check, where known.
        report: Takes the share of the file that is there, 0 to 1.

    Raises:
        RemoteError: If the source does not answer or has no such file; the kind says why.
        Refused: If the file that came has another hash.
        NoSpace: If the disk is full.
    """
    shown = url.partition("?")[0]
    return fetch(open_url(url, patience), path, shown, patience, say, report, sha256, md5)


def fetch(
    open_at: Opener,
    path: Path,
    what: str,
    patience: Patience,
    note: Callable[[str], None],
    report: Bar,
    sha256: str = "",
    md5: str = "",
) -> Path:
    """Bring a file to `path` and return that; an earlier try, even of a killed command, is gone on with.

    Bytes of two versions of a file are never mixed: a part is only gone on with if the server says it is the same file, or a hash
    will tell.

    Args:
        open_at: Called with request headers (a range of bytes), returns the streaming reply; raises `Again` or RemoteError.
        what: The file in the words of an error line.
        note: Takes a line for each longer pause.
        report: Takes the share of the file that is there, 0 to 1, where its size is known.
        sha256, md5: Hashes to check; besides them the one that the storage names, if it names one.

    Raises:
        RemoteError: If the server refuses, or patience ends; what came is kept for the next try.
        Refused: If what came has another hash; it is thrown away.
        NoSpace: If the disk is full.
    """
    part, facts_path = (path.with_name(f".{path.name}.{end}") for end in ("part", "part.json"))
    is_hash_known = bool(sha256 or md5)
    with disk_full_is_one_line(path), locked(path.with_name(f".{path.name}.lock"), on_wait=note):
        if not path.is_file():
            patiently(lambda: _fetch_rest(open_at, part, facts_path, what, report, is_hash_known), patience, note)
            _check(part, what, ("sha256", sha256), ("md5", md5), ("md5", _facts(facts_path).get("md5", "")))
            part.replace(path)
            facts_path.unlink(missing_ok=True)
    return path


def _fetch_rest(open_at: Opener, part: Path, facts_path: Path, what: str, report: Bar, is_hash_known: bool) -> None:
    import requests

    have, facts = part.stat().st_size if part.is_file() else 0, _facts(facts_path)
    if have and have == facts.get("n_bytes"):
        return
    headers = {"Accept-Encoding": "identity", **_rest_headers(have, facts, is_hash_known)}
    with closing(open_at(headers)) as reply:
        if reply.status_code == 416:
            part.unlink(missing_ok=True)
            raise Again(ServerTrouble(f"{what}: it is shorter than what came of it before; try again"), after=0)
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


def _rest_headers(have: int, facts: Mapping[str, Any], is_hash_known: bool) -> dict[str, str]:
    """Return what asks for the rest of a file; nothing where the two parts might be of two versions and nobody would notice."""
    if not 0 < have < (facts.get("n_bytes") or 0):
        return {}
    if facts.get("etag"):
        return {"Range": f"bytes={have}-", "If-Range": facts["etag"]}
    return {"Range": f"bytes={have}-"} if is_hash_known else {}


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


def _check(part: Path, what: str, *hashes: tuple[str, str]) -> None:
    for name, expected in hashes:
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
        if reply.ok or reply.status_code == 416:
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


def set_hub_timeouts() -> None:
    """Give the library of Hugging Face its time-outs, where the person has not; it reads them once, when it is imported."""
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "60")
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", "10")


def hugging_face_files(name: str, **options: Any) -> Path:
    """Return a folder with the files of a repository of Hugging Face, through its own library, which resumes and checks hashes.

    Raises:
        ImportError: If the library is not installed; and whatever it raises.
    """
    set_hub_timeouts()
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(repo_id=name, **options))


def kaggle_model(handle: str) -> Path:
    """Return a folder with the files of a model on Kaggle, through its own library `kagglehub`; raises whatever that raises."""
    import kagglehub

    return Path(kagglehub.model_download(handle))


class UploadExpired(Exception):
    """The server knows an upload no more: it must be begun anew."""


def upload(
    url: str,
    content: bytes,
    patience: Patience,
    note: Callable[[str], None],
    report: Bar = no_bar,
    is_begun: bool = False,
) -> None:
    """Send bytes to an address that takes them resumably, going on from the byte reached after each failure.

    Args:
        note: Takes a line for each longer pause.
        report: Takes the share that is there, 0 to 1.
        is_begun: Whether an earlier process may have sent some: then the server is asked first.

    Raises:
        UploadExpired: If the server does not know the upload any more.
        RemoteError: If it refuses the bytes, or patience ends.

    Source: the protocol of Google's resumable uploads, https://cloud.google.com/storage/docs/resumable-uploads
    """
    state = {"asks": is_begun}

    def once() -> None:
        start = _bytes_there(url, len(content), patience) if state["asks"] else 0
        state["asks"] = True
        if start < len(content):
            last = len(content) - 1
            headers = {"Content-Range": f"bytes {start}-{last}/{len(content)}"}
            if _put(url, _Told(content, start, report), headers, patience).status_code == 308:
                raise Again(ServerTrouble("the server kept only a part of the upload"), after=0)
        report(1.0)

    patiently(once, patience, note)


class _Told(io.BytesIO):
    """The bytes of a file from some byte on, which tell how far they are read."""

    def __init__(self, content: bytes, start: int, report: Bar) -> None:
        super().__init__(content)
        self.seek(start)
        self.report, self.n_bytes = report, len(content)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes, and tell the share that the reader has by then."""
        block = super().read(size)
        self.report(self.tell() / self.n_bytes)
        return block


def _bytes_there(url: str, n_bytes: int, patience: Patience) -> int:
    reply = _put(url, b"", {"Content-Range": f"bytes */{n_bytes}"}, patience)
    if reply.status_code != 308:
        return n_bytes
    last = reply.headers.get("Range", "").rpartition("-")[2]
    return int(last) + 1 if last.isdigit() else 0


def _put(url: str, body: Any, headers: dict[str, str], patience: Patience) -> Any:
    import requests

    try:
        reply = requests.put(url, data=body, headers=headers, timeout=patience.timeout, allow_redirects=False)
    except requests.RequestException as error:
        failure = NoNetwork(f"the upload broke off ({type(error).__name__}): check the network, then try again")
        raise Again(failure) from None
    status = reply.status_code
    if status in (404, 410):
        raise UploadExpired
    if status in (408, 429) or status >= 500:
        failure_line = f"the server that takes the upload answers {status}; try again later"
        raise Again(ServerTrouble(failure_line), retry_after(reply.headers.get("Retry-After")))
    if status not in (200, 201, 308):
        raise RemoteError(f"the server that takes the upload refuses it ({status}); run the same command again")
    return reply
