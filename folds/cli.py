"""What `python -m folds` offers: assign, clean-runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="python -m folds",
    help="How well it generalises: assign folds, look at them, throw runs away.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def assign(
    competition: Annotated[str, typer.Option(help="Name of a competition, or ./file.py (COMP).")] = "specimens",
    data: Annotated[Path | None, typer.Option(help="Folder of the raw files (DATA).")] = None,
    data_root: Annotated[Path, typer.Option(help="Where folders are looked for (DATA_ROOT).")] = Path("data"),
    folds: Annotated[int | None, typer.Option(help="Number of folds (FOLDS).")] = None,
    group: Annotated[str | None, typer.Option(help="Column whose rows of one value stay together (GROUP).")] = None,
    jobs: Annotated[int | None, typer.Option(help="Jobs side by side (JOBS).")] = None,
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Go on without absent photos.")] = False,
) -> None:
    """Read the photos, assign the folds once and show them; the path of the fold table is the last line."""
    from comp.console import last_line
    from comp.engine import open_engine
    from folds.prepare import fold_table, read_competition, read_photos, show_folds

    tables, n_folds = read_competition(competition, data, data_root, folds, group, allow_missing)
    photos = read_photos(tables, [], open_engine("local", jobs))
    dataset = fold_table(tables, photos, n_folds)
    show_folds(dataset)
    last_line(dataset.folder / "folds.csv")


@app.command("clean-runs")
def clean_runs(
    competition: Annotated[str, typer.Option(help="Name of a competition, or ./file.py (COMP).")] = "specimens",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask (YES=1).")] = False,
) -> None:
    """Throw away a competition's trained runs, after asking; CSVs, their manifests and the ledger are never deleted."""
    from comp.console import say
    from comp.registry import load_competition
    from folds.runs import run_folders

    name = load_competition(competition).name
    runs = run_folders(name)
    n_bytes = sum(path.stat().st_size for run in runs for path in run.rglob("*") if path.is_file())
    if not runs:
        say(f"no runs of {name} here")
        return
    say(f"{len(runs)} runs of {name}, {n_bytes / 1e6:,.1f} MB; CSVs, manifests, fold tables and the ledger stay")
    if yes or typer.confirm("throw these runs away?", default=False):
        for run in runs:
            shutil.rmtree(run)
        say(f"{len(runs)} runs thrown away")
    else:
        say("nothing was deleted")
