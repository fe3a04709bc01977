"""make notebook: the folder is complete, tells of no machine, and answers as predict does; Kaggle's own client takes its metadata."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from comp.errors import BadInput, FoldboardError, Refused
from comp.registry import load_competition, names
from submissions.bundle import open_bundle
from submissions.elsewhere import train_candidate
from submissions.notebook import make_notebook, slug_of
from submissions.pack import as_source, find_ensemble
from tests.homes import Submitted, command
from tests.made import make_squares
from tests.notebooks import made_home, made_notebooks

FEW_LINES = 16  # a cell that is read at a glance


@pytest.fixture(scope="module")
def home(submitted: Submitted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a finished ensemble of squares, and new photos."""
    return made_home(submitted, tmp_path_factory.mktemp("my home"))


@pytest.fixture(scope="module")
def packed(home: Path) -> Path:
    """Return what make notebook wrote of it."""
    return made_notebooks(home)


@pytest.fixture
def at_home(home: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a copy of the home that a test may spoil."""
    shutil.copytree(home / "runs", tmp_path / "runs")
    shutil.copy(home / "mine.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def code_of(path: Path) -> list[str]:
    """Return the code cells of a notebook that is valid and holds no output."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in cells)
    return [cell.source for cell in cells]


def test_the_folder_alone_answers_as_predict_does(home: Path, packed: Path, tmp_path: Path) -> None:
    words = ("--competition", "./mine.py", "--images", "new photos", "--out", "expected.csv")
    assert command(home, "submissions", "predict", *words).returncode == 0
    shutil.copytree(packed, tmp_path / "taken away")
    cells = [cell for cell in code_of(packed / "predict" / "predict.ipynb") if "IPython" not in cell]
    places = {"FOLDBOARD_DATASET": "taken away/dataset", "FOLDBOARD_PHOTOS": str(home / "new photos")}
    alone = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **places}
    line = [sys.executable, "-c", "\n".join(cells)]
    done = subprocess.run(line, cwd=tmp_path, env=alone, capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "submission.csv").read_bytes() == (home / "expected.csv").read_bytes()
    assert "1 of 5 photos cannot be read" in done.stdout and "the libraries are those of training" in done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("models: ")][-1] == "models: 100 %"


@pytest.mark.parametrize("name", ["predict", "train"])
def test_a_notebook_is_valid_short_and_without_logic(packed: Path, name: str) -> None:
    for cell in code_of(packed / name / f"{name}.ipynb"):
        assert len(cell.splitlines()) <= FEW_LINES and "class " not in cell and "pip " not in cell
        compile(cell, name, "exec")


def test_the_same_ensemble_is_the_same_notebook_and_the_owner_stays(at_home: Path, packed: Path) -> None:
    record = load_competition("./mine.py")
    first = make_notebook(record, "./mine.py", owner="my-name")
    before = {path: path.read_bytes() for path in first.parents[1].rglob("*") if path.is_file()}
    assert make_notebook(record, "./mine.py") == first
    assert {path: path.read_bytes() for path in first.parents[1].rglob("*") if path.is_file()} == before
    assert first.read_bytes() == (packed / "predict" / "predict.ipynb").read_bytes()


def test_no_file_tells_of_the_machine(home: Path, packed: Path) -> None:
    project = Path(__file__).resolve().parents[1]
    told = [str(home), str(project), os.environ.get("HOME", "/nowhere"), f"/{getpass.getuser()}/", sys.prefix]
    for path in packed.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not [word for word in told if word.encode() in content], path


def test_classes_and_competition_are_those_of_training(home: Path, packed: Path) -> None:
    assert json.loads((packed / "dataset" / "classes.json").read_text()) == ["amber", "blue", "coral"]
    assert open_bundle(packed / "dataset").competition == load_competition(str(home / "mine.py"))


@pytest.mark.parametrize("name", names("comp.competitions"))
def test_a_competition_comes_back_from_its_file(name: str, tmp_path: Path) -> None:
    record = load_competition(name)
    (tmp_path / "facts.py").write_text(as_source(record))
    assert load_competition(str(tmp_path / "facts.py")) == record


ASK_KAGGLE = """
import json, sys
from unittest.mock import MagicMock
from kaggle.api.kaggle_api_extended import KaggleApi
from requests import HTTPError

api, kaggle = KaggleApi(), MagicMock()
api.config_values = {"username": "my-name"}
api.build_kaggle_client = lambda: kaggle
api.dataset_status = MagicMock(side_effect=HTTPError)
api._upload_blob = lambda *given: "token"
asked = kaggle.__enter__.return_value
for name in ("predict", "train"):
    api.kernels_push(f"{sys.argv[1]}/{name}")
    request = asked.kernels.kernels_api_client.save_kernel.call_args.args[0]
    print(json.dumps([request.slug, request.new_title, request.enable_gpu, request.enable_internet, request.is_private]))
asked.datasets.dataset_api_client.create_dataset.return_value.error = ""
api.dataset_create_new(f"{sys.argv[1]}/dataset", quiet=True, dir_mode="zip")
request = asked.datasets.dataset_api_client.create_dataset.call_args.args[0]
print(json.dumps([request.owner_slug, request.slug, request.is_private, len(request.files)]))
"""


