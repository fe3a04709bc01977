"""What `python -m tuning` offers: tune, show, report, dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="python -m tuning",
    help="Which settings: search over the same folds, an honest choice at the end, and a recipe for the next plan.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Competition = Annotated[str, typer.Option(help="Name of a competition, or ./file.py of one's own (COMP).")]
Storage = Annotated[
    str | None, typer.Option(help="Optuna storage URL such as postgresql://..., or a journal file (STORAGE).")
]


@app.command()
def tune(
    competition: Competition = "specimens",
    data: Annotated[
        Path | None, typer.Option(help="Folder of the raw files; nothing is written into it (DATA).")
    ] = None,
    data_root: Annotated[Path, typer.Option(help="Where folders are looked for (DATA_ROOT).")] = Path("data"),
    backbones: Annotated[
        str | None, typer.Option(help='Candidates "name[:variant][:fit][:Npx] ..." (BACKBONES).')
    ] = None,
    preset: Annotated[
        str, typer.Option(help="quick, standard or best: the recipe to start from (PRESET).")
    ] = "standard",
    folds: Annotated[int | None, typer.Option(help="Number of folds (FOLDS).")] = None,
    group: Annotated[str | None, typer.Option(help="Column whose rows of one value stay together (GROUP).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of training and of the search (SEED).")] = 0,
    jobs: Annotated[int | None, typer.Option(help="Workers side by side; one a core where not given (JOBS).")] = None,
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Go on without absent photos.")] = False,
    weights: Annotated[str | None, typer.Option(help="Folder of pre-trained weights, or none (WEIGHTS).")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask a network (OFFLINE=1).")] = False,
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16 (PRECISION).")] = None,
    cut: Annotated[str | None, typer.Option(help="Layer that tails are cut at; else it is tuned too (CUT).")] = None,
    cache_gb: Annotated[float, typer.Option(help="Bound on stored features in GB (CACHE_GB).")] = 20.0,
    bank_gb: Annotated[float, typer.Option(help="Bound on the features of one tail in GB (BANK_GB).")] = 8.0,
    trials: Annotated[
        int, typer.Option(help="How many the study shall have finished, pruned or complete (TRIALS).")
    ] = 40,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after this time; the same command goes on (MINUTES).")
    ] = None,
    storage: Storage = None,
    pruner: Annotated[str, typer.Option(help="median or asha (PRUNER).")] = "median",
) -> None:
    """Search for better recipes and decide on other folds; the path of the recipe is the last line."""
    from comp.console import last_line
    from tuning.setup import Settings
    from tuning.tune import tune as run_tune

    last_line(run_tune(Settings(**_of(Settings, locals()))))


@app.command()
def show(
    competition: Competition = "specimens",
    storage: Storage = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the studies of a competition: trials by state, and the best recipe so far."""
    import json

    from comp.console import say
    from comp.registry import load_competition
    from folds.runs import RUNS
    from tuning.show import facts_of, show_studies, studies_of

    studies = studies_of(load_competition(competition).name, storage, RUNS)
    if as_json:
        say(json.dumps([facts_of(study) for study in studies], indent=1, ensure_ascii=False))
    elif studies:
        show_studies(studies)
    else:
        say(f"no study of {competition} here yet; make tune begins one")


@app.command()
def report(
    competition: Competition = "specimens",
    storage: Storage = None,
    study: Annotated[str | None, typer.Option(help="A part of the study's name, where there are several.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the plots (OUT).")] = None,
) -> None:
    """Draw a study: history, slices, parallel coordinates and importance as PNG, and one HTML; its path is the last line."""
    from comp.console import last_line
    from comp.errors import BadInput
    from comp.registry import load_competition
    from folds.runs import RUNS, in_a_path
    from tuning.report import write_report
    from tuning.show import studies_of

    name = load_competition(competition).name
    found = [each for each in studies_of(name, storage, RUNS) if study is None or study in each.study_name]
    if len(found) != 1:
        names = ", ".join(each.study_name for each in found) or "none"
        raise BadInput(
            f"report: expected one study, found {names}; name a part of one with --study, or make tune first"
        )
    _, data8, candidate = found[0].study_name.split("/", 2)
    folder = RUNS / name / data8 / "tuning" / in_a_path(candidate) / "report"
    last_line(write_report(found[0], out or folder))


@app.command()
def results(
    files: Annotated[list[Path], typer.Argument(help="Files below runs/<competition>/<data8>/tuned/.")],
    readme: Annotated[
        Path | None, typer.Option(help="Markdown file to write the table into, between its marks.")
    ] = None,
) -> None:
    """Print the table of tuned recipes against their defaults, or write it into a README, where rows of other candidates stay."""
    from comp.console import last_line, say
    from tuning.results import tuned_table, write_tuned_table

    if readme:
        last_line(write_tuned_table(readme, files))
    else:
        say(tuned_table(files))


@app.command()
def dashboard(
    competition: Competition = "specimens",
    storage: Storage = None,
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 8080,
) -> None:
    """Open the studies in optuna-dashboard, in a browser on this machine; Ctrl-C ends it."""
    from comp.registry import load_competition
    from folds.runs import RUNS
    from tuning.dashboard import serve, storage_to_show

    serve(storage_to_show(load_competition(competition).name, storage, RUNS), port)


def _of(kind: Any, given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in kind.__dataclass_fields__}
