"""Which CSV is handed in, and that nothing malformed, edited or foreign ever is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from comp.errors import BadInput, Refused
from comp.spec import Competition
from comp.tables import read_csv
from folds.dataset import Dataset
from submissions.outgoing import newest_csv, prepare
from submissions.write import make_frame, write_submission
from tests.made import CLASSES, SQUARES, squares_dataset
from tests.uploads import PETS, make_csv

ON_KAGGLE = replace(SQUARES, slug="squares")


@pytest.fixture
def dataset(in_folder: Path) -> Dataset:
    return squares_dataset(in_folder / "raw")[0]


def write(dataset: Dataset, written: str, best: int = 0, competition: Competition = ON_KAGGLE) -> Path:
    """Write a CSV that says one class of every test row, with a manifest that says when."""
    import numpy as np

    ids = dataset.test["id"].tolist()
    frame = make_frame(competition, ids, np.eye(3)[[best] * len(ids)], CLASSES)
    cv = {"score": 0.5, "low": 0.4, "high": 0.6}
    facts = {"metric": "macro_f1", "cv": cv, "runs": [{"folder": "runs/a"}, {"folder": "runs/b"}], "n_train": 36}
    more = {
        "ensemble": {"weights": [0.25, 0.75]},
        "n_test": 9,
        "data8": dataset.data8,
        "commit": "c",
        "written": written,
    }
    return write_submission(frame, dataset, competition, {**facts, **more})


def test_the_last_one_written_is_taken(dataset: Dataset) -> None:
    write(dataset, "2026-01-03T00:00:00Z", 0)
    newest = write(dataset, "2026-01-04T00:00:00Z", 1)
    write(dataset, "2026-01-02T00:00:00Z", 2)
    assert prepare(ON_KAGGLE, None).path == newest


def test_none_written_is_one_line(dataset: Dataset) -> None:
    with pytest.raises(BadInput, match="make submit COMP=squares"):
        newest_csv(ON_KAGGLE)


def test_the_ledger_gets_the_facts_of_the_manifest(dataset: Dataset) -> None:
    event = prepare(ON_KAGGLE, write(dataset, "2026-01-03T00:00:00Z")).event("checked")
    assert (event.runs, event.weights, event.cv, event.commit) == ("a b", "0.25 0.75", "0.500000", "c")
    assert float(event.cv_se) == pytest.approx(0.2 / 3.92, abs=1e-4)
    assert float(event.lb_se) == pytest.approx(2 * 0.2 / 3.92, abs=1e-4)


def test_rows_may_stand_in_any_order_without_a_manifest(dataset: Dataset, in_folder: Path) -> None:
    path = write(dataset, "2026-01-03T00:00:00Z")
    head, *rows = path.read_text().splitlines()
    other = in_folder / "mine.csv"
    other.write_text("\n".join([head, *reversed(rows)]) + "\n")
    assert prepare(ON_KAGGLE, other).n_rows == len(rows)


def test_columns_of_classes_may_stand_in_any_order_too(dataset: Dataset, in_folder: Path) -> None:
    wide = replace(ON_KAGGLE, submission="probabilities")
    path = write(dataset, "2026-01-03T00:00:00Z", competition=wide)
    other = in_folder / "mine.csv"
    read_csv(path)[["id", "coral", "amber", "blue"]].to_csv(other, index=False)
    assert prepare(wide, other).n_rows == len(dataset.test)
    read_csv(path)[["coral", "id", "amber", "blue"]].to_csv(other, index=False)
    with pytest.raises(Refused, match="its columns are"):
        prepare(wide, other)
    read_csv(path).rename(columns={"coral": "red"}).to_csv(other, index=False)
    with pytest.raises(Refused, match="its columns are"):
        prepare(wide, other)


def test_a_file_that_was_edited_is_refused(dataset: Dataset) -> None:
    path = write(dataset, "2026-01-03T00:00:00Z")
    path.write_text(path.read_text().replace("amber", "coral", 1))
    with pytest.raises(Refused, match="changed after it was written"):
        prepare(ON_KAGGLE, path)


def test_a_file_of_another_competition_is_refused(dataset: Dataset) -> None:
    path = write(dataset, "2026-01-03T00:00:00Z")
    manifest = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**manifest, "competition": "other"}))
    with pytest.raises(Refused, match="not for 'squares'"):
        prepare(ON_KAGGLE, path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda text: text.replace("amber", "red", 1), "none of the 3 classes"),
        (lambda text: text[: text.rindex("0")], "rows|id"),
        (lambda text: text + text.splitlines()[-1] + "\n", "expected"),
        (lambda text: text.replace("colour", "color"), "columns"),
        (lambda text: "", "cannot be read"),
    ],
)
def test_a_malformed_file_is_refused(dataset: Dataset, in_folder: Path, change: object, match: str) -> None:
    path = in_folder / "mine.csv"
    path.write_text(change(write(dataset, "2026-01-03T00:00:00Z").read_text()))  # type: ignore[operator]
    with pytest.raises(Refused, match=match):
        prepare(ON_KAGGLE, path)


def test_a_file_that_nothing_can_check_is_refused(in_folder: Path) -> None:
    path = make_csv(in_folder)
    with pytest.raises(Refused, match="cannot be checked"):
        prepare(PETS, path)
    assert prepare(PETS, path, template=in_folder / "sample_submission.csv").n_rows == 20


def test_a_probability_out_of_range_is_refused(in_folder: Path) -> None:
    path = make_csv(in_folder)
    path.write_text(path.read_text().replace("1,0.7000", "1,1.7000"))
    with pytest.raises(Refused, match="line 2"):
        prepare(PETS, path, template=in_folder / "sample_submission.csv")


def test_what_was_checked_is_what_is_sent(in_folder: Path) -> None:
    path = make_csv(in_folder)
    outgoing = prepare(PETS, path, template=in_folder / "sample_submission.csv")
    before = path.read_bytes()
    path.write_text("changed meanwhile")
    assert outgoing.content == before


def test_no_slug_and_no_file_are_one_line(in_folder: Path) -> None:
    with pytest.raises(BadInput, match="no slug"):
        prepare(SQUARES, None)
    with pytest.raises(BadInput, match="no such file"):
        prepare(PETS, Path("nowhere.csv"))
