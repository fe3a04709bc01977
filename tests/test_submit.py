"""The main job as a person meets it: the command line, its output, and bad input as one clear line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from comp.console import run
from comp.registry import load_competition
from comp.spec import Candidate, Recipe
from comp.store import read_json, write_json
from comp.tables import read_csv
from folds.runs import tuned_path
from submissions.cli import app
from tests.homes import PROJECT, SUBMIT, Submitted, command, new_home, submit
from tests.made import make_squares
from tuning.space import space_of


@pytest.fixture(scope="module")
def home(submitted: Submitted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose name has a space, in which squares were submitted."""
    return submitted.copy(tmp_path_factory.mktemp("my home"))


def test_photos_in_checked_csv_out(home: Path, submitted: Submitted) -> None:
    path = home / submitted.csv
    assert path.is_file() and not Path(submitted.csv).is_absolute()
    frame = read_csv(path)
    assert frame["id"].tolist() == read_csv(home / "my data" / "sample_submission.csv")["id"].tolist()
    manifest = json.loads(path.with_suffix(".json").read_text())
    assert {"sha256", "competition", "metric", "cv", "runs", "ensemble", "command", "versions"} <= set(manifest)
    assert {"backbone", "variant", "fit", "seed", "folds", "key", "cv"} <= set(manifest["runs"][0])
    assert manifest["cv"]["low"] <= manifest["cv"]["score"] <= manifest["cv"]["high"]


def test_output_is_a_plan_a_table_and_what_to_do_next(submitted: Submitted) -> None:
    for words in (
        "train rows",
        "folds",
        "candidates",
        "stored",
        "to do",
        "95 % interval",
        "ensemble",
        "what to try next",
    ):
        assert words in submitted.stdout
    assert submitted.stderr == ""


def test_a_second_time_nothing_is_trained_and_the_csv_is_the_same(home: Path, submitted: Submitted) -> None:
    second = submit(home)
    assert second.stdout.splitlines()[-1] == submitted.csv
    assert "training 2 folds" not in second.stdout
    assert "2 of 2 folds trained" in submit(home).stdout  # the plan knows once it has read the photos of this copy


def test_out_is_where_the_person_wants_it(home: Path, submitted: Submitted) -> None:
    done = submit(home, "--out", "to hand in/final.csv")
    assert done.stdout.splitlines()[-1] == "to hand in/final.csv"
    assert (home / "to hand in" / "final.csv").read_bytes() == (home / submitted.csv).read_bytes()
    assert (home / "to hand in" / "final.json").is_file()


def test_train_stops_before_the_csv_and_names_the_folder(home: Path) -> None:
    done = command(home, "submissions", "train", *SUBMIT[1:])
    assert done.returncode == 0 and (home / done.stdout.splitlines()[-1] / "folds.csv").is_file()


def test_the_manifest_names_the_tuned_file_that_was_used(home: Path, submitted: Submitted) -> None:
    csv = home / submitted.csv
    (run,) = json.loads(csv.with_suffix(".json").read_text())["runs"]
    assert run["tuned"] is None
    recipe = read_json(home / run["folder"] / "run.json")["key_parts"]["recipe"]
    candidate = Candidate(run["backbone"], run["variant"], run["fit"], run["pixels"])
    space = space_of("scratch", Recipe(**recipe), load_competition(str(home / "mine.py")), (), ())
    path = tuned_path(csv.parents[1], candidate)
    facts = {"candidate": str(candidate), "changes": {}, "date": "2026-11-21T10:00:00Z", "default_recipe": recipe}
    write_json(path, {**facts, "space": space.as_dict()})
    done = submit(home)
    assert "and the default recipe stayed" in done.stdout
    (run,) = json.loads(csv.with_suffix(".json").read_text())["runs"]
    path.unlink()
    assert run["tuned"]["file"] == path.relative_to(home).as_posix()
    assert len(run["tuned"]["sha256"]) == 64 and run["tuned"]["date"] == facts["date"]


def test_seeds_train_every_candidate_again_on_the_same_folds(home: Path) -> None:
    done = submit(home, "--seeds", "2")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((home / done.stdout.splitlines()[-1]).with_suffix(".json").read_text())
    assert [run["seed"] for run in manifest["runs"]] == [0, 1]
    assert {"method", "weights", "postprocessing", "by_fold", "judged"} <= set(manifest["ensemble"])
    assert re.search(r"mean of 2 .*\n +seeds ", done.stdout), done.stdout  # one cell of the table, on two lines
    for words in ("naive", "nested", "gap", "best single run", "stacking", "is taken", "weights:"):
        assert words in done.stdout, done.stdout
    again = command(home, "submissions", "verify", done.stdout.splitlines()[-1])
    assert again.returncode == 0 and "the same bytes" in again.stdout, again.stderr
    table = command(home, "submissions", "leaderboard", "--competition", "./mine.py")
    assert table.returncode == 0 and (home / table.stdout.splitlines()[-1]).is_file(), table.stderr
    assert len(list((home / "runs" / "squares").iterdir())) == 1


