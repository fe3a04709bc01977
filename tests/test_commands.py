"""Commands as text: what a manifest and the README's table say was typed."""

from __future__ import annotations

import shlex

import pytest

from comp.typed import command_line, portable
from submissions.commands import base_command
from submissions.plan import Settings


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("make submit COMP=x DATA=../shared/data/set", "make submit COMP=x DATA=path/to/set"),
        ("make submit DATA=/home/me/set/ WEIGHTS=~/w", "make submit DATA=path/to/set WEIGHTS=path/to/w"),
        ("make submit DATA='/home/me/my set'", "make submit DATA='path/to/my set'"),
        ("make submit COMP=./mine.py BACKBONES='mlp_mixer:S/16 bit'",) * 2,
        ("make results FILE=runs/a/submissions/b.csv",) * 2,
    ],
)
def test_places_of_one_machine_are_not_shown(typed: str, shown: str) -> None:
    assert portable(typed) == shown


def test_the_next_command_names_what_this_one_named() -> None:
    settings = Settings(competition="./my contest.py", backbones="a b", weights="/w", folds=3)
    assert shlex.split(base_command(settings))[1:] == [
        "submit",
        "COMP=./my contest.py",
        "WEIGHTS=/w",
        "BACKBONES=a b",
        "FOLDS=3",
    ]


def test_the_command_is_what_make_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLDBOARD_COMMAND", "make submit SEED=1 BACKBONES='a b' DATA=/d COMP=x")
    assert command_line() == "make submit COMP=x DATA=/d BACKBONES='a b' SEED=1"
    monkeypatch.setenv("FOLDBOARD_COMMAND", "make submit DATA=Ann's")
    assert command_line() == "make submit DATA=Ann's"
    monkeypatch.delenv("FOLDBOARD_COMMAND")
    monkeypatch.setattr("sys.argv", ["/p/submissions/__main__.py", "submit", "--backbones", "a b"])
    assert command_line() == "python -m submissions submit --backbones 'a b'"
