"""The crew of a study whose storage goes away for a while: it waits, and says one line where it waited in vain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

import tuning.crew
from comp.errors import BadInput
from tuning.crew import Crew

URL = "postgresql://me:secret@127.0.0.1:1/x"


class Order:
    storage, study, folder, n_workers = URL, "squares", ".", 1


def crew_of(look: Callable[[Any], None]) -> Crew:
    return Crew(Order(), None, look, lambda: None)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning.crew, "LOOK_SECONDS_AFAR", 0.01)


def test_a_storage_that_comes_back_costs_nothing() -> None:
    tries = []

    def look(_: Any) -> None:
        tries.append(1)
        if len(tries) < 4:
            raise optuna.exceptions.StorageInternalError("server closed the connection")

    crew_of(look)._pause()
    assert len(tries) == 4


def test_a_storage_that_stays_away_is_one_line_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning.crew, "PATIENCE_SECONDS", 0.05)

    def look(_: Any) -> None:
        raise optuna.exceptions.StorageInternalError(f"no answer from {URL}\nand much more")

    with pytest.raises(BadInput, match=r"^STORAGE=postgresql://me:\*\*\*@.*the same command goes on$") as caught:
        crew_of(look)._pause()
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_journal_is_looked_at_often_and_a_url_seldom(tmp_path: Path) -> None:
    crew = crew_of(lambda _: None)
    assert not crew.is_local
    crew.order.storage = str(tmp_path / "study.journal")  # type: ignore[misc]
    assert crew.is_local
