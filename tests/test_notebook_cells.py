"""make notebook, what it writes: cells that fit their competition, a sheet of photos, CSVs that add-run takes; and both notebooks run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest

from comp.tables import read_csv
from folds.cv import library_versions
from folds.oof import read_predictions
from submissions.bundle import Bundle, describe, version_line
from submissions.cells import predict_cells, suggested, train_cells
from submissions.contact import sheet_of, words_of
from submissions.elsewhere import Trained, add_run_command, write_for_add_run
from submissions.notebook import as_notebook
from submissions.outside import add_run
from submissions.predict import NewPhotos
from tests.homes import Submitted, command
from tests.made import SQUARES, make_squares, squares_dataset
from tests.made_runs import finished_run
from tests.notebooks import made_home, made_notebooks


@pytest.fixture(scope="module")
def home(submitted: Submitted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a finished ensemble of squares, and new photos."""
    return made_home(submitted, tmp_path_factory.mktemp("my home"))


@pytest.fixture(scope="module")
def packed(home: Path) -> Path:
    """Return what make notebook wrote of it."""
    return made_notebooks(home)


@pytest.fixture
def bundle() -> Bundle:
    """Return an ensemble of one run, known by its manifest alone."""
    cv = {"score": 0.75, "low": 0.7, "high": 0.8}
    run = {"backbone": "mobilenet", "variant": "V2", "fit": "probe", "pixels": 224, "seed": 0, "cv": cv}
    manifest = {
        "asked": "./mine.py",
        "metric": "macro_f1",
        "cv": cv,
        "n_train": 36,
        "n_classes": 3,
        "runs": [{**run, "folder": "runs/squares/0123abcd/mobilenet"}],
        "ensemble": {"method": "best single run", "postprocessing": [{"step": "decode"}]},
        "versions": library_versions(),
    }
    return Bundle(Path("dataset"), SQUARES, manifest)


def test_who_answers_is_told_with_scores(bundle: Bundle) -> None:
    lines = describe(bundle).splitlines()
    assert lines[1] == "  mobilenet:V2:probe:224px, seed 0: macro_f1 0.7500 (0.7000 to 0.8000)"
    assert lines[2] == "ensemble (best single run, then decode): macro_f1 0.7500 (0.7000 to 0.8000)"


def test_the_candidate_to_begin_with_is_the_best_run_trained_whole(bundle: Bundle) -> None:
    assert suggested(bundle) == "mobilenet:V2:full"


def test_other_versions_are_one_line(bundle: Bundle) -> None:
    assert version_line(bundle).startswith("the libraries are those of training: python 3.")
    other = replace(
        bundle,
        manifest={**bundle.manifest, "versions": {**bundle.manifest["versions"], "keras": "3.0.0", "nothing": "1"}},
    )
    line = version_line(other)
    assert (
        line.startswith("warning: trained with keras 3.0.0 (here 3.")
        and "nothing 1 (here none)" in line
        and "\n" not in line
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"condition_column": "phylum"}, "bundle.competition, CONDITION)"),
        ({"submission": "probability", "positive": "blue"}, "asks for probability"),
        ({"slug": "my-contest"}, "'my-contest/test.csv'"),
        ({"title": "<script>x</script>"}, "&lt;script&gt;"),
    ],
)
def test_a_notebook_fits_its_competition(bundle: Bundle, changes: dict[str, Any], words: str) -> None:
    other = replace(bundle, competition=replace(bundle.competition, **changes))
    text = as_notebook(predict_cells(other, "slug"))
    assert words in "\n".join(cell.source for cell in nbformat.reads(text, 4).cells) and "<script" not in text
    for kind, cell in [*predict_cells(other, "slug"), *train_cells(other, "slug")]:
        if kind == "code":
            compile(cell, "cell", "exec")


def test_a_sheet_shows_photos_and_words(tmp_path: Path) -> None:
    make_squares(tmp_path, 1, 0)
    paths = ["photos/000.png", "broken.jpg"]
    photos = NewPhotos(tmp_path, paths, paths, ["", ""])
    table = np.array([[0.2, 0.7, 0.1], [0.4, 0.3, 0.3]])
    classes = ["amber", "blue " * 60, "co\nral"]
    assert words_of(photos, classes, table)[1] == ["broken.jpg", "0.40 amber", f"0.30 {classes[1]}", "0.30 co\nral"]
    assert sheet_of(photos, classes, table).startswith(b"\x89PNG")


def test_what_was_trained_elsewhere_is_admitted_at_home(in_folder: Path, bundle: Bundle) -> None:
    dataset, _ = squares_dataset(in_folder / "data")
    found = read_predictions(finished_run(dataset, skill=2.0))
    oof, test = write_for_add_run(bundle, Trained(dataset, found), "theirs", in_folder)
    admitted = add_run("theirs", oof, test, dataset, "id")
    assert (admitted.folds, admitted.n_rows, admitted.n_test) == ("declared", 36, 6)
    again = read_predictions(admitted.folder)
    assert (again.oof == found.oof).all() and (again.test == found.test).all()
    assert "add-run theirs --competition ./mine.py --data8" in add_run_command(bundle, "theirs")


# the notebooks run


def run_offline(python: Path, notebook: Path, out: Path, **places: str) -> subprocess.CompletedProcess[str]:
    """Execute a notebook in another environment, with a network that reaches this machine only where that can be had."""
    cut = (
        ["unshare", "-rn"]
        if shutil.which("unshare") and not subprocess.run(["unshare", "-rn", "true"], check=False).returncode
        else []
    )
    line = [*cut, str(python), str(Path(__file__).with_name("notebook_runner.py")), str(notebook), str(out)]
    dead = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    alone = {"PATH": "/usr/bin:/bin", "HOME": str(out.parent), **dead, **places}
    return subprocess.run(line, env=alone, cwd=out.parent, capture_output=True, text=True, timeout=1500, check=False)


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a new virtual environment that holds the requirements and nothing else."""
    given = os.environ.get("NOTEBOOK_PYTHON")
    if given:
        return Path(given)
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    wanted = Path(__file__).resolve().parents[1] / "requirements.txt"
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "-r", str(wanted)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no fresh environment: {done.stderr.strip().splitlines()[-1:]}")
    return folder / "bin" / "python"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_both_notebooks_run_in_a_fresh_environment_without_network(
    home: Path, packed: Path, fresh_python: Path, tmp_path: Path
) -> None:
    words = ("--competition", "./mine.py", "--images", "new photos", "--out", "fresh.csv")
    assert command(home, "submissions", "predict", *words).returncode == 0
    shutil.copytree(packed, tmp_path / "away")
    places = {
        "FOLDBOARD_PHOTOS": str(home / "new photos"),
        "FOLDBOARD_DATA": str(home / "my data"),
        "FOLDBOARD_PRESET": "quick",
    }
    for name in ("predict", "train"):
        done = run_offline(
            fresh_python, tmp_path / "away" / name / f"{name}.ipynb", tmp_path / f"{name}.ipynb", **places
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "away" / "predict" / "submission.csv").read_bytes() == (home / "fresh.csv").read_bytes()
    files = [str(tmp_path / "away" / "train" / f"kaggle-{part}.csv") for part in ("oof", "test")]
    told = ("--competition", "./mine.py", "--oof", files[0], "--test", files[1])
    admitted = command(home, "submissions", "add-run", "kaggle", *told)
    assert admitted.returncode == 0 and "folds declared" in admitted.stdout, admitted.stderr
    assert (
        read_csv(Path(files[0]))["id"].tolist() == pd.read_csv(home / "my data" / "train.csv", dtype=str)["id"].tolist()
    )
