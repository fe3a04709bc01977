"""The one door for downloads, and for bytes that go up: resumed, checked by hash, with a time-out on every call.

Nothing is fetched at import.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comp.errors import BadInput, NoNetwork, Refused, RemoteError, ServerTrouble
from comp.patience import Again, Patience, patiently, retry_after
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
            is_all_sent = reply.status_code == 416
            if is_all_sent and _is_of(reply, have):
                return
            if not is_all_sent:
                reply.raise_for_status()
                _write(reply, part, have if reply.status_code == 206 else 0, report)
                return
    except requests.RequestException as error:
        raise BadInput(
            f"{url} could not be fetched ({type(error).__name__}): fetch it by hand, or try again later"
        ) from error
    part.unlink()  # longer than the file: it is of another one
    _fetch_rest(url, part, report)


def _is_of(reply: Any, have: int) -> bool:
    """Return whether what is there has the length that the server tells of the file, where it tells one."""
    return reply.headers.get("Content-Range", "").rpartition("/")[2] in ("", "*", str(have))


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


class UploadExpired(Exception):
    """The server knows an upload no more: it must be begun anew."""


def upload(
    url: str,
    content: bytes,
    patience: Patience,
    note: Callable[[str], None],
    report: Callable[[int], None] | None = None,
    is_begun: bool = False,
) -> None:
    """Send bytes to an address that takes them resumably, going on from the byte reached after each failure.

    Args:
        note: Takes a line for each longer pause.
        report: Takes the bytes that are there so far.
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
            (report or (lambda n_bytes: None))(start)
            last = len(content) - 1
            headers = {"Content-Range": f"bytes {start}-{last}/{len(content)}"}
            if _put(url, content[start:], headers, patience).status_code == 308:
                raise Again(ServerTrouble("the server kept only a part of the upload"), after=0)
        (report or (lambda n_bytes: None))(len(content))

    patiently(once, patience, note)


def _bytes_there(url: str, n_bytes: int, patience: Patience) -> int:
    reply = _put(url, b"", {"Content-Range": f"bytes */{n_bytes}"}, patience)
    if reply.status_code != 308:
        return n_bytes
    last = reply.headers.get("Range", "").rpartition("-")[2]
    return int(last) + 1 if last.isdigit() else 0


def _put(url: str, body: bytes, headers: dict[str, str], patience: Patience) -> Any:
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
