"""The results table of the README, written by a command from the manifests of the CSVs that are named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comp.errors import BadInput
from comp.marks import Marks, markdown
from comp.store import read_json
from comp.typed import portable

MARKS = Marks("<!-- results: written by `make results` -->", "<!-- end of results -->")
COLUMNS = [
    "competition",
    "rows",
    "classes",
    "candidates",
    "out-of-fold macro-F1, 95 % interval",
    "test",
    "time",
    "command",
]


def _manifest(file: Path) -> dict[str, Any]:
    path = file.with_suffix(".json")
    if not path.is_file():
        raise BadInput(f"{path} is not there: results are read from the manifest beside a CSV that this project wrote")
    found: dict[str, Any] = read_json(path)
    return found


def _row(manifest: dict[str, Any]) -> list[str]:
    cv, test, metric = manifest["cv"], manifest["test"], manifest["metric"]
    runs = [
        ":".join(str(run[name]) for name in ("backbone", "variant", "fit"))
        + (f":{run['pixels']}px" if run["pixels"] else "")
        for run in manifest["runs"]
    ]
    return [
        manifest["competition"],
        f"{manifest['n_train']:,} + {manifest['n_test']:,}",
        str(manifest["n_classes"]),
        "<br>".join(runs),
        f"**{cv['score']:.3f}** ({cv['low']:.3f} to {cv['high']:.3f})",
        f"{test[metric]:.3f}" if test else "not known here",
        f"{manifest['command_seconds'] / 60:.1f} min, {manifest['jobs']} jobs",
        f"`{portable(manifest['command'])}`",
    ]


def write_results(readme: Path, files: Sequence[Path]) -> Path:
    """Put a row for each CSV, from its manifest, between the two marks of a Markdown file and return the file's path.

    It takes the place of an older row of the same command; rows of other commands stay.

    Raises:
        BadInput: If a CSV has no manifest beside it, or the Markdown file lacks the marks.
    """
    rows = [*MARKS.rows(readme, COLUMNS), *(_row(_manifest(file)) for file in files)]
    return MARKS.write(readme, markdown(COLUMNS, list({row[-1]: row for row in rows}.values())))