def test_inspect_folds_and_clean_are_parts_of_it(home: Path) -> None:
    where = ("--competition", "./mine.py", "--data", "my data")
    sheet = command(home, "comp", "inspect", *where)
    assert sheet.returncode == 0 and (home / sheet.stdout.splitlines()[-1]).suffix == ".png"
    counts = (home / sheet.stdout.splitlines()[-1]).with_name("classes.csv")
    assert counts.relative_to(home).as_posix() in sheet.stdout
    assert counts.read_text() == "class,rows\namber,12\nblue,12\ncoral,12\n"
    table = command(home, "folds", "assign", *where)
    assert pd.read_csv(home / table.stdout.splitlines()[-1]).columns.tolist() == ["id", "fold"]
    assert "emptied" in command(home, "comp", "clean").stdout and not (home / "cache").exists()
    refused = subprocess.run(
        [sys.executable, "-m", "folds", "clean-runs", "--competition", "./mine.py"],
        cwd=home, env={**os.environ, "PYTHONPATH": str(PROJECT)}, input="n\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "nothing was deleted" in refused.stdout and list((home / "runs").rglob("oof.npy"))


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the error line of a command that failed as it should: not a traceback, nothing after it."""
    assert done.returncode not in (0, 1), done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    return lines[0]


BAD_WORDS = {
    "unknown competition": (("--competition", "specimen"), "specimens"),
    "missing folder": (("--data", "nowhere"), "nowhere"),
    "unknown backbone": (("--backbones", "resnest"), "scratch_cnn"),
    "bad candidate": (("--backbones", "scratch_cnn:64"), "'64' is no variant"),
    "unknown preset": (("--preset", "fast"), "quick, standard, best"),
    "more folds than a class has rows": (("--folds", "13"), "amber"),
    "one fold": (("--folds", "1"), "FOLDS=1"),
    "folds that are no number": (("--folds", "five"), "(given: 'five')"),
    "words for what is no transcript": (("--lexicon", "no"), "LEXICON=no: squares asks for no transcripts"),
    "no jobs": (("--jobs", "0"), "JOBS=0"),
    "unknown group": (("--group", "species"), "species"),
    "phylum without a condition column": (("--phylum", "decode"), "no condition column"),
    "unknown phylum": (("--phylum", "yes"), "auto, no, decode"),
    "fewer than no bags": (("--bags", "-1"), "BAGS=-1"),
    "unknown outside run": (("--with", "theirs"), "add-run"),
    "unknown engine": (("--engine", "cloud"), "ENGINE=cloud"),
    "out is a folder": (("--out", "my data"), "OUT=my data: it is a folder"),
}


@pytest.mark.parametrize("kind", BAD_WORDS)
def test_bad_words_are_one_clear_line(
    home: Path, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typed in this process: a command of its own takes two seconds to start, and bad data are told by such."""
    words, expected = BAD_WORDS[kind]
    monkeypatch.chdir(home)
    monkeypatch.setattr(sys, "argv", ["python -m submissions", *SUBMIT, *words])
    with pytest.raises(SystemExit) as ended:
        run(app)
    line = capsys.readouterr().err
    assert ended.value.code not in (0, 1) and expected in line
    assert line.startswith("error: ") and line.count("\n") == 1


def spoil(folder: Path, kind: str) -> None:
    table = read_csv(folder / "train.csv")
    if kind == "missing column":
        table = table.drop(columns="colour")
    elif kind == "empty table":
        table = table.iloc[:0]
    elif kind == "duplicate ids":
        table.loc[3, "id"] = table.loc[4, "id"]
    elif kind == "absent photos":
        for i in (5, 6, 7, 8):
            (folder / "photos" / f"{i:03d}.png").unlink()
    elif kind == "no photo can be read":
        for photo in (folder / "photos").iterdir():
            photo.write_bytes(b"broken")
    table.to_csv(folder / "train.csv", index=False)


BAD_DATA = {
    "missing column": ["colour"],
    "empty table": ["train.csv"],
    "duplicate ids": ["004"],
    "absent photos": ["4 of 42", "photos/005.png", "photos/006.png", "photos/007.png", "--allow-missing"],
    "no photo can be read": ["none of its 36 train photos"],
}


@pytest.mark.parametrize("kind", BAD_DATA)
def test_bad_data_are_one_clear_line(tmp_path: Path, kind: str) -> None:
    new_home(tmp_path)
    spoil(tmp_path / "my data", kind)
    line = one_line(submit(tmp_path))
    assert not [words for words in BAD_DATA[kind] if words not in line], line


@pytest.mark.slow  # what is dropped and kept is tested where tables are read
def test_allow_missing_goes_on_without_them(tmp_path: Path) -> None:
    new_home(tmp_path)
    spoil(tmp_path / "my data", "absent photos")
    (tmp_path / "my data" / "photos" / "037.png").unlink()
    done = submit(tmp_path, "--allow-missing")
    assert done.returncode == 0, done.stderr
    assert len(read_csv(tmp_path / done.stdout.splitlines()[-1])) == 6


def test_nothing_is_written_into_the_data_folder(tmp_path: Path, home: Path) -> None:
    made = make_squares(tmp_path / "again")
    names = sorted(path.relative_to(made).as_posix() for path in made.rglob("*"))
    assert sorted(path.relative_to(home / "my data").as_posix() for path in (home / "my data").rglob("*")) == names


@pytest.mark.slow
def test_new_writes_a_competition_that_works(tmp_path: Path) -> None:
    make_squares(tmp_path / "squares")
    done = command(tmp_path, "comp", "new", "--data", "squares", "--out", "contest.py")
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "contest.py", done.stderr
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    words = (
        "--competition",
        "./contest.py",
        "--backbones",
        "scratch_cnn:tiny:16px",
        "--preset",
        "quick",
        "--folds",
        "2",
    )
    done = command(tmp_path, "submissions", "submit", *words)
    assert done.returncode == 0, done.stderr
    assert len(read_csv(tmp_path / done.stdout.splitlines()[-1])) == 6
