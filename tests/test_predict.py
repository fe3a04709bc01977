"""Answers for new photos: those of the competition's own test photos are the CSV's; what cannot be read gets the prior."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from comp.engines.inline import InlineEngine
from comp.errors import BadInput
from comp.images import PixelSpec
from comp.spec import Competition, Recipe
from comp.tables import Tables, read_csv, read_tables
from comp.twins import no_twins
from folds.dataset import Dataset, make_dataset
from submissions.pack import pack
from submissions.predict import NewPhotos, answer, find_photos, write_answers
from submissions.stored import check_competition
from tests.homes import Submitted, command
from tests.made import CLASSES, SQUARES, make_squares, read_all
from tests.made_runs import finished_run
from tests.test_stored import submission

WARM = replace(SQUARES, condition_column="warmth")


@pytest.fixture(scope="module")
def home(submitted: Submitted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which squares were submitted; `answers.csv` is what was handed in."""
    folder = submitted.copy(tmp_path_factory.mktemp("my home"))
    shutil.copy(folder / submitted.csv, folder / "answers.csv")
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
    run = next((home / "runs" / "squares").glob("*/mlp-*")).relative_to(home)
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
    assert find_photos(tmp_path / "new.csv", WARM, "cold").conditions == ["cold"] * 2
    with pytest.raises(BadInput, match="--phylum cold: competition squares has no condition column"):
        find_photos(tmp_path / "new.csv", SQUARES, "cold")


@pytest.fixture
def warm(in_folder: Path) -> tuple[Dataset, Tables]:
    """Return squares whose colours are warm or cold, as a column tells of train and of test rows."""
    folder = make_squares(in_folder / "data")
    for path in (folder / "train.csv", folder / "test.csv"):
        table = read_csv(path)
        warmth = ["cold" if CLASSES[int(row_id) % 3] == "blue" else "warm" for row_id in table["id"]]
        table.assign(warmth=warmth).to_csv(path, index=False)
    tables = read_tables(WARM, folder)
    return make_dataset(tables, read_all(tables, [PixelSpec(16)]), no_twins(len(tables.train)), 3), tables


def ask_of_none(file: Path, conditions: list[str], competition: Competition = WARM) -> np.ndarray:
    """Ask about photos none of which can be read, so that no model is needed; return the probabilities."""
    folder = Path("new")
    folder.mkdir(exist_ok=True)
    paths = [f"{i}.png" for i in range(len(conditions))]
    for path in paths:
        (folder / path).write_bytes(b"no photo")
    return answer(NewPhotos(folder, paths, paths, conditions), competition, file, None, InlineEngine())[1]


@pytest.mark.parametrize("way", ["decode", "input", "split"])
@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        (["warm", "cold"], None),
        (
            ["warm", "", "green", "green"],
            "warmth is not used for 3 of 4 photos: 1 have none, 2 one that no train row has",
        ),
        (["wram"] * 3, "warmth is not used for 3 of 3 photos: 3 one that no train row has (wram)"),
    ],
)
def test_photos_that_the_phylum_is_not_used_for_are_counted(
    warm: tuple[Dataset, Tables], capsys: pytest.CaptureFixture[str], way: str, conditions: list[str], said: str | None
) -> None:
    dataset, tables = warm
    recipe = None if way == "decode" else Recipe(pixels=16, epochs=3, batch_size=8, width=8, condition=way)  # type: ignore[arg-type]
    run = finished_run(dataset, recipe=recipe)
    file = submission(dataset, [run], tables, WARM, way)
    for asked in [file] if way == "decode" else [file, run]:
        capsys.readouterr()
        ask_of_none(asked, conditions)
        told = " ".join(capsys.readouterr().out.split())
        assert said in told if said else "is not used" not in told
        assert told.count("warning:") == (said is not None)


def test_an_ensemble_without_the_phylum_says_nothing_of_it(
    warm: tuple[Dataset, Tables], capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, tables = warm
    ask_of_none(submission(dataset, [finished_run(dataset)], tables, WARM, "no"), ["", "wram"])
    assert "is not used" not in capsys.readouterr().out


def test_a_csv_or_run_of_another_competition_is_refused_with_the_name_of_its_own(warm: tuple[Dataset, Tables]) -> None:
    dataset, tables = warm
    run = finished_run(dataset)
    for file in (submission(dataset, [run], tables, WARM), run):
        with pytest.raises(
            BadInput, match=r"is of competition squares, not of digits; say so: COMP=./FILE.py, the file of"
        ):
            ask_of_none(file, ["warm"], replace(WARM, name="digits"))
    with pytest.raises(BadInput, match="is of competition squares, not of digits"):
        pack(replace(WARM, name="digits"), "digits", submission(dataset, [run], tables, WARM), None, Path("packed"))
    manifest = {"competition": "digits"}
    with pytest.raises(BadInput, match=r"^x.csv: it is of competition digits, not of squares; say so: COMP=digits$"):
        check_competition(manifest, WARM, Path("x.csv"))


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
