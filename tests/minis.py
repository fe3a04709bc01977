"""A mini competition in the layout of Rare Species, and the whole command run on it in a folder of its own, as a person would."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import psutil

PROJECT = Path(__file__).resolve().parents[1]
PAUSE = PROJECT / "tests" / "pause"
PATIENCE = 200  # seconds; a run takes about 10 on two idle cores

FAMILIES = {"Apidae": "Arthropoda", "Canidae": "Chordata", "Felidae": "Chordata"}
FACTS = '''"""A mini competition: which of three colours is missing."""

from comp.spec import Competition

COMPETITION = Competition(
    name="mini",
    title="Family of a speck",
    layout="table",
    train_table="metadata.csv",
    id_column="rare_species_id",
    target_column="family",
    path_column="file_path",
    condition_column="phylum",
    submission="probabilities",
    pixels=16,
    n_folds=2,
    twins=True,
)
'''


def make_mini(folder: Path, n_train: int = 48, n_test: int = 12) -> Path:
    """Write metadata.csv, test.csv and tiny photos of three families, one of them a near-twin; the same bytes each time."""
    random = np.random.default_rng(2026)
    names = list(FAMILIES) * ((n_train + n_test) // len(FAMILIES))
    photos = [_speck(random, i % len(FAMILIES)) for i in range(len(names))]
    photos[len(FAMILIES)] = photos[0] // 2 * 2
    paths = [f"{FAMILIES[name]}_{name}/{i:03d}.png".lower() for i, name in enumerate(names)]
    for path, photo in zip(paths, photos, strict=True):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / path), photo)
    ids = [f"id-{i:03d}" for i in range(len(names))]
    phyla = [FAMILIES[name] for name in names]
    table = pd.DataFrame({"rare_species_id": ids, "phylum": phyla, "family": names, "file_path": paths})
    table.iloc[:n_train].to_csv(folder / "metadata.csv", index=False)
    table.iloc[n_train:].drop(columns="family").to_csv(folder / "test.csv", index=False)
    return folder


def _speck(random: np.random.Generator, channel: int) -> np.ndarray:
    photo = random.integers(0, 200, (24, 24, 3)).astype(np.uint8)
    photo[..., channel] //= 2
    return np.asarray(cv2.GaussianBlur(photo, (3, 3), 0))


@dataclass(frozen=True)
class Pause:
    """Where a process stops: before the n-th rename, in one process, to a path that the expression is found in."""

    before: str
    nth: int = 1


class Command:
    """`python -m submissions submit` on the mini competition, started in the folder `work`; its output goes to files beside."""

    facts = FACTS
    candidate = "mlp:tiny:16px"  # traced in a fifth of a convolutional one's seconds

    def __init__(self, data: Path, work: Path, *options: str, jobs: int = 2, pause: Pause | None = None) -> None:
        work.mkdir(parents=True, exist_ok=True)
        (work / "mini.py").write_text(self.facts)
        n_before = len(list(work.parent.glob("command-*.out")))
        self.work = work
        self.flag, self._out, self._err = (work.parent / f"command-{n_before}.{end}" for end in ("pause", "out", "err"))
        given = ["--competition", "./mini.py", "--data", str(data), "--backbones", self.candidate]
        line = ["-m", "submissions", "submit", *given, "--preset", "quick", "--jobs", str(jobs), *options]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, *line],
                cwd=work,
                env=_environment(self.flag, pause),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,  # a group of its own, that can be killed whole
            )

    @property
    def output(self) -> str:
        """Return what it has printed on standard output so far."""
        return self._out.read_text()

    @property
    def errors(self) -> str:
        """Return what it has printed on standard error so far."""
        return self._err.read_text()

    def wait(self) -> int:
        """Wait for its end; return its exit status."""
        return self.process.wait(timeout=PATIENCE)

    def wait_until_paused(self) -> int:
        """Wait until one of its processes stands before the rename; return the id of that process."""
        wait_for(lambda: self._paused() or self.process.poll() is not None, "the pause")
        assert self._paused(), f"it ended without a pause: {self.output} {self.errors}"
        return int(self.flag.read_text())

    def _paused(self) -> bool:
        return self.flag.is_file() and self.flag.read_text().isdigit()

    def release(self) -> None:
        """Let the process that stands before the rename go on."""
        self.flag.write_text("go on")

    def kill(self, whole_group: bool) -> None:
        """End the command with SIGKILL, with all its processes at once or alone; it must be running."""
        assert self.process.poll() is None, self.output + self.errors
        if whole_group:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait(timeout=PATIENCE)

    def clean_up(self) -> None:
        """End what is left of it, whatever happened."""
        for process in processes_in(self.work):
            with suppress(psutil.Error):
                process.kill()
        self.process.wait(timeout=PATIENCE)


def _environment(flag: Path, pause: Pause | None) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PAUSE_", "FOLDBOARD_"))}
    environment["PYTHONPATH"] = str(PROJECT)
    if pause is not None:
        environment["PYTHONPATH"] = os.pathsep.join([str(PAUSE), str(PROJECT)])
        environment |= {"PAUSE_BEFORE": pause.before, "PAUSE_TIME": str(pause.nth), "PAUSE_FLAG": str(flag)}
    return environment


def wait_for(is_so: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: If it is not so after `patience` seconds.
    """
    end = time.monotonic() + patience
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {patience} s for {what}")
        time.sleep(0.05)


