"""The real Kaggle client against a server of ours: each fault its own clear line and exit status, never a credential in any."""

from __future__ import annotations

import logging
import stat
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comp import errors
from comp.kaggle_client import Kaggle, Lost
from comp.kaggle_credentials import find_credentials, permission_warning
from comp.patience import Again, Patience, patiently, retry_after, waits
from tests.kaggle_server import TOKEN, Fault, KaggleServer

QUICK = Patience(connect=1, read=0.3, tries=3, first_pause=0.02, longest_pause=2, lost=1.0, score=2, poll=0.05)
VARIABLES = ("API_TOKEN", "USERNAME", "KEY", "CONFIG_DIR", "API_ENVIRONMENT", "KERNEL_RUN_TYPE", "API_V1_TOKEN")


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work with an empty home and no variable of Kaggle's; return the home."""
    for name in VARIABLES:
        monkeypatch.delenv(f"KAGGLE_{name}", raising=False)
    home = tmp_path / "home"
    (home / ".kaggle").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def server(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    with KaggleServer() as running:
        for name, value in running.environment(str(nobody)).items():
            monkeypatch.setenv(name, value)
        yield running


def test_every_question_is_answered_through_the_proxy_variables(server: KaggleServer) -> None:
    kaggle = Kaggle(QUICK)
    server.state.files = {f"{n}.csv": b"x" * n for n in range(5)}
    assert kaggle.endpoint == "http://localhost"
    assert kaggle.whoami() == "somebody"
    assert kaggle.competition(server.slug).user_has_entered
    assert kaggle.limits(server.slug).num_allowed_now == 5
    assert [(found.name, found.total_bytes) for found in kaggle.files(server.slug)] == [
        (f"{n}.csv", n) for n in range(5)
    ]
    assert kaggle.submissions(server.slug) == []


def test_opening_calls_nobody(server: KaggleServer) -> None:
    Kaggle(QUICK)
    assert server.state.requests == []


REFUSALS = [
    (Fault("status", 401), errors.CredentialsWrong, 12, "new token"),
    (Fault("status", 403), errors.RulesNotAccepted, 13, "/rules"),
    (Fault("status", 404), errors.NotThere, 15, "check the name"),
    (Fault("status", 400, message="The deadline has passed"), errors.Closed, 14, "no submissions any more"),
    (Fault("status", 400, message="odd"), errors.RemoteError, 10, "odd"),
]


@pytest.mark.parametrize(("fault", "kind", "exit_status", "hint"), REFUSALS, ids=lambda value: str(value)[:40])
def test_a_refusal_is_its_own_line_and_is_not_repeated(
    server: KaggleServer, fault: Fault, kind: type[errors.RemoteError], exit_status: int, hint: str
) -> None:
    server.fail("GetCompetition", fault)
    with pytest.raises(errors.RemoteError) as caught:
        Kaggle(QUICK).competition(server.slug)
    assert type(caught.value) is kind
    assert caught.value.exit_status == exit_status
    assert hint in str(caught.value)
    assert server.called("GetCompetition") == 1


PASSING = [
    Fault("status", 429),
    Fault("status", 429, {"Retry-After": "0"}),
    Fault("status", 500),
    Fault("status", 503, {"Retry-After": "0"}),
    Fault("reset"),
    Fault("lost"),
    Fault("silence"),
    Fault("garbage"),
]
LASTING = {"status": errors.ServerTrouble, "garbage": errors.ServerTrouble}


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{fault.kind} {fault.status} {fault.headers}")
def test_what_passes_is_tried_again_and_what_lasts_is_one_line(server: KaggleServer, fault: Fault) -> None:
    server.fail("GetCompetition", fault, fault)
    assert Kaggle(QUICK).competition(server.slug).id == 7
    assert server.called("GetCompetition") == 3
    server.fail("GetCompetition", fault, fault, fault)
    with pytest.raises(LASTING.get(fault.kind, errors.NoNetwork)):
        Kaggle(QUICK).competition(server.slug)


def test_retry_after_is_obeyed(server: KaggleServer) -> None:
    server.fail("GetCompetition", Fault("status", 429, {"Retry-After": "0.6"}))
    began = time.monotonic()
    Kaggle(QUICK).competition(server.slug)
    assert time.monotonic() - began >= 0.6


def test_a_retry_after_that_is_too_long_is_told_not_waited_for(server: KaggleServer) -> None:
    server.fail("GetCompetition", Fault("status", 429, {"Retry-After": "3600"}))
    with pytest.raises(errors.ServerTrouble, match="3600 s"):
        Kaggle(QUICK).competition(server.slug)


def test_silence_ends_at_the_time_out(server: KaggleServer) -> None:
    server.fail("GetCompetition", Fault("silence"))
    began = time.monotonic()
    with pytest.raises(errors.NoNetwork, match="silent"):
        Kaggle(Patience(read=0.2, tries=1)).competition(server.slug)
    assert time.monotonic() - began < 1.5


def test_no_network_is_one_line(server: KaggleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(errors.NoNetwork, match="cannot be reached"):
        Kaggle(QUICK).competition(server.slug)


@pytest.mark.parametrize("kind", ["lost", "garbage", "silence", "reset", "status"])
def test_a_create_without_a_clear_reply_is_lost_and_sent_once(server: KaggleServer, kind: str) -> None:
    kaggle = Kaggle(QUICK)
    server.state.blobs["blob"], server.state.sizes["blob"] = bytearray(b"x"), 1
    server.fail("CreateSubmission", Fault(kind))
    with pytest.raises(Lost):
        kaggle.create_submission(server.slug, "blob", "message")
    assert server.called("CreateSubmission") == 1


def test_a_create_that_was_certainly_not_taken_says_so(server: KaggleServer) -> None:
    server.fail("CreateSubmission", Fault("status", 429))
    with pytest.raises(Again) as caught:
        Kaggle(QUICK).create_submission(server.slug, "blob", "message")
    assert caught.value.did_nothing


@pytest.mark.parametrize(
    "fault", [*PASSING, *(case[0] for case in REFUSALS)], ids=lambda fault: f"{fault.kind}{fault.status}"
)
def test_no_credential_is_in_a_message_a_traceback_or_a_log(
    server: KaggleServer, fault: Fault, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    server.fail("GetCompetition", fault, fault, fault)
    kaggle = Kaggle(QUICK)
    with pytest.raises(errors.RemoteError) as caught:
        kaggle.competition(server.slug)
    shown = "".join(traceback.format_exception(caught.value))
    told = capsys.readouterr()
    assert TOKEN not in shown + caplog.text + repr(kaggle.credentials) + str(vars(caught.value)) + told.out + told.err


def credential_ways(home: Path) -> dict[str, tuple[dict[str, str], dict[Path, str]]]:
    """Return each way of giving credentials, the strongest first: variables, and files with their content."""
    pair = f'{{"username": "somebody", "key": "{TOKEN}"}}'
    return {
        "variable": ({"KAGGLE_API_TOKEN": TOKEN}, {}),
        "named file": ({"KAGGLE_API_TOKEN": str(home / "my token")}, {home / "my token": f"{TOKEN}\n"}),
        "access_token": ({}, {home / ".kaggle" / "access_token": f"{TOKEN}\n"}),
        "pair": ({"KAGGLE_USERNAME": "somebody", "KAGGLE_KEY": TOKEN}, {}),
        "moved": ({"KAGGLE_CONFIG_DIR": str(home / "conf")}, {home / "conf" / "kaggle.json": pair}),
        "kaggle.json": ({}, {home / ".kaggle" / "kaggle.json": pair}),
    }


def give(way: tuple[dict[str, str], dict[Path, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in way[0].items():
        monkeypatch.setenv(name, value)
    for path, text in way[1].items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)


@pytest.mark.parametrize("name", list(credential_ways(Path())))
def test_every_way_of_the_client_is_known_and_taken(
    server: KaggleServer, nobody: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    give(credential_ways(nobody)[name], monkeypatch)
    assert Kaggle(QUICK).competition(server.slug).id == 7
    assert Kaggle(QUICK).whoami() == "somebody"


def test_the_order_of_the_ways_is_the_clients(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = credential_ways(nobody)
    sources = []
    for name in ("kaggle.json", "pair", "access_token", "variable"):
        give(ways[name], monkeypatch)
        sources.append(find_credentials().source.rsplit("/", 1)[-1])
    assert sources == ["kaggle.json", "KAGGLE_USERNAME and KAGGLE_KEY", "access_token", "KAGGLE_API_TOKEN"]


def test_no_credentials_are_one_line_that_names_the_places(nobody: Path) -> None:
    with pytest.raises(errors.NoCredentials, match="looked for KAGGLE_API_TOKEN") as caught:
        find_credentials()
    assert caught.value.exit_status == 11


def test_oauth_is_refreshed_by_the_stock_code(
    server: KaggleServer, nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    expires = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    path = nobody / ".kaggle" / "credentials.json"
    path.write_text(
        f'{{"refresh_token": "r", "access_token": "{TOKEN}", "access_token_expiration": "{expires}", "username": "u"}}'
    )
    assert Kaggle(QUICK).competition(server.slug).id == 7


def test_a_file_that_others_can_read_is_told(nobody: Path) -> None:
    path = nobody / ".kaggle" / "access_token"
    path.write_text(TOKEN)
    path.chmod(0o644)
    warning = permission_warning(find_credentials())
    assert warning and "chmod 600" in warning and TOKEN not in warning
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert permission_warning(find_credentials()) is None


def test_an_unknown_environment_is_one_line(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "MOON")
    with pytest.raises(errors.BadInput, match="MOON"):
        Kaggle(QUICK)


def test_retry_after_may_be_a_date() -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert retry_after(in_a_minute) == pytest.approx(60, abs=2)
    assert retry_after("Wed, 26 Mar 2025 00:00:00 GMT") == 0


@given(st.text())
def test_a_wild_retry_after_is_a_number_or_none(header: str) -> None:
    seconds = retry_after(header)
    assert seconds is None or seconds >= 0


@given(st.floats(0.1, 5), st.floats(0, 600))
def test_waits_grow_and_add_up(first: float, total: float) -> None:
    pauses = waits(first, total)
    assert sum(pauses) == pytest.approx(total)
    assert pauses[:-1] == sorted(pauses[:-1])


def test_patience_passes_other_failures_on_at_once() -> None:
    def fail() -> None:
        raise errors.NotThere("gone")

    with pytest.raises(errors.NotThere):
        patiently(fail, QUICK, print)


def test_asking_who_one_is_asks_the_server(server: KaggleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
    monkeypatch.setenv("KAGGLE_KEY", "wrong")
    with pytest.raises(errors.CredentialsWrong):
        Kaggle(QUICK).whoami()
