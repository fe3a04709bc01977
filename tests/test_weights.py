"""Where weights are found, in order; checked before use; never asked for where that is forbidden."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comp.errors import BadInput, Refused
from comp.spec import Candidate, Weights
from comp.store import sha256_of_file
from comp.weights import facts_of, fetch_weights, find_weights, may_download, not_to_be_had, places
from tests.served import FileServer, serve

CONTENT = b"numbers of a network"
SHA, MD5 = hashlib.sha256(CONTENT).hexdigest(), hashlib.md5(CONTENT).hexdigest()
FACTS = Weights(file="net.h5", url="http://127.0.0.1:9/net.h5", megabytes=9.4, aliases=("net_alias.h5",))


@pytest.fixture(autouse=True)
def homes(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test folders of its own: the current one and Keras' cache."""
    monkeypatch.setenv("KERAS_HOME", str(in_folder / "keras"))
    return in_folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as running:
        running.files["net.h5"] = CONTENT
        yield running


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_named_folder_comes_first_then_the_project_s_then_keras_own(homes: Path) -> None:
    in_order = [homes / "named", Path("weights"), homes / "keras" / "models"]
    assert places(str(homes / "named")) == in_order
    for place in reversed(in_order):
        expected = put(place / "net.h5")
        found = find_weights(FACTS, str(homes / "named") if (homes / "named").is_dir() else None)
        assert found is not None and found.path == expected and found.sha256 == SHA


def test_without_keras_home_its_cache_is_in_the_home(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(homes))
    monkeypatch.setenv("KERAS_HOME", "~/elsewhere")
    assert places(None)[-1] == homes / "elsewhere" / "models"
    monkeypatch.delenv("KERAS_HOME")
    assert places(None)[-1] == homes / ".keras" / "models"


def test_a_further_name_is_found_too(homes: Path) -> None:
    expected = put(homes / "named" / "net_alias.h5")
    found = find_weights(FACTS, str(homes / "named"))
    assert found is not None and found.path == expected


def test_nothing_found_is_none(homes: Path) -> None:
    assert find_weights(FACTS, None) is None
    (homes / "named").mkdir()
    assert find_weights(FACTS, str(homes / "named")) is None


def test_a_folder_in_the_home_is_understood(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(homes))
    put(homes / "mine" / "net.h5")
    assert find_weights(FACTS, "~/mine") is not None


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_a_folder_that_is_not_there_is_one_line(homes: Path, is_elsewhere: bool) -> None:
    if is_elsewhere:  # a mistyped folder is a mistake even where the file is found in another place
        put(Path("weights") / "net.h5")
    with pytest.raises(BadInput, match=r"^WEIGHTS=wieghts: no such folder.*net\.h5.*WEIGHTS=none"):
        find_weights(FACTS, "wieghts")


@pytest.mark.parametrize("hashes", [{"sha256": "0" * 64}, {"md5": "0" * 32}])
def test_a_file_of_the_published_name_and_another_content_is_refused(homes: Path, hashes: dict[str, str]) -> None:
    path = put(Path("weights") / "net.h5")
    with pytest.raises(Refused, match=rf"^weights {path}: .*expected 0+.*net\.h5 again$"):
        find_weights(replace(FACTS, **hashes), None)
    assert find_weights(replace(FACTS, sha256=SHA, md5=MD5), None) is not None


def test_the_line_about_missing_weights_names_file_size_places_and_ways_out(homes: Path) -> None:
    for is_offline in (False, True):
        line = not_to_be_had(Candidate("mobilenet", "V2", "probe"), FACTS, "named", is_offline)
        for part in (
            "mobilenet:V2:probe",
            "net.h5",
            "9 MB",
            "named",
            "weights",
            str(homes / "keras" / "models"),
            FACTS.url,
        ):
            assert part in line
        assert "WEIGHTS=folder" in line and "WEIGHTS=none" in line and "\n" not in line
        assert ("OFFLINE=1" in line) is is_offline


def test_small_files_may_be_fetched_unasked_large_ones_not_and_offline_nothing(server: FileServer) -> None:
    small = replace(FACTS, url=server.url("net.h5"))
    assert may_download(small, is_offline=False) == "" and server.methods == ["HEAD"]
    server.asked.clear()
    assert "OFFLINE" in may_download(small, is_offline=True)
    assert "273 MB" in may_download(replace(small, megabytes=273.0), is_offline=False)
    assert "150 MB" in may_download(replace(small, megabytes=150.0), is_offline=False)
    assert not server.asked
    assert "does not answer" in may_download(replace(small, url=server.url("gone.h5")), is_offline=False)


def test_what_is_fetched_lies_in_the_project_and_is_found_next_time(server: FileServer) -> None:
    facts = replace(FACTS, url=server.url("net.h5"), md5=MD5)
    fetched = fetch_weights(facts)
    assert fetched.path == Path("weights/net.h5") and fetched.sha256 == SHA
    server.asked.clear()
    assert find_weights(facts, None) == fetched and not server.asked


def test_a_fetched_file_that_is_another_is_refused_and_thrown_away(server: FileServer) -> None:
    with pytest.raises(Refused, match="md5"):
        fetch_weights(replace(FACTS, url=server.url("net.h5"), md5="0" * 32))
    assert not Path("weights/net.h5").exists()


def test_a_candidate_without_a_variant_means_the_default_one() -> None:
    assert facts_of(Candidate("mobilenet")) == facts_of(Candidate("mobilenet", "V2")) is not None
    assert facts_of(Candidate("mobilenet", "tiny")) is None and facts_of(Candidate("scratch_cnn")) is None


def test_what_stands_beside_the_weights_and_changes_what_they_compute_is_in_their_hash(tmp_path: Path) -> None:
    facts = Weights(file="model.weights.h5", url="none", megabytes=1.0, beside=("config.json", "scaling.json"))
    (tmp_path / facts.file).write_bytes(b"numbers")

    def sha() -> str:
        found = find_weights(facts, str(tmp_path))
        assert found is not None
        return found.sha256

    seen = [sha()]
    assert seen == [sha256_of_file(tmp_path / facts.file)], "nothing stands beside it"
    for name, text in (("config.json", "{}"), ("scaling.json", "1"), ("scaling.json", "2"), ("other.json", "3")):
        (tmp_path / name).write_text(text)
        seen.append(sha())
    assert len(set(seen)) == 4 and seen[-1] == seen[-2]