@dataclass(frozen=True)
class Outcome:
    """What a command ended with: its last line, the hash of that CSV, those of the out-of-fold tables by run, and of all pixels."""

    csv: str
    csv_sha: str
    oof_shas: dict[str, str]
    pixel_shas: dict[str, str]


def outcome(command: Command) -> Outcome:
    """Wait for a command and return what it ended with; it must have succeeded, and its last line must name a file."""
    assert command.wait() == 0, command.output + command.errors
    work, csv = command.work, command.output.splitlines()[-1]
    oof_shas = {path.parent.name: _sha(path) for path in sorted(work.glob("runs/mini/*/*/oof.npy"))}
    pixels = sorted(work.glob("cache/images/*/[!.]*/rows.npy"))
    return Outcome(csv, _sha(work / csv), oof_shas, {str(path.relative_to(work)): _sha(path) for path in pixels})


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def processes_in(folder: Path) -> list[psutil.Process]:
    """Return the processes that work in a folder: a command, its workers and their helpers."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == folder.resolve():
                found.append(process)
        except psutil.Error:  # it ended meanwhile, or is another user's
            continue
    return found


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of the last change of every file below a folder, by relative path."""
    found = {str(path.relative_to(folder)): path.stat() for path in folder.rglob("*") if path.is_file()}
    return {path: (status.st_size, status.st_mtime_ns) for path, status in found.items()}


def results_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the snapshot of a folder without locks and what is written beside."""
    return {path: facts for path, facts in snapshot(folder).items() if not Path(path).name.startswith(".")}


def fold_of(work: Path, fold: int) -> Path:
    """Return the folder of one fold of the only run below `work`."""
    (folder,) = work.glob(f"runs/mini/*/*-s0-*/fold-{fold}")
    return folder


def forget_csv(work: Path) -> None:
    """Take a finished job back to where all folds are trained and put together, and no CSV is written."""
    for folder in work.glob("runs/mini/*/submissions"):
        shutil.rmtree(folder)


def forget_folds(work: Path, *folds: int) -> None:
    """Take a finished job back to where these folds are not trained, and nothing after them is done."""
    forget_csv(work)
    for fold in folds:
        shutil.rmtree(fold_of(work, fold))
    for name in ("oof.npy", "test.npy", "predictions.json", "done.json"):
        for path in work.glob(f"runs/mini/*/*/{name}"):
            path.unlink()
