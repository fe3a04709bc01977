"""At most one submission, whatever breaks: the whole upload with the real client against a server of ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comp import errors
from comp.kaggle_client import Kaggle
from submissions.ledger import Event, read
from submissions.outgoing import Outgoing, prepare
from submissions.upload import Wishes, hand_in, tag_of
from tests.kaggle_server import Fault, KaggleServer
from tests.upload_driver import QUICK
from tests.uploads import PETS, assert_sent_once, make_csv

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture
def server(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    """Run a Kaggle that this process and its children talk to, in an empty folder with a CSV."""
    make_csv(in_folder)
    with KaggleServer() as running:
        for name, value in running.environment(str(in_folder / "home")).items():
            monkeypatch.setenv(name, value)
        yield running


def outgoing(name: str = "answer.csv") -> Outgoing:
    return prepare(PETS, Path(name), template=Path("sample_submission.csv"))


def send(**wishes: object) -> Event | None:
    return hand_in(outgoing(), Kaggle(QUICK), replace(Wishes(yes=True), **wishes))  # type: ignore[arg-type]


def kinds() -> list[str]:
    return [event.event for event in read(Path("runs/ledger.csv"))]


def test_an_upload_ends_with_a_score_in_the_ledger(server: KaggleServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.state.board = [{"teamName": "others"}, {"teamName": "somebody's team"}]
    send(message="first try")
    assert_sent_once(server)
    assert kinds() == ["checked", "started", "created", "scored"]
    assert server.state.submissions[0]["description"] == f"first try {tag_of(outgoing(), 1)}"
    told = capsys.readouterr().out
    assert "public score 0.05123; rank 2 of 2" in told
    assert "5 of 5 submissions today" in told and "20 rows" in told and "upload answer.csv: 100 %" in told


def test_the_same_file_again_is_said_and_not_sent(server: KaggleServer, capsys: pytest.CaptureFixture[str]) -> None:
    send()
    capsys.readouterr()
    send()
    assert "has this file already, as submission 9000; nothing is sent" in capsys.readouterr().out
    assert_sent_once(server)
    assert server.called("StartSubmissionUpload") == server.called("CreateSubmission") == 1


def test_it_is_known_without_ledger_and_journal(server: KaggleServer) -> None:
    send()
    for path in [*Path("runs").rglob("*.json"), Path("runs/ledger.csv")]:
        path.unlink()
    send()
    assert_sent_once(server)


def test_it_is_known_while_the_listing_lags(server: KaggleServer) -> None:
    send()
    server.state.lists_lag = 5
    send()
    assert_sent_once(server)


def test_again_sends_it_once_more_and_no_more(server: KaggleServer) -> None:
    send()
    send(again=True)
    send()
    assert [row["description"][-3:] for row in server.state.submissions] == [tag_of(outgoing(), 1)[-3:], "#2]"]


def test_another_file_is_another_submission(server: KaggleServer) -> None:
    send()
    make_csv(Path(), name="answer.csv", shift=0.1)
    send()
    assert len({row["content"] for row in server.state.submissions}) == 2


def test_it_asks_and_no_sends_nothing(server: KaggleServer) -> None:
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return "n"

    assert send(yes=False, ask=ask) is None
    assert len(questions) == 1
    assert server.called("StartSubmissionUpload") == 0
    send(yes=False, ask=lambda _: "y")
    assert_sent_once(server)


def test_nobody_to_ask_is_one_line(server: KaggleServer) -> None:
    def nobody(question: str) -> str:
        raise EOFError

    with pytest.raises(errors.BadInput, match="YES=1"):
        send(yes=False, ask=nobody)
    assert server.state.submissions == []


def test_a_dry_run_does_all_but_send(server: KaggleServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert send(dry_run=True) is None
    assert kinds() == ["checked"]
    assert server.called("StartSubmissionUpload") == 0
    assert "5 of 5 submissions today" in capsys.readouterr().out


def test_a_used_up_limit_is_refused_here_with_the_time_of_the_reset(server: KaggleServer) -> None:
    server.state.used = 5
    with pytest.raises(errors.LimitReached, match="00:00 UTC"):
        send()
    assert server.called("StartSubmissionUpload") == 0


@pytest.mark.parametrize(
    ("facts", "kind", "word"),
    [
        ({"isKernelsSubmissionsOnly": True}, errors.Closed, "code competition.*make notebook COMP"),
        ({"submissionsDisabled": True}, errors.Closed, "any more"),
        ({"userHasEntered": False}, errors.RulesNotAccepted, "rules"),
    ],
)
def test_a_competition_that_does_not_take_it_is_explained(
    server: KaggleServer, facts: dict[str, bool], kind: type[errors.RemoteError], word: str
) -> None:
    server.state.facts = facts
    with pytest.raises(kind, match=word):
        send()
    assert server.state.blobs == {}


def test_what_kaggle_says_of_a_bad_file_is_the_line(server: KaggleServer) -> None:
    server.state.error = "Evaluation Exception: 20 rows expected"
    for _ in range(2):
        with pytest.raises(errors.RemoteError, match="20 rows expected"):
            send()
    assert kinds() == ["checked", "started", "created", "failed"]
    assert len(server.state.submissions) == 1


def test_a_score_that_does_not_come_is_left_to_the_ledger(server: KaggleServer) -> None:
    server.state.polls = 10**6
    event = send()
    assert event is not None and event.status == "PENDING"


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        (method, fault)
        for method in ("ListSubmissions", "StartSubmissionUpload", "PUT", "GetSubmission")
        for fault in (
            Fault("status", 429),
            Fault("status", 500),
            Fault("status", 503, {"Retry-After": "0"}),
            Fault("reset", after=7),
            Fault("lost"),
        )
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.kind}{value.status}",
)
def test_what_passes_is_survived(server: KaggleServer, method: str, fault: Fault) -> None:
    server.fail(method, fault)
    send()
    assert_sent_once(server)


@pytest.mark.parametrize("method", ["ListSubmissions", "StartSubmissionUpload", "GetSubmission"])
@pytest.mark.parametrize("kind", ["silence", "garbage"])
def test_silence_and_nonsense_are_survived(server: KaggleServer, method: str, kind: str) -> None:
    server.fail(method, Fault(kind))
    send()
    assert_sent_once(server)


def test_an_upload_goes_on_from_the_byte_reached(server: KaggleServer) -> None:
    server.fail("PUT", Fault("none"), Fault("reset", after=50))  # the first only asks what is there
    send()
    assert_sent_once(server)
    n_bytes = Path("answer.csv").stat().st_size
    ranges = [given["range"] for name, given in server.state.requests if name == "PUT"]
    assert ranges[-1] == f"bytes 50-{n_bytes - 1}/{n_bytes}"


def test_an_upload_that_the_server_forgot_is_begun_anew(server: KaggleServer) -> None:
    server.fail("PUT", Fault("status", 404))
    send()
    assert_sent_once(server)
    assert server.called("StartSubmissionUpload") == 2


@pytest.mark.parametrize("kind", ["lost", "garbage"])
def test_a_reply_lost_after_the_create_is_found_not_repeated(server: KaggleServer, kind: str) -> None:
    server.fail("CreateSubmission", Fault(kind))
    server.state.lists_lag = 3
    send()
    assert_sent_once(server)
    assert server.called("CreateSubmission") == 1


@pytest.mark.parametrize("fault", [Fault("reset"), Fault("silence"), Fault("status", 500), Fault("status", 503)])
def test_a_create_that_nobody_knows_of_is_recorded_and_never_repeated_unasked(
    server: KaggleServer, fault: Fault
) -> None:
    server.fail("CreateSubmission", fault)
    for _ in range(2):
        with pytest.raises(errors.OutcomeUnknown, match="AGAIN=1"):
            send()
    assert server.called("CreateSubmission") == 1
    assert kinds()[-1] == "unknown"
    send(again=True)
    assert_sent_once(server)


def test_an_unknown_one_that_turns_up_is_taken(server: KaggleServer) -> None:
    server.fail("CreateSubmission", Fault("lost"))
    server.state.lists_lag = 1000
    with pytest.raises(errors.OutcomeUnknown):
        send()
    server.state.lists_lag = 0
    send(again=True)
    assert_sent_once(server)


def test_a_create_that_was_put_off_is_sent_again(server: KaggleServer) -> None:
    server.fail("CreateSubmission", Fault("status", 429, {"Retry-After": "0"}))
    send()
    assert_sent_once(server)


def test_a_create_that_was_refused_is_written_down_and_may_be_sent_later(server: KaggleServer) -> None:
    server.fail("CreateSubmission", Fault("status", 403, message="You must accept the rules"))
    with pytest.raises(errors.RulesNotAccepted):
        send()
    assert kinds()[-1] == "failed"
    send()
    assert_sent_once(server)


def test_the_journal_is_for_its_owner_alone(server: KaggleServer) -> None:
    send()
    modes = {path.stat().st_mode & 0o777 for path in Path("runs/pets/uploads").glob("*.json")}
    assert modes == {0o600}


def test_two_threads_see_one_lock(server: KaggleServer) -> None:
    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_sent_once(server)
