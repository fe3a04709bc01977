"""A second command on the same runs says whom it waits for, whatever it waits for, and then goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from comp.engines.inline import InlineEngine
from comp.images import PixelSpec
from comp.registry import load, load_competition
from comp.sources import find_source
from comp.store import locked, write_marker
from comp.twins import no_twins
from folds.dataset import Dataset, dataset_folder, make_dataset
from folds.runs import run_dir, views_dir
from folds.views import predict_test
from submissions.write import as_csv, write_submission
from tests.made import SQUARES, read_all, run_plan, squares_dataset
from tests.minis import wait_for


@pytest.fixture
def made(in_folder: Path) -> tuple[Dataset, Any]:
    """Return made squares under their folds, and the tables."""
    return squares_dataset(in_folder / "data")


def says_whom_it_waits_for(lock: Path, work: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []

    def waits() -> bool:
        said.append(capsys.readouterr().out)
        return "waiting for" in "".join(said)

    thread = threading.Thread(target=work, daemon=True)
    with locked(lock):
        thread.start()
        wait_for(waits, "the line", patience=20)
        assert thread.is_alive()
    thread.join(20)
    assert not thread.is_alive()


def test_drawing_the_sample(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    competition, root = load_competition("specimens"), in_folder / "data"
    assert competition.sample
    drawn = root / f"{competition.sample}-{load('comp.samples', competition.sample).VERSION}" / "data" / ".drawn"
    drawn.parent.mkdir(parents=True)
    drawn.touch()
    says_whom_it_waits_for(root / f".{competition.sample}.lock", lambda: find_source(competition, None, root), capsys)


def test_assigning_folds(made: tuple[Dataset, Any], capsys: pytest.CaptureFixture[str]) -> None:
    tables, photos = made[1], read_all(made[1], [PixelSpec(16)])
    twins = no_twins(len(tables.train))
    lock = dataset_folder(tables, photos, 4) / ".lock"
    says_whom_it_waits_for(lock, lambda: make_dataset(tables, photos, twins, 4), capsys)
    assert (lock.parent / "dataset.json").is_file()


def test_test_rows_under_so_many_views(made: tuple[Dataset, Any], capsys: pytest.CaptureFixture[str]) -> None:
    dataset, plan = made[0], run_plan(made[0])
    folder = views_dir(run_dir(dataset.folder, plan), "test-1")
    folder.mkdir(parents=True)
    write_marker(folder, [])
    work = lambda: predict_test(plan, dataset, 1, InlineEngine(), pytest.fail)
    says_whom_it_waits_for(folder / ".lock", work, capsys)


def test_writing_the_csv(made: tuple[Dataset, Any], capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"id": ["036"], "colour": ["amber"]})
    folder = made[0].folder / "submissions"
    says_whom_it_waits_for(folder / ".lock", lambda: write_submission(frame, made[0], SQUARES, {}), capsys)
    (csv,) = folder.glob("*.csv")
    assert csv.read_bytes() == as_csv(frame)
