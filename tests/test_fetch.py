"""The one door for files against a real server: resumed, checked, one clear line when it goes wrong."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

import comp.fetch
from comp.errors import NoNetwork, NotThere, Refused, RemoteError
from comp.fetch import does_answer, download
from comp.patience import Patience
from tests.served import FileServer, serve, silent_port

CONTENT = bytes(range(256)) * 9000  # more than one block
ONCE, QUICK = Patience(connect=0.3, read=0.3, tries=1), Patience(connect=0.3, read=0.3, tries=3, first_pause=0.02)
SHA, MD5 = hashlib.sha256(CONTENT).hexdigest(), hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as running:
        running.files["a.h5"] = CONTENT
        yield running


def part_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    line = str(error.value)
    assert line and "\n" not in line
    return line


def test_a_file_comes_whole_into_a_folder_that_was_not_there(server: FileServer, tmp_path: Path) -> None:
    seen: list[float] = []
    path = download(server.url("a.h5"), tmp_path / "weights" / "a.h5", sha256=SHA, md5=MD5, report=seen.append)
    assert path.read_bytes() == CONTENT and seen == sorted(seen) and seen[-1] == 1.0
    assert not part_of(path).exists()


def test_a_file_that_is_there_is_not_asked_for(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"mine")
    assert download(server.url("a.h5"), tmp_path / "a.h5").read_bytes() == b"mine" and not server.asked


def test_a_cut_download_is_one_line_and_the_next_goes_on_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    server.cut_at = 1_500_000
    path = tmp_path / "a.h5"
    with pytest.raises(NoNetwork) as error:
        download(server.url("a.h5"), path, sha256=SHA, patience=ONCE)
    assert server.url("a.h5") in one_line(error) and not path.exists()
    have = part_of(path).stat().st_size
    assert 0 < have <= 1_500_000
    assert download(server.url("a.h5"), path, sha256=SHA).read_bytes() == CONTENT
    assert server.asked[-1] == ("GET", "a.h5", f"bytes={have}-")


def test_a_cut_download_is_tried_again_from_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    server.cut_at = 1_500_000
    assert download(server.url("a.h5"), tmp_path / "a.h5", sha256=SHA, patience=QUICK).read_bytes() == CONTENT
    assert len(server.asked) == 2 and server.asked[1][2].startswith("bytes=")


def test_without_a_hash_or_a_tag_nothing_tells_two_versions_apart_so_all_of_it_comes_again(
    server: FileServer, tmp_path: Path
) -> None:
    server.cut_at = 1_500_000
    assert download(server.url("a.h5"), tmp_path / "a.h5", patience=QUICK).read_bytes() == CONTENT
    assert server.asked[1][2] == ""


def test_a_server_without_ranges_sends_all_of_it_again(server: FileServer, tmp_path: Path) -> None:
    server.knows_ranges, server.cut_at = False, 1_500_000
    assert download(server.url("a.h5"), tmp_path / "a.h5", sha256=SHA, patience=QUICK).read_bytes() == CONTENT


def test_a_part_that_is_all_of_it_is_taken(server: FileServer, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    part_of(path).write_bytes(CONTENT)
    part_of(path).with_suffix(".part.json").write_text(f'{{"n_bytes": {len(CONTENT)}}}')
    assert download(server.url("a.h5"), path, sha256=SHA).read_bytes() == CONTENT and not server.asked


def test_a_file_that_became_shorter_meanwhile_is_fetched_anew(server: FileServer, tmp_path: Path) -> None:
    path, shorter = tmp_path / "a.h5", CONTENT[:1000]
    server.cut_at = 1_500_000
    with pytest.raises(NoNetwork):
        download(server.url("a.h5"), path, sha256=SHA, patience=ONCE)
    server.files["a.h5"] = shorter
    sha = hashlib.sha256(shorter).hexdigest()
    assert download(server.url("a.h5"), path, sha256=sha, patience=QUICK).read_bytes() == shorter


def test_a_part_longer_than_the_file_is_never_taken_for_it(server: FileServer, tmp_path: Path) -> None:
    """Some publishers tell no hash; what lies there then is of an older file."""
    path = tmp_path / "a.h5"
    part_of(path).write_bytes(b"x" * (len(CONTENT) + 1))
    download(server.url("a.h5"), path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("hashes", [{"sha256": "0" * 64}, {"md5": "0" * 32}, {"sha256": SHA, "md5": "0" * 32}])
def test_a_wrong_file_is_refused_and_not_left_in_place(
    server: FileServer, tmp_path: Path, hashes: dict[str, str]
) -> None:
    with pytest.raises(Refused) as error:
        download(server.url("a.h5"), tmp_path / "a.h5", **hashes)
    assert server.url("a.h5") in one_line(error)
    assert not (tmp_path / "a.h5").exists() and not part_of(tmp_path / "a.h5").exists()


def test_a_file_that_is_not_there_is_one_line(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(NotThere) as error:
        download(server.url("b.h5"), tmp_path / "b.h5")
    assert server.url("b.h5") in one_line(error) and not (tmp_path / "b.h5").exists()
    assert does_answer(server.url("a.h5")) and not does_answer(server.url("b.h5"))


def test_asking_whether_a_source_answers_fetches_nothing(server: FileServer) -> None:
    assert does_answer(server.url("a.h5")) and server.methods == ["HEAD"]


def test_a_source_that_is_away_or_silent_does_not_answer(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(comp.fetch, "CONNECT_SECONDS", 0.3)
    with silent_port() as port:
        began = time.monotonic()
        assert not does_answer(f"http://127.0.0.1:{port}/a.h5")
        with pytest.raises(RemoteError):
            download(f"http://127.0.0.1:{port}/a.h5", tmp_path / "a.h5", patience=QUICK)
        assert time.monotonic() - began < 3
    assert not does_answer(f"http://127.0.0.1:{port}/a.h5")  # nobody listens any more


def test_no_call_waits_for_longer_than_three_seconds_for_an_answer() -> None:
    assert comp.fetch.CONNECT_SECONDS <= 3


def test_two_that_want_one_file_fetch_it_once(server: FileServer, tmp_path: Path) -> None:
    threads = [Thread(target=download, args=(server.url("a.h5"), tmp_path / "a.h5")) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.methods == ["GET"] and (tmp_path / "a.h5").read_bytes() == CONTENT
