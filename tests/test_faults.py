"""The fault suite: every fault at every call of an upload and of a download, through the real client, ends as promised."""

from __future__ import annotations

import inspect
import io
import random
import socket
import stat
import tarfile
import time
import traceback
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comp import errors
from comp.data import get_data
from comp.kaggle_client import Kaggle
from comp.patience import Patience
from comp.unpack import Budget
from submissions.ledger import Event
from submissions.outgoing import prepare
from submissions.upload import Wishes, hand_in
from tests.kaggle_server import TOKEN, Fault, KaggleServer
from tests.test_unpack import content, make_zip
from tests.uploads import PETS, assert_sent_once, make_csv

PROJECT = Path(__file__).resolve().parents[1]
QUICK = Patience(connect=1, read=0.3, tries=3, first_pause=0.02, longest_pause=2, lost=0.6, score=2, poll=0.05)
SAMPLE = b"id,label\n1,0.5\n"
FILES = {
    "train/cat.1.jpg": random.Random(1).randbytes(150_000),
    "train/dog.1.jpg": b"d",
    "test/1.jpg": b"t",
    "sample_submission.csv": SAMPLE,
}


@pytest.fixture
def server(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    """Run a Kaggle that has data and takes a CSV, in an empty folder with that CSV."""
    make_csv(in_folder)
    with KaggleServer() as running:
        running.state.files, running.state.archive = dict(FILES), make_zip(FILES)
        for name, value in running.environment(str(in_folder / "home")).items():
            monkeypatch.setenv(name, value)
        yield running


def send() -> Event | None:
    outgoing = prepare(PETS, Path("answer.csv"), template=Path("sample_submission.csv"))
    return hand_in(outgoing, Kaggle(QUICK), Wishes(yes=True))


def get() -> Path:
    return get_data(PETS, Path("data"), QUICK)


def named(value: Any) -> str:
    if not isinstance(value, Fault):
        return str(getattr(value, "__name__", value))
    return f"{value.kind}{value.status}{'-after' if value.headers else ''}"


REFUSALS = [
    (Fault("status", 401), errors.CredentialsWrong),
    (Fault("status", 403), errors.RulesNotAccepted),
    (Fault("status", 404), errors.NotThere),
]
SENDING = ["ListSubmissions", "GetCompetition", "GetSubmissionLimits", "StartSubmissionUpload", "CreateSubmission"]
LOADING = ["ListDataFiles", "DownloadDataFiles", "storage"]
PASSING = [
    Fault("status", 429),
    Fault("status", 429, {"Retry-After": "0"}),
    Fault("status", 500),
    Fault("status", 503),
    Fault("status", 503, {"Retry-After": "0"}),
    Fault("reset"),
    Fault("silence"),
    Fault("garbage"),
]


@pytest.mark.parametrize("method", [*SENDING, "GetSubmission"])
@pytest.mark.parametrize(("fault", "kind"), REFUSALS, ids=named)
def test_a_refused_upload_is_its_own_line_and_the_same_command_ends_it(
    server: KaggleServer, method: str, fault: Fault, kind: type[errors.RemoteError]
) -> None:
    server.fail(method, fault)
    with pytest.raises(kind) as caught:
        send()
    assert "\n" not in str(caught.value)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    send()
    assert_sent_once(server)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_storage_that_refuses_the_bytes_leaves_no_submission(server: KaggleServer, status: int) -> None:
    server.fail("PUT", Fault("status", status))
    with pytest.raises(errors.RemoteError, match=str(status)):
        send()
    assert server.state.submissions == []
    send()
    assert_sent_once(server)


@pytest.mark.parametrize("method", ["GetCompetition", "GetSubmissionLimits"])
@pytest.mark.parametrize("fault", PASSING, ids=named)
def test_what_passes_at_a_question_before_sending_is_survived(server: KaggleServer, method: str, fault: Fault) -> None:
    server.fail(method, fault)
    send()
    assert_sent_once(server)


@pytest.mark.parametrize("method", ["ListSubmissions", "StartSubmissionUpload", "PUT", "CreateSubmission"])
def test_retry_after_is_obeyed_at_every_step(server: KaggleServer, method: str) -> None:
    server.fail(method, Fault("status", 429, {"Retry-After": "0.4"}))
    began = time.monotonic()
    send()
    assert time.monotonic() - began >= 0.4
    assert_sent_once(server)


def test_a_storage_that_stays_silent_is_asked_how_far_it_came(server: KaggleServer) -> None:
    server.fail("PUT", Fault("none"), Fault("silence"))
    send()
    assert_sent_once(server)


@pytest.mark.parametrize("method", ["ListSubmissions", "PUT", "GetSubmission"])
def test_silence_for_ever_is_one_line_after_the_time_out(server: KaggleServer, method: str) -> None:
    server.fail(method, *[Fault("silence")] * 3)
    with pytest.raises(errors.NoNetwork):
        send()
    send()
    assert_sent_once(server)


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        (method, fault)
        for method in LOADING
        for fault in PASSING
        if fault.kind != "garbage" or method == "ListDataFiles"  # a file is no JSON
    ],
    ids=named,
)
def test_what_passes_is_survived_by_a_download(server: KaggleServer, method: str, fault: Fault) -> None:
    server.fail(method, fault)
    assert content(get()) == FILES


