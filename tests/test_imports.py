"""The direction of imports, and what is not imported: comp <- folds <- tuning <- submissions; --help without Keras in a second."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
LAYERS = ["comp", "folds", "tuning", "submissions"]
SOURCES = sorted(path for layer in LAYERS for path in (PROJECT / layer).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_imports_run_one_way(path: Path) -> None:
    above = LAYERS[LAYERS.index(path.relative_to(PROJECT).parts[0]) + 1 :]
    assert not {name for name in imported(path) if name.split(".")[0] in above}


def test_tensorflow_is_named_and_imported_in_one_place() -> None:
    importing = [path for path in SOURCES if "tensorflow" in {name.split(".")[0] for name in imported(path)}]
    assert [path.relative_to(PROJECT).as_posix() for path in importing] == ["comp/backend.py"]
    naming = [path.relative_to(PROJECT).as_posix() for path in SOURCES if '"tensorflow"' in path.read_text()]
    assert naming == ["comp/backend.py", "folds/cv.py"]


@pytest.mark.parametrize("package", ["comp", "folds", "tuning", "submissions"])
def test_help_answers_within_a_second_without_keras(package: str) -> None:
    code = (
        f"import sys; sys.argv = ['{package}', '--help']\n"
        f"from {package}.cli import app\n"
        "try:\n app()\nexcept SystemExit:\n pass\n"
        "heavy = {'keras', 'tensorflow', 'pandas', 'sklearn', 'albumentations', 'cv2'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy))"
    )
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
        seconds.append(time.monotonic() - began)
        assert "Usage" in done.stdout and "HEAVY []" in done.stdout
    assert min(seconds) < 1


@pytest.mark.parametrize("package", ["comp", "folds", "tuning", "submissions"])
def test_python_m_shows_its_commands(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", package, "--help"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert f"python -m {package}" in done.stdout and not done.stderr


def test_training_modules_read_no_clock_for_a_number_and_no_machine_path() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert "/home/" not in text and os.environ.get("HOME", "/nowhere") + "/" not in text
