"""What `python -m comp` offers: inspect, new, measure, data, clean."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="python -m comp",
    help="What is competed in: look at a competition's data, write a competition file, empty the cache.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def inspect(
    competition: Annotated[str, typer.Option(help="Name of a competition, or ./file.py (COMP).")] = "specimens",
    data: Annotated[Path | None, typer.Option(help="Folder of the raw files (DATA).")] = None,
    data_root: Annotated[Path, typer.Option(help="Where folders are looked for (DATA_ROOT).")] = Path("data"),
    jobs: Annotated[int | None, typer.Option(help="Jobs side by side (JOBS).")] = None,
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Go on without absent photos.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the contact sheet (OUT).")] = None,
) -> None:
    """Show counts by class and phylum, sizes, modes, unreadable files and twins; the last line is a contact sheet."""
    from comp.console import last_line
    from comp.engine import open_engine
    from comp.inspect import inspect as run_inspect
    from comp.registry import load_competition
    from comp.sources import find_source
    from comp.tables import read_tables

    record = load_competition(competition)
    tables = read_tables(record, find_source(record, data, data_root).folder, allow_missing)
    last_line(run_inspect(tables, open_engine("local", jobs), out or Path("runs") / record.name / "inspect"))


@app.command()
def new(
    data: Annotated[Path, typer.Option(help="Folder to look at: class folders, or a CSV with photos (DATA).")],
    out: Annotated[Path | None, typer.Option(help="Where the competition file is wanted (OUT).")] = None,
) -> None:
    """Look at a folder, say what was seen, and write a competition file for it; its path is the last line."""
    from comp.console import last_line, say
    from comp.scaffold import describe, write_competition

    for line in describe(data).lines:
        say(line)
    last_line(write_competition(data, out))


@app.command()
def measure(
    backbone: Annotated[str, typer.Argument(help="Name of a backbone, such as resnet.")],
    variant: Annotated[str | None, typer.Option(help="Its published name; the default one where not given.")] = None,
    pixels: Annotated[int | None, typer.Option(help="Side of the photos.")] = None,
) -> None:
    """Measure a backbone on one core in float32 and bfloat16: the figures behind the facts in its file."""
    from comp.backend import prepare_environment

    prepare_environment()
    from comp.console import show_table
    from comp.measure import measure as run_measure
    from comp.measure import rows

    head = ["use", "float32, ms a photo", "bfloat16", "times as fast", "its file says", ""]
    show_table(f"{backbone}, one core", head, rows(run_measure(backbone, variant, pixels)))


@app.command()
def data(
    competition: Annotated[str, typer.Option(help="Name of a competition, or ./file.py (COMP).")],
    data_root: Annotated[Path, typer.Option(help="Below which data/<competition> is made (DATA_ROOT).")] = Path("data"),
) -> None:
    """Download and unpack a competition's raw files, where they are not there yet; their folder is the last line."""
    from comp.console import last_line
    from comp.data import get_data
    from comp.registry import load_competition

    last_line(get_data(load_competition(competition), data_root))


@app.command()
def clean() -> None:
    """Empty cache/ and say how much it held; runs, CSVs and the ledger are not touched."""
    from comp.console import say
    from comp.images import CACHE

    files = [path for path in CACHE.rglob("*") if path.is_file()] if CACHE.is_dir() else []
    n_bytes = sum(path.stat().st_size for path in files)
    shutil.rmtree(CACHE, ignore_errors=True)
    say(f"{CACHE}/ emptied: {n_bytes / 1e6:,.1f} MB in {len(files):,} files; the next run makes again what it needs")