@pytest.mark.parametrize("method", LOADING)
@pytest.mark.parametrize(("fault", "kind"), REFUSALS, ids=named)
def test_a_refused_download_is_its_own_line_and_leaves_no_half(
    server: KaggleServer, method: str, fault: Fault, kind: type[errors.RemoteError]
) -> None:
    server.fail(method, fault)
    with pytest.raises(kind) as caught:
        get()
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    assert not Path("data/pets").exists()
    assert content(get()) == FILES


def with_link() -> bytes:
    """Return a zip with a link that leads out."""
    out = io.BytesIO(make_zip(FILES))
    with zipfile.ZipFile(out, "a") as archive:
        info = zipfile.ZipInfo("train/link.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return out.getvalue()


def with_hard_link() -> bytes:
    """Return a zip with a tar in it that links to a file outside."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as archive:
        info = tarfile.TarInfo("train/link.jpg")
        info.type, info.linkname = tarfile.LNKTYPE, "../../etc/passwd"
        archive.addfile(info)
    return make_zip({**FILES, "train.tar": inner.getvalue()})


UNSAFE = {
    "dots": (lambda: make_zip({**FILES, "../../evil": b"x"}), "leaves the folder"),
    "absolute": (lambda: make_zip({**FILES, "/tmp/evil": b"x"}), "absolute or foreign"),
    "drive": (lambda: make_zip({**FILES, "C:/evil": b"x"}), "absolute or foreign"),
    "inside": (lambda: make_zip({**FILES, "train.zip": make_zip({"../../evil": b"x"})}), "leaves the folder"),
    "link": (with_link, "is a link"),
    "hard link": (with_hard_link, "is a link"),
    "bomb": (lambda: make_zip({**FILES, "train/bomb.jpg": bytes(3 << 20)}), "bomb"),
    "bomb inside": (lambda: make_zip({**FILES, "train.zip": make_zip({"bomb": bytes(3 << 20)})}), "bomb"),
}


@pytest.mark.parametrize("name", list(UNSAFE))
def test_an_unsafe_archive_is_refused_and_leaves_nothing(
    server: KaggleServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, word = UNSAFE[name]
    monkeypatch.setattr("comp.unpack.Budget", lambda: replace(Budget(), ratio=10, ratio_from=1 << 20))
    server.state.archive = make()
    before = content(Path())
    with pytest.raises(errors.Refused, match=word):
        get()
    assert {name: found for name, found in content(Path()).items() if not name.endswith(".lock")} == before
    server.state.archive = make_zip(FILES)
    assert content(get()) == FILES


@pytest.mark.parametrize("job", [send, get])
def test_every_connection_is_opened_by_one_of_the_two_doors(
    server: KaggleServer, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors, real = [], socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        files = [Path(frame.filename) for frame in inspect.stack(0)]
        doors.append(
            next(path.as_posix() for path in files if path.parent in (PROJECT / "comp", PROJECT / "submissions"))
        )
        return real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    job()
    assert doors and set(doors) <= {f"{PROJECT}/comp/fetch.py", f"{PROJECT}/comp/kaggle_client.py"}
