"""Answers for new photos: those of the competition's own test photos are the CSV's; what cannot be read gets the prior."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from comp.errors import BadInput
from comp.tables import read_csv
from submissions.predict import find_photos, write_answers
from tests.made import SQUARES
from tests.test_submit import FACTS, command, make_squares, submit


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("my home")
    make_squares(folder / "my data")
    (folder / "mine.py").write_text(FACTS)
    assert submit(folder, "--out", "answers.csv").returncode == 0
    return folder


def test_the_photos_of_the_test_set_get_the_answers_of_the_csv(home: Path) -> None:
    new = home / "new photos"
    new.mkdir()
    test = read_csv(home / "my data" / "test.csv")
    for path in test["photo"]:
        shutil.copy(home / "my data" / path, new)
    (new / "broken.jpg").write_bytes(b"no photo")
    words = ["--competition", "./mine.py", "--images", "new photos", "--top", "3"]
    done = command(home, "submissions", "predict", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "predictions.csv" and "1 of 7 photos cannot be read" in done.stdout
    answers = read_csv(home / "predictions.csv").set_index("id")["colour"]
    expected = read_csv(home / "answers.csv").set_index("id")["colour"]
    ours = {name.removesuffix(".png"): answer for name, answer in answers.items() if name != "broken.jpg"}
    assert ours == expected.to_dict()
    run = next((home / "runs" / "squares").glob("*/scratch_cnn-*")).relative_to(home)
    alone = command(home, "submissions", "predict", *words, "--file", str(run), "--out", "by run.csv")
    assert alone.returncode == 0 and len(read_csv(home / "by run.csv")) == 7, alone.stderr
    refused = command(home, "submissions", "predict", *words, "--file", "my data")
    assert refused.returncode == 2 and "the folder of a finished run" in refused.stderr
    top = pd.read_csv(home / "predictions.csv")
    assert np.allclose(top[["probability1", "probability2", "probability3"]].sum(axis=1), 1, atol=1e-3)


def test_a_csv_names_photos_ids_and_phyla(tmp_path: Path) -> None:
    table = pd.DataFrame({"path": ["a.png", "b.png"], "id": ["1", "007"]})
    table.to_csv(tmp_path / "new.csv", index=False)
    found = find_photos(tmp_path / "new.csv", SQUARES, None)
    assert (found.ids, found.paths, found.conditions) == (["1", "007"], ["a.png", "b.png"], ["", ""])
    assert find_photos(tmp_path / "new.csv", SQUARES, "Chordata").conditions == ["Chordata"] * 2


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no such folder"), ("x,y\n1,2\n", "expected a column path"), ("path\n", "but no rows")],
)
def test_bad_input_is_one_line(tmp_path: Path, content: str | None, words: str) -> None:
    if content:
        (tmp_path / "new.csv").write_text(content)
    with pytest.raises(BadInput, match=words):
        find_photos(tmp_path / "new.csv", SQUARES, None)


def test_a_folder_without_photos_and_no_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no photos"):
        find_photos(tmp_path, SQUARES, None)
    (tmp_path / "a.png").touch()
    with pytest.raises(BadInput, match="--top 0"):
        write_answers(find_photos(tmp_path, SQUARES, None), SQUARES, ["a"], np.ones((1, 1)), 0, tmp_path / "out.csv")
