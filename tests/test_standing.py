"""What the ledger's view says: gains that are noise, two picks that CV chose, a plot, and a doctor that sends nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from comp import errors
from comp.store import sha256_of_file
from submissions.cli import app
from submissions.doctor import examine
from submissions.ledger import Event, append, last_events, read
from submissions.scatter import write_scatter
from submissions.standing import difference, show_ledger, standings, two_picks
from tests.kaggle_server import TOKEN, Fault, KaggleServer
from tests.upload_driver import QUICK
from tests.uploads import PETS, make_csv


@pytest.fixture
def server(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    with KaggleServer() as running:
        for name, value in running.environment(str(in_folder / "home")).items():
            monkeypatch.setenv(name, value)
        yield running


def scored(reference: int, cv: float, public: float, file: str = "", se: float = 0.01) -> Event:
    numbers = {"cv": f"{cv}", "cv_se": f"{se}", "lb_se": f"{se}", "public_score": f"{public}"}
    sha = sha256_of_file(Path(file)) if file else str(reference)
    return Event(
        event="scored",
        competition="pets",
        tag=str(reference),
        reference=str(reference),
        status="COMPLETE",
        file=file,
        sha256=sha,
        **numbers,
    )


def test_a_gain_smaller_than_its_interval_is_marked_as_noise() -> None:
    events = [scored(1, 0.5, 0.50), scored(2, 0.5, 0.51), scored(3, 0.5, 0.60), scored(4, 0.5, 0.55)]
    found = standings(events, "higher")
    assert [one.is_noise for one in found] == [False, True, False, False]
    assert found[3].gain == pytest.approx(-0.05)


def test_lower_is_better_where_the_metric_says_so() -> None:
    found = standings([scored(1, 0.5, 0.50), scored(2, 0.5, 0.30)], "lower")
    assert found[1].gain == pytest.approx(0.2)


def test_what_was_not_created_is_no_submission() -> None:
    assert standings([Event(event="unknown", competition="pets", tag="x")], "higher") == []


def test_the_first_pick_has_the_best_cv_whatever_the_board_says() -> None:
    found = standings([scored(1, 0.20, 0.9), scored(2, 0.10, 0.1), scored(3, 0.11, 0.2)], "higher")
    assert two_picks(found, "higher", lambda one, other: 0.0)[0].event.reference == "1"
    assert two_picks(found, "lower", lambda one, other: 0.0)[0].event.reference == "2"


def test_the_second_pick_differs_most_among_those_as_good_within_noise(in_folder: Path) -> None:
    for name, shift in (("a.csv", 0.0), ("b.csv", 0.01), ("c.csv", 0.05), ("d.csv", 0.4)):
        make_csv(in_folder, name=name, shift=shift)
    events = [scored(1, 0.1, 0.1, "a.csv"), scored(2, 0.11, 0.1, "b.csv"), scored(3, 0.111, 0.1, "c.csv")]
    found = standings([*events, scored(4, 0.3, 0.1, "d.csv")], "lower")
    picks = two_picks(found, "lower", difference(PETS))
    assert [pick.event.reference for pick in picks] == ["1", "3"]


def test_one_file_sent_twice_is_one_pick(in_folder: Path) -> None:
    make_csv(in_folder, name="a.csv")
    found = standings([scored(1, 0.1, 0.1, "a.csv"), scored(2, 0.1, 0.1, "a.csv")], "lower")
    assert len(two_picks(found, "lower", difference(PETS))) == 1


def test_the_plot_has_a_point_for_each_submission_with_both_scores(in_folder: Path) -> None:
    found = standings([scored(1, 0.1, 0.2), scored(2, 0.3, 0.4), Event(event="created", reference="3")], "lower")
    path = write_scatter(in_folder / "plot.svg", "a < b", found)
    assert path is not None
    tree = ElementTree.parse(path)
    assert len(tree.findall(".//{http://www.w3.org/2000/svg}circle")) == 2
    assert write_scatter(in_folder / "none.svg", "", []) is None


def test_the_plot_of_one_perfect_score_has_no_width_of_zero(in_folder: Path) -> None:
    path = write_scatter(in_folder / "plot.svg", "x", standings([scored(1, 0.0, 0.0, se=0.0)], "lower"))
    assert path is not None and "nan" not in path.read_text()


def test_the_ledger_is_shown_and_says_that_the_site_picks(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = in_folder / "ledger.csv"
    for event in (scored(1, 0.10, 0.2), scored(2, 0.12, 0.19)):
        append(event, path)
    show_ledger(path, PETS)
    told = capsys.readouterr().out
    assert "(noise)" in told and "pick: submission 1" in told and "done on the site" in told


def test_refreshing_appends_and_changes_no_earlier_byte(server: KaggleServer, in_folder: Path) -> None:
    server.state.submissions.append({"ref": 9000, "description": "", "looks": 5, "content": b""})
    path = Path("runs/ledger.csv")
    append(Event(event="created", competition="cats_vs_dogs", tag="a", reference="9000", status="PENDING"), path)
    before = path.read_bytes()
    for _ in range(2):
        done = CliRunner().invoke(app, ["ledger", "--competition", "cats_vs_dogs"])
        assert done.exit_code == 0, done.output
    assert path.read_bytes().startswith(before)
    assert [event.event for event in read(path)] == ["created", "scored"]
    assert last_events(read(path))[0].public_score == "0.05123"


def test_without_network_the_ledger_is_still_shown(
    server: KaggleServer, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    append(Event(event="created", competition="cats_vs_dogs", tag="a", reference="9"), Path("runs/ledger.csv"))
    done = CliRunner().invoke(app, ["ledger", "--competition", "cats_vs_dogs"])
    assert done.exit_code == 0
    assert "scores are as they were: no Kaggle credentials" in done.output


def test_the_doctor_finds_all_well_and_sends_nothing(server: KaggleServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.state.files = {"train.zip": b"x"}
    assert examine(PETS, QUICK) is None
    told = capsys.readouterr().out
    assert told.count("  ok") == 6 and "5 of 5 submissions" in told and TOKEN not in told
    assert server.called("StartSubmissionUpload") == server.called("CreateSubmission") == 0


@pytest.mark.parametrize(
    ("method", "kind"),
    [("IntrospectToken", errors.CredentialsWrong), ("GetCompetition", errors.RulesNotAccepted)],
)
def test_the_doctor_says_what_does_not_work(
    server: KaggleServer, capsys: pytest.CaptureFixture[str], method: str, kind: type[errors.RemoteError]
) -> None:
    server.fail(method, Fault("status", 401 if kind is errors.CredentialsWrong else 403))
    assert type(examine(PETS, QUICK)) is kind
    assert " not  " in capsys.readouterr().out


def test_the_doctor_shows_a_proxy_without_its_password(
    server: KaggleServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//me:hush@"))
    examine(PETS, QUICK)
    told = capsys.readouterr().out
    assert "through the proxy 127.0.0.1" in told and "hush" not in told


@pytest.mark.parametrize("name", ["specimens", "rare_species"])
def test_a_competition_that_is_not_on_kaggle_is_one_line(in_folder: Path, name: str) -> None:
    done = CliRunner().invoke(app, ["upload", "--competition", name])
    assert isinstance(done.exception, errors.BadInput) and "has no slug" in str(done.exception)
