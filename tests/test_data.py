"""make data: whole or not there, resumed, checked, safe; with the real client against a server of ours."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from comp import errors
from comp.cli import app
from comp.data import get_data, origin_of, parse_origin
from comp.fetch import BLOCK
from comp.patience import Patience
from comp.registry import load_competition, names
from comp.reshapes.rare_species import reshape
from comp.spec import Competition
from comp.tables import read_tables
from tests.kaggle_server import TOKEN, Fault, KaggleServer
from tests.test_unpack import content, make_seven, make_tar, make_zip

QUICK = Patience(connect=1, read=0.5, tries=3, first_pause=0.02, longest_pause=2, lost=0.6, score=2, poll=0.05)
PROJECT = Path(__file__).resolve().parents[1]
PHOTO = random.Random(1).randbytes(200_000)
INSIDE = {"train/cat.1.jpg": PHOTO, "train/cat.2.jpg": b"2", "train/dog.1.jpg": b"3", "train/dog.2.jpg": b"4"}
PARTS = {
    "train.zip": make_zip(INSIDE),
    "test.7z": make_seven({"test/1.jpg": b"5", "test/2.jpg": b"6"}),
    "sample_submission.csv": b"id,label\n1,0.5\n2,0.5\n",
}


@pytest.fixture
def pets() -> Competition:
    return replace(load_competition("cats_vs_dogs"), name="pets")


@pytest.fixture
def server(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    with KaggleServer() as running:
        running.state.files = dict(PARTS)
        running.state.archive = make_zip(PARTS)
        for name, value in running.environment(str(in_folder / "home")).items():
            monkeypatch.setenv(name, value)
        yield running


def get(competition: Competition) -> Path:
    return get_data(competition, Path("data"), QUICK)


def test_the_data_come_whole_and_the_layout_reads_them(server: KaggleServer, pets: Competition) -> None:
    folder = get(pets)
    assert folder == Path("data/pets")
    expected = {
        **INSIDE,
        "test/1.jpg": b"5",
        "test/2.jpg": b"6",
        "sample_submission.csv": PARTS["sample_submission.csv"],
    }
    assert content(folder) == expected
    tables = read_tables(pets, folder)
    assert (len(tables.train), sorted(set(tables.train["label"]))) == (4, ["cat", "dog"])
    assert [path.name for path in Path("data").iterdir() if not path.name.endswith(".lock")] == ["pets"]


@pytest.mark.parametrize("is_code", [True, False])
def test_a_code_competition_is_told_of(
    server: KaggleServer, pets: Competition, is_code: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    server.state.facts = {"isKernelsSubmissionsOnly": is_code}
    get(pets)
    assert ("make notebook COMP=" in capsys.readouterr().out) == is_code


def test_what_is_there_is_left_and_nobody_is_called(server: KaggleServer, pets: Competition) -> None:
    get(pets)
    n_calls = len(server.state.requests)
    get(pets)
    assert len(server.state.requests) == n_calls


@pytest.mark.parametrize(
    "fault", [Fault("cut"), Fault("reset"), Fault("silence"), Fault("status", 503)], ids=lambda f: f.kind
)
def test_a_download_that_breaks_off_is_gone_on_with(server: KaggleServer, pets: Competition, fault: Fault) -> None:
    server.fail("storage", fault)
    assert "train/dog.2.jpg" in content(get(pets))
    if fault.kind == "cut":
        start = int(server.state.ranges[1].removeprefix("bytes=").removesuffix("-"))
        assert 0 <= len(server.state.archive) // 2 - start < BLOCK


def test_a_killed_command_is_gone_on_with(server: KaggleServer, pets: Competition) -> None:
    server.fail("storage", *[Fault("cut")] * 3)
    with pytest.raises(errors.RemoteError):
        get(pets)
    assert not Path("data/pets").exists()
    get(pets)
    assert server.state.ranges[3] != ""


def test_parts_of_two_versions_are_never_mixed(server: KaggleServer, pets: Competition) -> None:
    server.fail("storage", *[Fault("cut")] * 3)
    with pytest.raises(errors.RemoteError):
        get(pets)
    photo = bytes(reversed(PHOTO))
    changed = {**PARTS, "train.zip": make_zip({**INSIDE, "train/cat.1.jpg": photo})}
    server.state.archive, server.state.files = make_zip(changed), changed
    assert (get(pets) / "train" / "cat.1.jpg").read_bytes() == photo


def test_a_wrong_hash_is_thrown_away(server: KaggleServer, pets: Competition) -> None:
    server.state.archive_md5 = "AAAAAAAAAAAAAAAAAAAAAA=="
    with pytest.raises(errors.Refused, match="md5"):
        get(pets)
    server.state.archive_md5 = ""
    get(pets)


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({**PARTS, "more.csv": b"x"}, "lacks more.csv"),
        ({**PARTS, "sample_submission.csv": b"id,label\n"}, "Kaggle lists 9"),
    ],
)
def test_what_is_not_as_announced_is_refused(
    server: KaggleServer, pets: Competition, files: dict[str, bytes], word: str
) -> None:
    server.state.files = files
    with pytest.raises(errors.Refused, match=word):
        get(pets)
    assert not Path("data/pets").exists()


def test_an_unsafe_archive_leaves_nothing(server: KaggleServer, pets: Competition) -> None:
    server.state.archive = make_zip({**PARTS, "../../evil": b"x"})
    with pytest.raises(errors.Refused, match="leaves the folder"):
        get(pets)
    assert not [path for path in Path().rglob("*") if path.is_file() and path.suffix not in (".lock",)]


@pytest.mark.parametrize(
    ("fault", "exit_status"),
    [(Fault("status", 401), 12), (Fault("status", 403), 13), (Fault("status", 404), 15), (Fault("silence"), 16)],
)
@pytest.mark.parametrize("method", ["ListDataFiles", "DownloadDataFiles"])
def test_each_failure_has_its_own_exit_status(
    server: KaggleServer, pets: Competition, method: str, fault: Fault, exit_status: int
) -> None:
    server.fail(method, *[fault] * 3)
    with pytest.raises(errors.RemoteError) as caught:
        get(pets)
    assert caught.value.exit_status == exit_status


def test_a_data_set_of_kaggle_comes_the_same_way(server: KaggleServer, pets: Competition) -> None:
    flowers = replace(pets, slug=None, sources=("kaggle-dataset:somebody/flowers",))
    assert "train/cat.1.jpg" in content(get(flowers))
    asked = [given for name, given in server.state.requests if name == "DownloadDataset"]
    assert asked == [{"ownerSlug": "somebody", "datasetSlug": "flowers"}]


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".7z"])
def test_a_plain_address_needs_its_hash_and_is_lifted_out_of_its_one_folder(
    server: KaggleServer, pets: Competition, suffix: str
) -> None:
    maker = {".zip": make_zip, ".tar.gz": make_tar, ".7z": make_seven}[suffix]
    server.state.archive = maker({f"flower_photos/{name}": found for name, found in INSIDE.items()})
    sha = hashlib.sha256(server.state.archive).hexdigest()
    source = f"{server.url}/files/photos{suffix}#sha256={sha}"
    assert content(get(replace(pets, slug=None, sources=(source,)))) == INSIDE
    wrong = replace(pets, name="other", slug=None, sources=(source.replace(sha, "0" * 64),))
    with pytest.raises(errors.Refused, match="sha256"):
        get(wrong)


@pytest.mark.parametrize("source", ["https://a.b/c.zip", "ftp://x", "hf:only", "https://a.b/c#sha256=12"])
def test_a_source_that_is_none_is_one_line(source: str) -> None:
    with pytest.raises(errors.BadInput, match="source"):
        parse_origin(source)


@pytest.mark.parametrize("name", names("comp.competitions"))
def test_every_competition_names_a_source_or_says_why_not(name: str) -> None:
    try:
        assert origin_of(load_competition(name)).name
    except errors.BadInput as error:
        assert "names no place" in str(error)


def test_hugging_face_without_its_library_says_what_to_install(
    in_folder: Path, pets: Competition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(errors.BadInput, match="pip install"):
        get(replace(pets, slug=None, sources=("hf:imageomics/rare-species",)))
    assert not Path("data/pets").exists()


def test_the_command_prints_the_folder_last_and_no_credential(server: KaggleServer) -> None:
    done = CliRunner().invoke(app, ["data", "--competition", "cats_vs_dogs"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == "data/cats_vs_dogs"
    assert TOKEN not in done.output and "signature=secret" not in done.output


@pytest.mark.parametrize("kind", ["kill", "kill after"])
def test_killed_in_the_middle_the_same_command_ends_with_the_data(server: KaggleServer, kind: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "comp", "data", "--competition", "cats_vs_dogs"]
    server.fail("DownloadDataFiles", Fault(kind))
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server.client_pid = lambda: process.pid
    assert process.wait(60) == -signal.SIGKILL
    assert not Path("data/cats_vs_dogs").exists()
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert content(Path("data/cats_vs_dogs"))["train/cat.1.jpg"] == PHOTO
    assert not [path for path in Path("data").iterdir() if path.name.endswith(".tmp")]


CATALOG = """rarespecies_id,eol_content_id,eol_page_id,kingdom,phylum,class,order,family,genus,species,sciName,common
a-1,11,22,Animalia,Mollusca,Bivalvia,U,Unionidae,G,s,G s,none
a-2,33,44,Animalia,Chordata,Aves,A,Ardeidae,G,s,G s,NA
"""


def published(folder: Path, n_photos: int = 2) -> Path:
    """Lay out a folder as Hugging Face publishes Rare Species."""
    (folder / "metadata").mkdir(parents=True)
    (folder / "metadata" / "rarespecies-catalog.csv").write_text(CATALOG)
    for key in ("11_22", "33_44")[:n_photos]:
        photo = folder / "dataset" / f"animalia-{key}" / f"{key}_eol-full-size-copy.jpg"
        photo.parent.mkdir(parents=True)
        photo.write_bytes(b"jpg")
    return folder


def test_rare_species_as_published_becomes_what_the_course_hands_out(tmp_path: Path) -> None:
    reshape(published(tmp_path))
    train = read_tables(load_competition("rare_species"), tmp_path).train
    assert train[["id", "label", "condition"]].to_numpy().tolist() == [
        ["a-1", "unionidae", "mollusca"],
        ["a-2", "ardeidae", "chordata"],
    ]


def test_photos_that_did_not_come_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(errors.Refused, match="1 photos that did not come"):
        reshape(published(tmp_path, n_photos=1))


class HubHandler(BaseHTTPRequestHandler):
    """The few routes of Hugging Face that its client asks for one data set, over the files of a folder."""

    folder: Path
    status = 200

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        files = content(self.folder)
        name = path.rpartition(f"/resolve/{'a' * 40}/")[2]
        if self.status != 200:
            self._send(self.status, b"{}")
        elif path.startswith("/api/datasets/") and "/tree/" in path:
            tree = [{"type": "file", "path": one, "size": len(data), "oid": "b" * 40} for one, data in files.items()]
            self._send(200, json.dumps(tree).encode())
        elif path.startswith("/api/datasets/"):
            siblings = [{"rfilename": one} for one in files]
            self._send(200, json.dumps({"id": "o/n", "sha": "a" * 40, "siblings": siblings}).encode())
        else:
            self._send(
                200, files[name], {"ETag": f'"{hashlib.sha1(files[name]).hexdigest()}"', "X-Repo-Commit": "a" * 40}
            )

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {
            **(headers or {}),
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def test_a_data_set_of_hugging_face_through_its_own_library(in_folder: Path) -> None:
    pytest.importorskip("huggingface_hub")
    handler = type("Handler", (HubHandler,), {"folder": published(in_folder / "published")})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{hub.server_address[1]}"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])}
        environment |= {"HF_ENDPOINT": address, "HF_HOME": str(in_folder / "hub"), "HF_HUB_DISABLE_XET": "1"}
        command = [sys.executable, "-m", "comp", "data", "--competition", "rare_species"]
        done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=60)
        hub.shutdown()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "data/rare_species"
    assert len(read_tables(load_competition("rare_species"), Path("data/rare_species")).train) == 2
