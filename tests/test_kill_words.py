"""Promises 5 and 8 where transcripts are read: killed between two epochs or before the marker, the command ends with the same CSV."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.minis import Command, Outcome, Pause, forget_folds, outcome
from tests.words import FACTS, make_words


class WordsCommand(Command):
    """The whole command on drawn words."""

    facts = FACTS
    candidate = "crnn:tiny:16px"


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, Outcome]]:
    """Return raw files, the folder in which the job was done without disturbance, and what it ended with."""
    home = tmp_path_factory.mktemp("words")
    command = WordsCommand(make_words(home / "data", n_pages=4), home / "work")
    try:
        yield home / "data", home / "work", outcome(command)
    finally:
        command.clean_up()


@pytest.mark.slow
@pytest.mark.parametrize("before", [r"/fold-1/resume\.npz$", r"/fold-1/done\.json$"])
def test_killed_and_run_again_ends_with_the_same_csv(
    before: str, reference: tuple[Path, Path, Outcome], tmp_path: Path
) -> None:
    data, done, expected = reference
    work = Path(shutil.copytree(done, tmp_path / "work"))
    forget_folds(work, 1)
    command = WordsCommand(data, work, pause=Pause(before, nth=3 if "resume" in before else 1))
    try:
        command.wait_until_paused()
        command.kill(whole_group=True)
    finally:
        command.clean_up()
    again = WordsCommand(data, work, jobs=1)
    try:
        assert outcome(again) == expected
    finally:
        again.clean_up()
    assert "training 1 folds" in again.output
