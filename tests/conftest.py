"""What all tests share: where real data lie, a drawn sample, small photos, and the environment of a process that trains."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from comp.backend import prepare_environment
from tests.once import Once, filled_once

if TYPE_CHECKING:
    from folds.dataset import Dataset
    from tests.homes import Submitted

prepare_environment()

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real data, or skip where there is none."""
    folder = Path(os.environ.get("REAL_DATA", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real data: REAL_DATA names no folder")
    return folder


@pytest.fixture
def random() -> np.random.Generator:
    """Return a generator with a fixed seed."""
    return np.random.default_rng(7)


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty folder: cache/ and runs/ of a test lie there."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path


@pytest.fixture
def float32() -> Iterator[None]:
    """Work in float32, with no extractor left of the test before: both belong to a process."""
    import keras

    import folds.features

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    folds.features._extractor.cache_clear()
    yield
    keras.config.set_dtype_policy(before)


@pytest.fixture
def bfloat16(float32: None) -> None:
    """Work in bfloat16, variables in float32."""
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")


@pytest.fixture
def dataset(in_folder: Path) -> Dataset:
    """Return the coloured squares, as large as fits on frozen parts are tested with."""
    from comp.images import PixelSpec
    from tests.frozen import PIXELS
    from tests.made import squares_dataset

    return squares_dataset(in_folder / "data", [PixelSpec(PIXELS)])[0]


@pytest.fixture
def weights(in_folder: Path) -> Path:
    """Return a file of weights of a `tiny`."""
    from tests.frozen import save_tiny

    return save_tiny(in_folder / "mine" / "vgg.weights.h5")


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Return what has a folder of a name filled once a session, for all workers."""
    base = tmp_path_factory.getbasetemp()
    return partial(filled_once, base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


@pytest.fixture(scope="session")
def submitted(once: Once) -> Submitted:
    """Return squares submitted once; tests work in copies."""
    from tests.homes import Submitted, submit_squares

    return Submitted.read(once("submitted", submit_squares))


LONGEST_FIRST = (
    "test_kill",
    "test_submit",
    "test_condition",
    "test_train",
    "test_fits",
    "test_backbones",
    "test_predict",
    "test_engine_ends",
    "test_tune",
    "test_objective",
    "test_transcribe",
    "test_notebook",
    "test_cuts",
    "test_engines",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest files first: a file stays in one process, and a long one at the end would keep the other idle."""

    def rank(item: pytest.Item) -> int:
        name = item.path.stem
        return LONGEST_FIRST.index(name) if name in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=rank)
