"""A sweep of probes against the transfer-learning loop that people write first, five folds each, on real photos in one run.

Run: make perf ARGS=guide DATA=path/to/animal-families WEIGHTS=path/to/weights
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figure import Figure
from comp.backend import THREAD_COUNTS
from comp.errors import BadInput, FoldboardError
from comp.store import read_json

PROJECT = Path(__file__).resolve().parents[1]
OURS = {  # what is asked for, the ratio aimed at
    "160 px, 2 views": (["--preset", "quick", "--backbones", "mobilenet:probe:160px"], 15.0),
    "224 px, 6 views": (["--preset", "standard", "--backbones", "mobilenet:probe:224px"], 7.0),
}


def measure(data: str | None, weights: str | None) -> list[Figure]:
    """Return the ratio of times and both scores for each of our settings.

    Raises:
        BadInput: If DATA or WEIGHTS names no folder that can be used.
        FoldboardError: If the guide's loop fails.
    """
    if not data or not weights:
        raise BadInput("benchmark guide: needs real photos and weights; name DATA=folder and WEIGHTS=folder")
    data, weights = str(Path(data).resolve()), str(Path(weights).resolve())
    with tempfile.TemporaryDirectory() as temporary:
        ours = {name: _ours(Path(temporary, f"{i}"), data, weights, OURS[name][0]) for i, name in enumerate(OURS)}
        folds = next(Path(temporary, "0", "runs", "rare_species").glob("*/folds.csv")).parent
        guide_seconds, guide_score = _guide(folds, data, weights)
    return [
        Figure(
            f"k-fold sweep, {name}",
            guide_seconds / seconds,
            "times as fast as the guide's loop",
            f"macro-F1 {score:.3f} in {seconds:.0f} s, the guide's loop {guide_score:.3f} in {guide_seconds:.0f} s; 5 folds each",
            at_least=OURS[name][1],
        )
        for name, (seconds, score) in ours.items()
    ]


def _ours(folder: Path, data: str, weights: str, options: list[str]) -> tuple[float, float]:
    """Return the seconds of the whole command from cold caches, in a folder of its own, and its out-of-fold score."""
    folder.mkdir()
    place = ["--competition", "rare_species", "--data", data, "--weights", weights]
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "submissions", "submit", *place, *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.monotonic() - began
    manifest = read_json(next(folder.glob("runs/rare_species/*/submissions/*.json")))
    return seconds, float(manifest["cv"]["score"])


def _guide(folds: Path, data: str, weights: str) -> tuple[float, float]:
    """Return the seconds of the guide's loop over all folds and its score, in a process of its own that takes all cores."""
    environment = {name: value for name, value in os.environ.items() if name not in THREAD_COUNTS}
    answer = folds / "guide.json"
    loop = subprocess.run(
        [sys.executable, "-m", "benchmarks.guide_loop", str(folds), data, weights, str(answer)],
        cwd=PROJECT,
        env=environment,
        stderr=subprocess.PIPE,  # TensorFlow greets; what went wrong stands in the last line
        text=True,
        check=False,
    )
    if loop.returncode:
        raise FoldboardError(f"benchmark guide: the guide's loop failed: {loop.stderr.strip().splitlines()[-1]}")
    found = read_json(answer)
    return float(found["seconds"]), float(found["score"])
