"""A folder as a person has it: a competition file, its data, commands typed there, and squares submitted once for all tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.made import make_squares

PROJECT = Path(__file__).resolve().parents[1]
FACTS = '''"""Colour of a square."""
from comp.spec import Competition
COMPETITION = Competition(name="squares", title="Colour of a square", layout="table", id_column="id", target_column="colour",
    path_column="photo", submission="label", pixels=16, twins=True, n_folds=2, candidates=("mlp:tiny",))
'''
HOME, SAID = "a home", "said.json"
SUBMIT = ("submit", "--competition", "./mine.py", "--data", "my data", "--preset", "quick")


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m WORDS` in a folder as a person would, with what the project needs on the path."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "COLUMNS": "200"}
    line = [sys.executable, "-m", *words]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False)


def submit(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Submit squares in a folder that has them."""
    return command(folder, "submissions", *SUBMIT, *words)


def new_home(folder: Path) -> Path:
    """Put squares and the file of their competition into a folder."""
    make_squares(folder / "my data")
    (folder / "mine.py").write_text(FACTS)
    return folder


@dataclass(frozen=True)
class Submitted:
    """A home in which `submit` was run once, and what it said; tests work in copies."""

    home: Path
    stdout: str
    stderr: str

    @classmethod
    def read(cls, folder: Path) -> Submitted:
        """Return what `submit_squares` made in a folder."""
        return cls(folder / HOME, **json.loads((folder / SAID).read_text()))

    def copy(self, folder: Path) -> Path:
        """Copy the home into a folder and return it."""
        return Path(shutil.copytree(self.home, folder, dirs_exist_ok=True))

    @property
    def csv(self) -> str:
        """The path of the CSV within the home: the last line of output."""
        return self.stdout.splitlines()[-1]


def submit_squares(folder: Path) -> None:
    """Submit squares in a home below a folder, whose name has a space, and keep what was said beside it."""
    (folder / HOME).mkdir()
    done = submit(new_home(folder / HOME))
    assert done.returncode == 0, done.stderr
    (folder / SAID).write_text(json.dumps({"stdout": done.stdout, "stderr": done.stderr}))
