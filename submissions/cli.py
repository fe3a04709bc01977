"""What `python -m submissions` offers: submit, train, grade, check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="python -m submissions",
    help="What is handed in: the main job from photos to a checked CSV, and the grading of CSVs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Competition = Annotated[str, typer.Option(help="Name of a competition, or ./file.py of one's own (COMP).")]
Data = Annotated[Path | None, typer.Option(help="Folder of the raw files; nothing is written into it (DATA).")]
DataRoot = Annotated[Path, typer.Option(help="Where folders are looked for when DATA is not given (DATA_ROOT).")]
Backbones = Annotated[str | None, typer.Option(help='Candidates "name[:variant][:fit][:Npx] ..." (BACKBONES).')]
Preset = Annotated[str, typer.Option(help="quick, standard or best: about 4, 15 or 60 minutes a candidate (PRESET).")]
Folds = Annotated[int | None, typer.Option(help="Number of folds; the competition's own where not given (FOLDS).")]
Seed = Annotated[int, typer.Option(help="Seed of training; the folds stay (SEED).")]
Seeds = Annotated[int, typer.Option(help="Train every candidate this many times, on the same folds (SEEDS).")]
Jobs = Annotated[int | None, typer.Option(help="Jobs side by side; one a core where not given (JOBS).")]
Engine = Annotated[str, typer.Option(help="local, inline, or the address of a Dask scheduler (ENGINE).")]
Group = Annotated[str | None, typer.Option(help="Column whose rows of one value stay in one fold (GROUP).")]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="Go on without photos that are named but absent.")]
Weights = Annotated[str | None, typer.Option(help="Folder of pre-trained weights; none: train from scratch (WEIGHTS).")]
Offline = Annotated[bool, typer.Option("--offline", help="Never ask a network (OFFLINE=1).")]
Precision = Annotated[str | None, typer.Option(help="fp32 or bf16, instead of what pays here (PRECISION).")]
Cut = Annotated[str | None, typer.Option(help="Layer that tails are cut at (CUT).")]
CacheGb = Annotated[float, typer.Option(help="Bound on stored features in GB; the oldest go first (CACHE_GB).")]
BankGb = Annotated[float, typer.Option(help="Bound on the features of one tail in GB (BANK_GB).")]
Tuned = Annotated[str, typer.Option(help="yes, or no: leave out what tuning found (TUNED).")]
Out = Annotated[Path | None, typer.Option(help="Where a copy of the CSV and its manifest is wanted (OUT).")]


@app.command()
def submit(
    competition: Competition = "specimens",
    data: Data = None,
    data_root: DataRoot = Path("data"),
    backbones: Backbones = None,
    preset: Preset = "standard",
    folds: Folds = None,
    seed: Seed = 0,
    seeds: Seeds = 1,
    jobs: Jobs = None,
    engine: Engine = "local",
    group: Group = None,
    allow_missing: AllowMissing = False,
    weights: Weights = None,
    offline: Offline = False,
    precision: Precision = None,
    cut: Cut = None,
    cache_gb: CacheGb = 20.0,
    bank_gb: BankGb = 8.0,
    tuned: Tuned = "yes",
    out: Out = None,
) -> None:
    """Run the whole job: photos in, checked CSV out; its path is the last line."""
    from comp.console import last_line
    from submissions.submit import submit as run_submit

    last_line(run_submit(_settings(locals())))


@app.command()
def train(
    competition: Competition = "specimens",
    data: Data = None,
    data_root: DataRoot = Path("data"),
    backbones: Backbones = None,
    preset: Preset = "standard",
    folds: Folds = None,
    seed: Seed = 0,
    seeds: Seeds = 1,
    jobs: Jobs = None,
    engine: Engine = "local",
    group: Group = None,
    allow_missing: AllowMissing = False,
    weights: Weights = None,
    offline: Offline = False,
    precision: Precision = None,
    cut: Cut = None,
    cache_gb: CacheGb = 20.0,
    bank_gb: BankGb = 8.0,
    tuned: Tuned = "yes",
) -> None:
    """Do the same up to the out-of-fold tables, and write no CSV; the folder of the runs is the last line."""
    from comp.console import last_line
    from submissions.ensemble import equal_mean
    from submissions.submit import result_lines, show_results, train_all

    plan, dataset, predictions = train_all(_settings(locals()))
    show_results(plan, result_lines(plan, dataset, predictions, equal_mean(predictions)))
    last_line(dataset.folder)


@app.command()
def grade(file: Path, answers: Path, competition: Competition = "specimens") -> None:
    """Score a CSV against answers with the competition's metrics; a malformed file is refused with its first bad row."""
    from comp.console import say
    from comp.registry import load_competition
    from submissions.grade import grade as run_grade
    from submissions.grade import grade_line

    say(grade_line(run_grade(file, answers, load_competition(competition))))


@app.command()
def results(
    files: Annotated[
        list[Path], typer.Argument(help="CSVs that this project wrote, with their manifests beside them.")
    ],
    readme: Annotated[Path, typer.Option(help="Markdown file with the two marks.")] = Path("README.md"),
) -> None:
    """Write the results table of the README from manifests; the README's path is the last line."""
    from comp.console import last_line
    from submissions.results import write_results

    last_line(write_results(readme, files))


def _settings(given: dict[str, Any]) -> Any:
    from submissions.plan import Settings

    return Settings(**{name: value for name, value in given.items() if name in Settings.__dataclass_fields__})
