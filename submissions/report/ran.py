"""The report's last section: what was run, with which versions and seeds, how long it took, what it left on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comp.images import CACHE
from comp.store import read_marker
from folds.cv import commit, library_versions
from folds.dataset import Dataset
from folds.runs import fold_dir, read_run
from submissions.report.words import duration, size
from submissions.stored import is_outside


def ran_facts(dataset: Dataset, manifest: dict[str, Any], runs: list[Path], report_command: str) -> dict[str, Any]:
    """Return what the template tells of the work: commands, versions, seeds, times, disk.

    Args:
        manifest: Of the CSV that the report is about; empty where it is about a run.
    """
    ours = [run for run in runs if not is_outside(run)]
    rows = [_run(run, dataset) for run in ours]
    total = sum(_seconds(run, dataset) for run in ours)
    return {
        "command": manifest.get("command", ""),
        "command_time": duration(manifest["command_seconds"]) if "command_seconds" in manifest else "",
        "report_command": report_command,
        "written": manifest.get("written", ""),
        "commit": manifest.get("commit") or commit(),
        "sha256": manifest.get("sha256", ""),
        "preset": manifest.get("preset", ""),
        "jobs": manifest.get("jobs", ""),
        "versions": manifest.get("versions") or library_versions(),
        "seeds": sorted({str(read_run(run)["key_parts"]["seed"]) for run in ours}),
        "fold_seed": dataset.facts["fold_seed"],
        "data8": dataset.data8,
        "runs": rows,
        "total": duration(total),
        "disk": _disk(dataset),
    }


def _run(run: Path, dataset: Dataset) -> list[str]:
    facts = read_run(run)
    parts = facts["key_parts"]
    begun = str(facts.get("begun", ""))
    return [
        run.name,
        str(parts["seed"]),
        f"{parts['backend']}, {parts['threads']} thread",
        begun,
        duration(_seconds(run, dataset)),
        size(bytes_below(run)),
    ]


def _seconds(run: Path, dataset: Dataset) -> float:
    markers = [read_marker(fold_dir(run, k)) or {} for k in range(dataset.n_folds)]
    return float(sum(marker.get("seconds", 0.0) for marker in markers))


def _disk(dataset: Dataset) -> list[tuple[str, str]]:
    places = {
        "runs over these folds": dataset.folder,
        "image cache": CACHE / "images",
        "feature bank": CACHE / "features",
    }
    return [(name, size(bytes_below(place))) for name, place in places.items() if place.is_dir()]


def bytes_below(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
