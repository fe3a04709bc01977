"""The progress bar adds up jobs, whatever they are called; Ctrl-C is one line and its own exit status."""

from __future__ import annotations

import importlib
import io
import sys

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
