"""Two doors to the world, comp/fetch.py and comp/kaggle_client.py: no other module can open one, and none opens at import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_imports import PROJECT, SOURCES, imported

DOORS = {"comp/fetch.py", "comp/kaggle_client.py"}
NETWORK = {
    "aiohttp",
    "ftplib",
    "http",
    "httpx",
    "huggingface_hub",
    "kaggle",
    "kagglehub",
    "kagglesdk",
    "requests",
    "smtplib",
    "socket",
    "ssl",
    "urllib3",
}
HARMLESS = {"exceptions", "errors"}  # `requests.exceptions` names what went wrong, and opens nothing
ELSEWHERE = [path for path in SOURCES if path.relative_to(PROJECT).as_posix() not in DOORS]


def reaching_out(path: Path) -> Iterator[str]:
    """Yield what a module imports that could open a connection; the name of this machine is no connection."""
    for name in imported(path):
        head, _, rest = name.partition(".")
        if name == "urllib.request" or (head in NETWORK and rest not in HARMLESS):
            used = {node.attr for node in ast.walk(ast.parse(path.read_text())) if _is_of(node, name)}
            if not (name == "socket" and used == {"gethostname"}):
                yield name


def _is_of(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_no_other_module_can_open_a_connection(path: Path) -> None:
    assert list(reaching_out(path)) == []


@pytest.mark.parametrize("door", sorted(DOORS))
def test_the_doors_themselves_would_be_found(door: str) -> None:
    assert list(reaching_out(PROJECT / door))


TOWARDS_KAGGLE = [
    *(
        "comp.cli",
        "comp.data",
        "comp.fetch",
        "comp.hugging_face",
        "comp.kaggle_client",
        "comp.weights",
        "submissions.cli",
    ),
    *(f"submissions.{name}" for name in ("doctor", "outgoing", "scores", "standing", "upload")),
]


def test_importing_calls_nobody_and_loads_no_client() -> None:
    code = (
        "import importlib, sys\n"
        "def watch(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo'):\n"
        "        raise AssertionError(f'{event} {arguments}')\n"
        "sys.addaudithook(watch)\n"
        f"for name in {TOWARDS_KAGGLE}:\n    importlib.import_module(name)\n"
        "print(sorted({'kaggle', 'kagglesdk', 'kagglehub', 'huggingface_hub', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