def test_the_stock_client_takes_the_metadata(packed: Path, tmp_path: Path) -> None:
    alone = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
    line = [sys.executable, "-c", ASK_KAGGLE, str(packed)]
    done = subprocess.run(line, env=alone, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "surprising" not in done.stdout  # a title that is not the slug
    predict, train, dataset = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
    assert predict == ["my-name/foldboard-squares-predict", "Foldboard squares predict", False, False, True]
    assert train == ["my-name/foldboard-squares-train", "Foldboard squares train", True, False, True]
    n_top = len([path for path in (packed / "dataset").iterdir() if path.name != "dataset-metadata.json"])
    assert dataset == ["my-name", "foldboard-squares", True, n_top]


@pytest.mark.parametrize("name", ["a", "rare_species", "_".join(["long"] * 12), "A--b"])
def test_an_address_is_what_kaggle_makes_of_the_title(name: str) -> None:
    for ending in ("", "-predict", "-train"):
        slug = slug_of(name, ending)
        assert 6 <= len(slug) <= 50 and "--" not in slug and slug == slug.lower().strip("-") and slug.endswith(ending)


# RUN and what is refused


def test_run_names_an_ensemble(at_home: Path) -> None:
    newest = find_ensemble("squares", None)
    (run,) = newest.parents[1].glob("mlp-*")
    for named in (newest.stem, newest.stem[:4], run.name, str(newest)):
        assert find_ensemble("squares", named) == newest


def spoil(home: Path, kind: str) -> dict[str, Any]:
    """Make the runs of a home unusable in one way; return what make_notebook is asked for."""
    (run,) = (home / "runs" / "squares").glob("*/mlp-*")
    if kind == "no run":
        shutil.rmtree(home / "runs")
    elif kind == "run gone":
        shutil.rmtree(run)
    elif kind == "model gone":
        (run / "fold-1" / "model.weights.h5").unlink()
    elif kind == "model changed":
        (run / "fold-1" / "model.weights.h5").write_bytes(b"other")
    elif kind == "something else there":
        (home / "thesis").mkdir()
        (home / "thesis" / "thesis.tex").touch()
        return {"out": home / "thesis"}
    return {"unknown run": {"run": "cafe"}, "no such csv": {"run": "cafe.csv"}, "owner": {"owner": "a b"}}.get(kind, {})


REFUSED = {
    "no run": (BadInput, "make submit writes one"),
    "unknown run": (BadInput, "RUN=cafe: no CSV of squares"),
    "no such csv": (BadInput, "cafe.json is not there"),
    "run gone": (Refused, "is not there; run the command of the manifest"),
    "model gone": (Refused, "fold-1: its model is gone"),
    "model changed": (Refused, "fold-1: its model is gone or was changed"),
    "something else there": (BadInput, "something else lies there"),
    "owner": (BadInput, "OWNER=a b"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_packed_is_one_line_and_leaves_nothing(at_home: Path, kind: str) -> None:
    error, words = REFUSED[kind]
    given = spoil(at_home, kind)
    with pytest.raises(error, match=words) as caught:
        make_notebook(load_competition("./mine.py"), "./mine.py", **given)
    assert isinstance(caught.value, FoldboardError) and "\n" not in str(caught.value)
    assert not list(at_home.glob("notebooks/*")) and not (at_home / "thesis" / "dataset").exists()


@pytest.mark.parametrize(
    ("backbone", "words"), [("outside", r"another tool \(theirs\)"), ("hub", "preset theirs, which a machine without")]
)
def test_what_only_this_machine_has_cannot_be_packed(at_home: Path, backbone: str, words: str) -> None:
    path = find_ensemble("squares", None).with_suffix(".json")
    manifest = json.loads(path.read_text())
    manifest["runs"][0] |= {"backbone": backbone, "variant": "theirs"}
    path.write_text(json.dumps(manifest))
    with pytest.raises(BadInput, match=words):
        make_notebook(load_competition("./mine.py"), "./mine.py")


def test_half_a_data_set_is_told(packed: Path, tmp_path: Path) -> None:
    shutil.copy(packed / "dataset" / "ensemble.json", tmp_path)
    with pytest.raises(BadInput, match=r"it has no competition\.py; upload all of it"):
        open_bundle(tmp_path)


@pytest.mark.parametrize(
    ("candidate", "error", "words"),
    [
        ("mlp:tiny:scratch", Refused, "the ensemble has"),
        ("mlp:tiny:scratch vgg16:tiny:scratch", BadInput, "expected one candidate"),
    ],
)
def test_other_photos_and_two_candidates_are_refused_before_anything_is_trained(
    packed: Path, in_folder: Path, candidate: str, error: type[FoldboardError], words: str
) -> None:
    data = make_squares(in_folder / "others", noise=5.0)
    with pytest.raises(error, match=words):
        train_candidate(open_bundle(packed / "dataset"), data, candidate, "quick")
    assert not (in_folder / "runs").exists()
