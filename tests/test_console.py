"""The progress bar adds up jobs, whatever they are called; Ctrl-C, and what the system refuses, is one line and its own exit status."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from comp.console import STOPPED, _summing, run
from comp.engine import Event, Job


def test_jobs_with_the_same_label_count_each() -> None:
    """With three seeds, or two banks of one backbone, labels repeat."""
    shown: list[float] = []
    notes: list[str] = []
    listen = _summing(shown.append, notes.append)
    one, other = (Job(function="m:f", arguments={"seed": seed}, label="fold 0", size=2.0) for seed in (0, 1))
    for event in (Event(one, "progress", 0.5), Event(other, "progress", 0.5), Event(one, "done", None)):
        listen(event)
    listen(Event(other, "note", "half way"))
    assert shown == [1.0, 2.0, 3.0] and notes == ["half way"]


def interrupted() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["plain", "typer"])
def test_ctrl_c_is_one_line_and_130_whoever_runs_the_command(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["command"])
    app = typer.Typer()
    app.command()(interrupted)
    with pytest.raises(SystemExit) as ended:
        run(app if name == "typer" else interrupted)
    assert ended.value.code == 130
    assert capsys.readouterr() == ("", f"{STOPPED}\n")


def refused_by_the_system() -> None:
    Path("no/such/folder/a.csv").read_text()


def renamed_to_nowhere() -> None:
    os.rename("a.csv", "b/c.csv")


def refused_without_a_number() -> None:
    raise OSError("the file is no image")


def full_disk() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.usefixtures("in_folder")
@pytest.mark.parametrize(
    ("app", "code", "parts"),
    [
        (refused_by_the_system, 1, ["FileNotFoundError, No such file or directory: no/such/folder/a.csv;"]),
        (renamed_to_nowhere, 1, ["No such file or directory: a.csv -> b/c.csv;"]),
        (refused_without_a_number, 1, ["OSError, the file is no image;"]),
        (full_disk, 5, ["disk full while writing", "make clean"]),
    ],
)
def test_what_the_system_refuses_is_one_line(
    app: Callable[[], None], code: int, parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(app)
    assert ended.value.code == code
    out, errors = capsys.readouterr()
    assert not out and len(errors.splitlines()) == 1 and errors.startswith("error: ")
    assert all(part in errors for part in [*parts, "run the same command again"])


def test_a_mistake_in_the_program_keeps_its_traceback() -> None:
    def wrong() -> None:
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        run(wrong)


@pytest.mark.parametrize(
    ("package", "words", "expected"),
    [
        ("comp", ["inspect", "--jobs", "two"], "'two'"),
        ("folds", ["assign", "--folds", "five"], "'five'"),
        ("submissions", ["submit", "--folds", "five"], "'five'"),
        ("submissions", ["submti"], "'submti'"),
        ("submissions", ["predict"], "Missing option '--images'"),
        ("tuning", ["tune", "--trials", "1.5"], "'1.5'"),
    ],
)
def test_words_that_cannot_be_taken_are_one_line(
    package: str, words: list[str], expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["command", *words])
    with pytest.raises(SystemExit) as ended:
        run(importlib.import_module(f"{package}.cli").app)
    assert ended.value.code == 2
    out, error = capsys.readouterr()
    assert out == "" and len(error.splitlines()) == 1
    assert error.startswith("error: ") and expected in error and "--help" in error


def test_without_a_word_the_help_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from comp.cli import app

    monkeypatch.setattr(sys, "argv", ["command"])
    with pytest.raises(SystemExit) as ended:
        run(app)
    assert ended.value.code == 2
    out, error = capsys.readouterr()
    assert "inspect" in out and error == ""


def test_the_status_that_a_command_ends_with_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["command"])
    app = typer.Typer()
    app.command()(ends_with_3)
    with pytest.raises(SystemExit) as ended:
        run(app)
    assert ended.value.code == 3


def ends_with_3() -> None:
    raise typer.Exit(3)


def test_a_question_that_nobody_answers_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["command"])
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    app = typer.Typer()
    app.command()(asks)
    with pytest.raises(SystemExit) as ended:
        run(app)
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: no answer, so nothing was done")


def asks() -> None:
    typer.confirm("throw these runs away?")


@pytest.mark.parametrize(("words", "code"), [([], 0), (["--nothing"], 2)])
def test_other_ends_of_a_command_stay_as_they_are(
    words: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["command", *words])
    app = typer.Typer()
    app.command()(lambda: None)
    with pytest.raises(SystemExit) as ended:
        run(app)
    assert ended.value.code == code
    assert STOPPED not in capsys.readouterr().err
