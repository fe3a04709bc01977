"""The commands of the benchmark tracks, added to `python -m submissions`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def bench(
    tracks: Annotated[
        str | None, typer.Option(help='Tracks or competitions "a b"; all where not given (TRACKS).')
    ] = None,
    preset: Annotated[str, typer.Option(help="quick, standard or best (PRESET).")] = "quick",
    data_root: Annotated[Path, typer.Option(help="Holds a folder a competition (DATA_ROOT).")] = Path("data"),
    weights: Annotated[str | None, typer.Option(help="Folder of pre-trained weights, or none (WEIGHTS).")] = None,
    backbones: Annotated[str | None, typer.Option(help="Candidates instead of the tracks' own (BACKBONES).")] = None,
    folds: Annotated[int | None, typer.Option(help="Number of folds (FOLDS).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of training (SEED).")] = 0,
    jobs: Annotated[int | None, typer.Option(help="Jobs side by side (JOBS).")] = None,
    engine: Annotated[str, typer.Option(help="Where jobs run (ENGINE).")] = "local",
    offline: Annotated[bool, typer.Option("--offline", help="Never ask a network (OFFLINE=1).")] = False,
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16 (PRECISION).")] = None,
    readme: Annotated[Path | None, typer.Option(help="Markdown file whose table is written too.")] = None,
) -> None:
    """Score the benchmark tracks whose data are there, beside published numbers; the table's CSV is the last line.

    What tuning found is left out.
    """
    from comp.console import last_line
    from comp.errors import BadInput
    from submissions.bench import MISSING, bench
    from submissions.bench_table import MARKS, write_bench_table
    from submissions.plan import PRECISIONS, Settings

    if readme is not None:
        MARKS.check(readme)  # now, not after hours

    if precision is not None and precision not in {*PRECISIONS, *PRECISIONS.values()}:
        raise BadInput(f"PRECISION={precision}: expected one of {', '.join([*PRECISIONS, *PRECISIONS.values()])}")
    settings = Settings(
        data_root=data_root,
        backbones=backbones,
        preset=preset,
        folds=folds,
        seed=seed,
        jobs=jobs,
        engine=engine,
        weights=weights,
        offline=offline,
        precision=PRECISIONS.get(precision or "", precision),
    )
    outcome = bench(tracks, settings)
    if outcome.path is not None:
        if readme is not None:
            write_bench_table(readme, [outcome.path])
        last_line(outcome.path)
    if outcome.path is None:
        why = "none of their data are there" if outcome.status == MISSING else "each of them failed"
        typer.echo(f"error: no track could be run: {why}; see the lines above", err=True)
    if outcome.status:
        raise typer.Exit(outcome.status)


def bench_table(
    files: Annotated[list[Path], typer.Argument(help="CSV files that `bench` wrote, their .json beside them.")],
    readme: Annotated[Path, typer.Option(help="Markdown file with the two marks.")] = Path("README.md"),
) -> None:
    """Write the README's table of tracks from what `bench` wrote; the README's path is the last line."""
    from comp.console import last_line
    from submissions.bench_table import write_bench_table

    last_line(write_bench_table(readme, files))


def add_commands(app: typer.Typer) -> None:
    """Put `bench` and `bench-table` into a command line."""
    app.command()(bench)
    app.command("bench-table")(bench_table)
