"""How the ensemble of a CSV was chosen, from its manifest: every method's naive and nested score, their gap, the steps kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comp.console import say, show_table
from comp.errors import BadInput
from comp.marks import Marks, markdown
from submissions.stored import read_manifest

MARKS = Marks(
    "<!-- ensembles: written by `python -m submissions methods FILE.csv --readme README.md` -->",
    "<!-- end of ensembles -->",
)
COLUMNS = ["method", "naive", "nested", "gap", "nested, against the simple one"]


def show_methods(file: Path, readme: Path | None) -> Path:
    """Print the methods of a CSV and what was taken, write them into a Markdown file where one is named; return what was made.

    Returns:
        The Markdown file, or the CSV where none is named.

    Raises:
        BadInput: If the CSV has no manifest, it is of an older version, or the Markdown file lacks the marks.
    """
    if readme is not None:
        MARKS.check(readme)
    manifest = read_manifest(file)
    rows, lines = methods_table(manifest, str(file)), methods_lines(manifest)
    show_table(f"{manifest['competition']}, {manifest['metric']} out-of-fold of {_n_runs(manifest)}", COLUMNS, rows)
    for line in lines:
        say(line)
    if readme is None:
        return file
    return MARKS.write(readme, "\n\n".join([markdown([_title(manifest), *COLUMNS[1:]], _bold(rows, manifest)), *lines]))


def methods_table(manifest: Mapping[str, Any], what: str) -> list[list[str]]:
    """Return a row for each method that was judged: its scores, their gap, and its gain over the simple method taken as base.

    Raises:
        BadInput: If the manifest does not hold them, being of an older version.
    """
    judged = manifest.get("ensemble", {}).get("judged", [])
    if not judged or "error" not in judged[0]:
        raise BadInput(f"{what}: its manifest does not say what each method scored; run the command in it again")
    return [
        [
            one["method"],
            f"{one['naive']:.4f}",
            f"{one['nested']:.4f}",
            f"{one['gap']:+.4f}",
            f"{one['gain']:+.4f} ± {one['error']:.4f}" if one["error"] else "",
        ]
        for one in judged
    ]


def methods_lines(manifest: Mapping[str, Any]) -> list[str]:
    """Return what was taken and why, the steps of post-processing that were kept, and the score of it all, one line each."""
    ensemble, cv = manifest["ensemble"], manifest["cv"]
    kept = [f"{one['step']} ({one['gain']:+.4f} ± {one['error']:.4f})" for one in ensemble["tried"] if one["kept"]]
    left_out = [f"{one['step']} ({one['gain']:+.4f})" for one in ensemble["tried"] if not one["kept"]]
    steps = [f"Post-processing kept: {', '.join(kept) or 'none'}; left out: {', '.join(left_out) or 'none'}."]
    total = (
        f"Nested {manifest['metric']} of what is handed in: {cv['score']:.4f} ({cv['low']:.4f} to {cv['high']:.4f})."
    )
    return [f"{_sentence(ensemble['reason'])}", *(steps if ensemble["tried"] else []), total]


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _n_runs(manifest: Mapping[str, Any]) -> str:
    n_runs = len(manifest["runs"])
    return f"{n_runs} run{'s' * (n_runs > 1)}"


def _title(manifest: Mapping[str, Any]) -> str:
    return f"{manifest['metric']} of {_n_runs(manifest)}"


def _bold(rows: list[list[str]], manifest: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows with the method that was taken in bold."""
    taken = manifest["ensemble"]["method"]
    return [[f"**{name}**" if name == taken else name, *others] for name, *others in rows]
