"""The Makefile finds a Python, keeps .venv true to requirements.txt, and hands variables on: tried on a copy with made Pythons."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

PROJECT = Path(__file__).resolve().parent.parent
TOOLS = "sh make awk sed cmp cp mv rm mkdir tail du cat touch echo sleep"

# Stands for a Python: answers what the Makefile asks, makes a .venv that holds itself, notes what pip is asked for, and
# prints its arguments one a line for all else.
FAKE_PYTHON = """\
#!/bin/sh
case "$1 $2" in
  "-c "*version_info*) echo {version} ;;
  "-c "*ensurepip*) exit {no_venv} ;;
  "-c "*) ;;
  "-m venv") rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo "{version}" >> made ;;
  "-m pip") if [ -e break-pip ]; then echo "ERROR: no such wheel" >&2; exit 1; fi
    while [ -e slow-pip ]; do sleep 0.05; done ;;
  *) for word do printf '<%s>\\n' "$word"; done; echo "COMP=$COMP"; printf %s "$FOLDBOARD_COMMAND" > typed ;;
esac
"""


class Checkout:
    """A copy of the Makefile in a folder with spaces, and a PATH on which only made Pythons are found."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "my projects" / "fold board"
        self.bin = folder / "bin"
        self.root.mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(PROJECT / "Makefile", self.root)
        (self.root / "requirements.txt").write_text("six==1.17.0\n")
        for tool in TOOLS.split():
            found = shutil.which(tool)
            assert found, f"{tool} is needed to try the Makefile"
            (self.bin / tool).symlink_to(found)

    def python(self, name: str, version: str, *, has_venv: bool = True) -> Path:
        """Put a made Python of one version on the PATH under a name."""
        return self.script(name, FAKE_PYTHON.format(version=version, no_venv=int(not has_venv)))

    def script(self, name: str, text: str) -> Path:
        """Put a program on the PATH."""
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    @contextmanager
    def start(self, *words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """Start make with nothing of the make around it, in a session of its own, and end it with the block."""
        clean = {"PATH": str(self.bin), "HOME": str(self.bin), **environment}
        out, err = subprocess.PIPE, subprocess.PIPE
        with subprocess.Popen(
            ["make", *words], cwd=self.root, env=clean, stdout=out, stderr=err, text=True, start_new_session=True
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    def make(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run make to its end."""
        with self.start(*words, **environment) as process:
            out, err = process.communicate(timeout=30)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def wait_for_pip(self) -> None:
        """Return once an installation has begun."""
        give_up = time.monotonic() + 20
        while not (self.root / ".venv/.wanted").exists():
            assert time.monotonic() < give_up, "no installation began"
            time.sleep(0.02)

    @property
    def made(self) -> list[str]:
        """The versions that .venv was made with, one entry each time."""
        log = self.root / "made"
        return log.read_text().split() if log.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Return a checkout whose machine has no Python at all yet."""
    return Checkout(tmp_path)


@pytest.fixture
def ready(checkout: Checkout) -> Checkout:
    """Return a checkout with Python 3.12 whose .venv is complete."""
    checkout.python("python3.12", "3.12")
    assert checkout.make("env").returncode == 0
    return checkout


def words_of(result: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the arguments that the made Python was called with."""
    assert result.returncode == 0, result.stderr
    return re.findall(r"^<(.*)>$", result.stdout, flags=re.MULTILINE)


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    """Return the only line that a refused command prints."""
    assert result.returncode != 0
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


def test_help_lists_every_target_and_variable_in_under_a_second(checkout: Checkout) -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (PROJECT / "Makefile").read_text(), flags=re.MULTILINE)
    assert phony
    targets = {name for name in phony[1].split() if not name.startswith(".")}
    start = time.monotonic()
    plain = checkout.make()
    assert time.monotonic() - start < 1
    assert {"submit", "test", "test-all", "folds", "train", "clean", "clean-runs"} <= targets
    assert set(re.findall(r"^  make ([a-z-]+) +\S", plain.stdout, flags=re.MULTILINE)) == targets
    assert "  COMP=name " in plain.stdout
    assert plain.stdout == checkout.make("help").stdout


@pytest.mark.parametrize("command", ["", "help", "clean"])
def test_no_python_is_looked_for_where_none_is_needed(checkout: Checkout, command: str) -> None:
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        checkout.script(name, "#!/bin/sh\ntouch asked\n")
    assert checkout.make(*command.split()).returncode == 0
    assert not (checkout.root / "asked").exists()


def test_newest_python_is_taken(checkout: Checkout) -> None:
    for version in ("3.11", "3.12", "3.13"):
        checkout.python(f"python{version}", version)
    assert checkout.make("env").stderr == "Setting up .venv with Python 3.13 (about 3 minutes the first time)\n"
    assert checkout.made == ["3.13"]


def test_shim_that_fails_is_skipped_without_a_word(checkout: Checkout) -> None:
    checkout.script("python3.13", "#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n")
    checkout.python("python3.11", "3.11")
    result = checkout.make("env")
    assert (result.returncode, result.stdout, checkout.made) == (0, ".venv\n", ["3.11"])
    assert "pyenv" not in result.stderr


def test_newer_python_without_venv_module_gives_way_to_an_older_one(checkout: Checkout) -> None:
    checkout.python("python3.13", "3.13", has_venv=False)
    checkout.python("python3.11", "3.11")
    assert checkout.make("env").returncode == 0
    assert checkout.made == ["3.11"]


@pytest.mark.parametrize("version", ["2.7", "3.9", "3.10", "3.14"])
def test_other_pythons_only_is_one_line_that_names_what_to_install(checkout: Checkout, version: str) -> None:
    assert "found none: install" in one_line(checkout.make("submit"))
    checkout.python("python3", version)
    line = one_line(checkout.make("submit"))
    assert f"3.11, 3.12 or 3.13 is needed, found python3 ({version}): install" in line


def test_missing_venv_module_is_one_line_that_names_the_package(checkout: Checkout) -> None:
    checkout.python("python3", "3.11", has_venv=False)
    assert "apt install python3.11-venv" in one_line(checkout.make("submit"))


def test_python_variable_chooses(checkout: Checkout) -> None:
    checkout.python("python3.13", "3.13")
    (checkout.bin / "with space").mkdir()
    chosen = checkout.python("with space/python", "3.11")
    assert checkout.make("env", f"PYTHON={chosen}").returncode == 0
    assert checkout.make("env", f"PYTHON={chosen}").returncode == 0
    assert checkout.make("env").returncode == 0
    assert checkout.made == ["3.11"]
    assert checkout.make("env", "PYTHON=python3.13").returncode == 0
    assert checkout.made == ["3.11", "3.13"]


def test_python_variable_understands_home(checkout: Checkout) -> None:
    checkout.python("python3.12", "3.12")
    assert checkout.make("env", "PYTHON=~/python3.12").returncode == 0


def test_chosen_python_that_does_not_run_is_one_line(ready: Checkout) -> None:
    assert "found nowhere that does not run" in one_line(ready.make("submit", "PYTHON=nowhere"))


def test_venv_is_kept_when_only_the_time_of_requirements_changes(ready: Checkout) -> None:
    os.utime(ready.root / "requirements.txt", (2e9, 2e9))
    assert ready.make("env").stderr == ""
    assert ready.made == ["3.12"]


def test_venv_is_made_again_when_requirements_change(ready: Checkout) -> None:
    (ready.root / "requirements.txt").write_text("six==1.16.0\n")
    assert ready.make("env").returncode == 0
    assert ready.make("env").returncode == 0
    assert ready.made == ["3.12", "3.12"]


def test_venv_is_made_again_when_its_interpreter_is_gone(ready: Checkout) -> None:
    (ready.root / ".venv/bin/python").unlink()
    assert ready.make("env").returncode == 0
    assert ready.made == ["3.12", "3.12"]


def test_failed_installation_shows_pips_error_and_is_repaired(checkout: Checkout) -> None:
    checkout.python("python3.12", "3.12")
    (checkout.root / "break-pip").touch()
    failed = checkout.make("submit")
    assert "ERROR: no such wheel\n" in failed.stderr
    assert "submissions" not in failed.stdout
    (checkout.root / "break-pip").unlink()
    assert checkout.make("submit").returncode == 0
    assert checkout.made == ["3.12", "3.12"]


def test_killed_installation_is_repaired(checkout: Checkout) -> None:
    checkout.python("python3.12", "3.12")
    (checkout.root / "slow-pip").touch()
    with checkout.start("submit"):
        checkout.wait_for_pip()
    (checkout.root / "slow-pip").unlink()
    assert checkout.make("submit").returncode == 0
    assert checkout.made == ["3.12", "3.12"]


def test_second_make_waits_and_installs_nothing(checkout: Checkout) -> None:
    lock = f'"-c import fcntl"*) exec "{sys.executable}" "$@" ;;\n  "-c "*) ;;'
    locking = FAKE_PYTHON.replace('"-c "*) ;;', lock)
    checkout.script("python3.12", locking.format(version="3.12", no_venv=0))
    (checkout.root / "slow-pip").touch()
    with checkout.start("env") as first:
        checkout.wait_for_pip()
        with checkout.start("env") as second:
            assert second.stderr
            assert second.stderr.readline() == "Waiting for another make to set up .venv\n"
            (checkout.root / "slow-pip").unlink()
            assert (first.wait(timeout=20), second.wait(timeout=20)) == (0, 0)
            assert second.stderr.read() == ""
    assert checkout.made == ["3.12"]


def test_command_is_shown_first_and_its_own_last_line_ends_the_output(ready: Checkout) -> None:
    lines = ready.make("submit").stdout.splitlines()
    assert lines[0] == ".venv/bin/python -m submissions submit --competition specimens"
    assert lines[-1] == "COMP="


def test_target_stands_for_a_module(ready: Checkout) -> None:
    first = {"train": "submissions train", "folds": "folds assign", "inspect": "comp inspect", "new": "comp new"}
    rest = {"perf": "benchmarks", "test": "pytest", "clean": "comp clean", "clean-runs": "folds clean-runs"}
    for target, module in {**first, **rest}.items():
        assert " ".join(words_of(ready.make(target))).startswith(f"-m {module}")


def test_test_all_clears_the_marker(ready: Checkout) -> None:
    assert words_of(ready.make("test-all")) == ["-m", "pytest", "-m", ""]


@pytest.mark.parametrize(
    "value",
    ["my photos", "it's", 'a "quoted" name', "a$b ${HOME} $(HOME)", "a;b & c|d", "*", "a\\b", "#x", "a,b(c)", "-"],
)
def test_variable_arrives_as_one_argument(ready: Checkout, value: str) -> None:
    result = ready.make("submit", f"DATA={value}")
    assert words_of(result)[-2:] == ["--data", value]
    assert shlex.split((ready.root / "typed").read_text()) == ["make", "submit", f"DATA={value}"]
    shown = result.stdout.splitlines()[0]
    again = subprocess.run(["sh", "-c", shown], cwd=ready.root, capture_output=True, text=True, check=True)
    assert again.stdout in result.stdout


def test_every_variable_becomes_its_option(ready: Checkout) -> None:
    given = {"COMP": "rare_species", "DATA": "folder", "DATA_ROOT": "root", "BACKBONES": "a b:tail", "PRESET": "quick"}
    given |= {
        "FOLDS": "3",
        "GROUP": "column",
        "SEED": "7",
        "SEEDS": "3",
        "REPEATS": "2",
        "JOBS": "2",
        "ENGINE": "dask",
        "OUT": "a.csv",
    }
    result = ready.make("submit", *(f"{name}={value}" for name, value in given.items()), "ALLOW_MISSING=1")
    words = words_of(result)
    options = {name: name.lower().replace("_", "-") for name in given} | {"COMP": "competition"}
    for name, option in options.items():
        assert words[words.index(f"--{option}") + 1] == given[name]
    assert len(words) == 3 + 2 * len(given) + 1
    assert "--allow-missing" in words
    assert result.stdout.endswith("\nCOMP=\n"), "variables become options, not the command's environment"


def test_empty_variables_are_left_out(ready: Checkout) -> None:
    words = words_of(ready.make("submit", "COMP=", "DATA=", "SEED=", "ALLOW_MISSING=0"))
    assert words == ["-m", "submissions", "submit"]


def test_args_are_appended_as_shell_words(ready: Checkout) -> None:
    assert words_of(ready.make("test", "ARGS=-k 'a or b' -x"))[2:] == ["-k", "a or b", "-x"]


def test_environment_is_heard_but_the_shells_own_variables_are_not(ready: Checkout) -> None:
    assert words_of(ready.make("submit", COMP="mine", GROUPS="0", SECONDS="1", OPTIND="2"))[3:] == [
        "--competition",
        "mine",
    ]


def test_mistyped_variable_is_one_line(ready: Checkout) -> None:
    assert "BACKBONE: no such variable, known are COMP" in one_line(ready.make("submit", "BACKBONE=x"))


def test_clean_without_environment_empties_the_cache(checkout: Checkout) -> None:
    (checkout.root / "cache").mkdir()
    (checkout.root / "cache/pixels").write_text("x")
    result = checkout.make("clean")
    assert (result.returncode, (checkout.root / "cache").exists()) == (0, False)
    assert "cache" in result.stdout


def test_ci_runs_exactly_make_test(ready: Checkout) -> None:
    (ready.root / ".ci").mkdir()
    shutil.copy(PROJECT / ".ci/run", ready.root / ".ci/run")
    ready.script("apt-get", "#!/bin/sh\nexit 1\n")  # a test installs nothing
    path = f"{ready.bin}:/usr/bin:/bin"
    result = subprocess.run([ready.root / ".ci/run"], env={"PATH": path}, capture_output=True, text=True, check=True)
    assert result.stdout.startswith(".venv/bin/python -m pytest\n<-m>\n<pytest>\n")


def test_every_option_is_one_that_its_command_knows(ready: Checkout) -> None:
    listed = re.findall(r"^variables [+:]= (.*)$", (PROJECT / "Makefile").read_text(), flags=re.MULTILINE)
    given = [f"{name}=1" for name in " ".join(listed).split() if name != "ARGS"]
    assert len(given) > 20
    for target in (
        "submit",
        "train",
        "tune",
        "dashboard",
        "folds",
        "inspect",
        "new",
        "clean-runs",
        "data",
        "upload",
        "ledger",
        "leaderboard",
        "report",
        "bench",
    ):
        package, command, *words = words_of(ready.make(target, *given))[1:]
        group: Any = get_command(importlib.import_module(f"{package}.cli").app)
        known = {option for parameter in group.commands[command].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, target
