"""What `python -m submissions` offers: the main job, and what is done with finished runs and CSVs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from submissions import bench_cli, notebook_cli
from submissions.kaggle_cli import add_commands

app = typer.Typer(
    name="python -m submissions",
    help="What is handed in: the main job from photos to a checked CSV, and the grading of CSVs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
add_commands(app)
bench_cli.add_commands(app)
notebook_cli.add_commands(app)

Competition = Annotated[str, typer.Option(help="Name of a competition, or ./file.py of one's own (COMP).")]
Data = Annotated[Path | None, typer.Option(help="Folder of the raw files; nothing is written into it (DATA).")]
DataRoot = Annotated[Path, typer.Option(help="Where folders are looked for when DATA is not given (DATA_ROOT).")]
Backbones = Annotated[str | None, typer.Option(help='Candidates "name[:variant][:fit][:Npx] ..." (BACKBONES).')]
Preset = Annotated[str, typer.Option(help="quick, standard or best: about 4, 15 or 60 minutes a candidate (PRESET).")]
Folds = Annotated[int | None, typer.Option(help="Number of folds; the competition's own where not given (FOLDS).")]
Seed = Annotated[int, typer.Option(help="Seed of training; the folds stay (SEED).")]
Seeds = Annotated[int, typer.Option(help="Train every candidate this many times, on the same folds (SEEDS).")]
Repeats = Annotated[int, typer.Option(help="Do it all over this many fold assignments; show the spread (REPEATS).")]
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
Phylum = Annotated[str, typer.Option(help="The condition column: auto, no, decode, input or split (PHYLUM).")]
Bags = Annotated[int, typer.Option(help="Try greedy selection in this many bags too; 0: without (BAGS).")]
With = Annotated[str | None, typer.Option("--with", help='Admitted outside predictions "name ..." (WITH).')]
Data8 = Annotated[str | None, typer.Option(help="Which fold table, where a competition has several here.")]
Lexicon = Annotated[str, typer.Option(help="Words of transcripts: auto, no, or a file, one a line (LEXICON).")]
Tuned = Annotated[str, typer.Option(help="yes, or no: leave out what tuning found (TUNED).")]
Readme = Annotated[Path | None, typer.Option(help="Markdown file whose marks the table is written between, too.")]
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
    repeats: Repeats = 1,
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
    phylum: Phylum = "auto",
    bags: Bags = 0,
    with_runs: With = None,
    tuned: Tuned = "yes",
    lexicon: Lexicon = "auto",
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
    repeats: Repeats = 1,
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
    phylum: Phylum = "auto",
    bags: Bags = 0,
    with_runs: With = None,
    tuned: Tuned = "yes",
    lexicon: Lexicon = "auto",
) -> None:
    """Do the same up to the out-of-fold tables, and write no CSV; the folder of the runs is the last line."""
    from comp.console import last_line
    from submissions.submit import train as run_train

    last_line(run_train(_settings(locals())))


@app.command()
def grade(file: Path, answers: Path, competition: Competition = "specimens") -> None:
    """Score a CSV against answers with the competition's metrics; a malformed file is refused with its first bad row."""
    from comp.console import say
    from comp.registry import load_competition
    from submissions.grade import grade as run_grade
    from submissions.grade import grade_line

    say(grade_line(run_grade(file, answers, load_competition(competition))))


@app.command("add-run")
def add_run(
    name: Annotated[str, typer.Argument(help="What the predictions are called from now on.")],
    oof: Annotated[Path, typer.Option(help="CSV of the train rows: id, one column a class, perhaps `fold`.")],
    test: Annotated[Path, typer.Option(help="CSV of the test rows: id, one column a class.")],
    competition: Competition = "specimens",
    data8: Data8 = None,
    trust: Annotated[bool, typer.Option("--trust", help="Admit it although one fold looks trained on.")] = False,
) -> None:
    """Admit predictions of another tool beside our runs, after the same checks; take them with `submit --with NAME`."""
    from comp.console import last_line, say
    from submissions.outside import add_run as run_add_run
    from submissions.stored import find_dataset

    record = _of_classes(competition, "add-run")
    found = run_add_run(name, oof, test, find_dataset(record.name, data8), record.id_column, trust)
    say(f"{found.n_rows} train rows and {found.n_test} test rows admitted, folds {found.folds}")
    say(f"take them into the ensemble: make submit WITH={name}")
    last_line(found.folder)


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="A candidate, or a run in full: all seeds of its recipe.")],
    b: Annotated[str, typer.Argument(help="What is held against it.")],
    competition: Competition = "specimens",
    data8: Data8 = None,
    metric: Annotated[str | None, typer.Option(help="A metric; the competition's own where not given.")] = None,
) -> None:
    """Tell whether B is really better than A: over the same rows, and over training seeds where both have several."""
    from submissions.compare import compare_runs
    from submissions.stored import view_dataset

    record = _of_classes(competition, "compare")
    compare_runs(view_dataset(record.name, data8), a, b, metric or record.metric)


@app.command()
def leaderboard(competition: Competition = "specimens", data8: Data8 = None) -> None:
    """List runs and CSVs by CV with intervals, test and Kaggle scores; what the top one does not beat is marked."""
    from comp.console import last_line
    from comp.registry import load_competition
    from submissions.leaderboard import leaderboard as run_leaderboard
    from submissions.leaderboard import show_leaderboard
    from submissions.stored import view_dataset

    record = load_competition(competition)
    dataset = view_dataset(record.name, data8)
    last_line(show_leaderboard(run_leaderboard(dataset, record), dataset, record))


@app.command()
def scores(
    file: Annotated[Path, typer.Argument(help="A CSV that this project wrote, its manifest beside it.")],
) -> None:
    """Show where a CSV's ensemble is good and where not, by phylum and by family; the table of families is the last line."""
    from comp.console import last_line
    from submissions.tables import score_tables

    last_line(score_tables(file))


@app.command()
def suspects(
    competition: Competition = "specimens",
    data: Data = None,
    data_root: DataRoot = Path("data"),
    file: Annotated[Path | None, typer.Option(help="CSV whose ensemble judges; the newest where not given.")] = None,
    data8: Data8 = None,
    jobs: Jobs = None,
    allow_missing: AllowMissing = False,
) -> None:
    """List the rows most likely mislabelled, and how alike train and test are; the last line is a sheet of photos."""
    from comp.console import last_line
    from comp.engine import open_engine
    from comp.sources import find_source
    from comp.tables import read_tables
    from submissions.stored import view_dataset
    from submissions.suspects import newest_csv
    from submissions.suspects import suspects as run_suspects

    record = _of_classes(competition, "suspects")
    judge = file or newest_csv(view_dataset(record.name, data8))
    tables = read_tables(record, find_source(record, data, data_root).folder, allow_missing)
    last_line(run_suspects(judge, tables, open_engine("local", jobs)))


@app.command()
def ablate(competition: Competition = "specimens", data8: Data8 = None, readme: Readme = None) -> None:
    """Show what the condition column (the phylum) is worth to each finished run, with paired intervals."""
    from comp.console import last_line
    from submissions.ablate import ablate as run_ablate
    from submissions.ablate import show_ablation
    from submissions.stored import view_dataset

    record = _of_classes(competition, "ablate")
    dataset = view_dataset(record.name, data8)
    last_line(show_ablation(run_ablate(dataset, record), dataset, record, readme))


@app.command()
def methods(
    file: Annotated[Path, typer.Argument(help="A CSV that this project wrote, its manifest beside it.")],
    readme: Readme = None,
) -> None:
    """Show how a CSV's ensemble was chosen: each method's naive and nested score, their gap, and the steps that were kept."""
    from comp.console import last_line
    from submissions.methods import show_methods

    last_line(show_methods(file, readme))


@app.command()
def unseen(
    group: Annotated[str, typer.Argument(help="Column that folds are grouped by, such as the species (GROUP).")],
    competition: Competition = "specimens",
    metric: Annotated[str | None, typer.Option(help="A metric; the competition's own where not given.")] = None,
) -> None:
    """Show what recipes score on seen and on unseen groups, where they were trained over plain and over grouped folds."""
    from comp.console import last_line
    from submissions.species import show_seen_unseen

    record = _of_classes(competition, "unseen")
    last_line(show_seen_unseen(record, group, metric or record.metric))


@app.command()
def predict(
    images: Annotated[Path, typer.Option(help="Folder of photos, or a CSV with a column path (IMAGES).")],
    competition: Competition = "specimens",
    file: Annotated[
        Path | None, typer.Option(help="CSV whose ensemble answers, or a run's folder; the last CSV (FILE).")
    ] = None,
    weights: Weights = None,
    top: Annotated[int, typer.Option(help="Name so many classes, with probabilities (TOP).")] = 1,
    phylum: Annotated[str | None, typer.Option(help="What is known of all photos, such as the phylum.")] = None,
    jobs: Jobs = None,
    out: Annotated[Path, typer.Option(help="Where the answers are wanted (OUT).")] = Path("predictions.csv"),
) -> None:
    """Answer new photos with a finished ensemble; the path of the answers is the last line."""
    from comp.console import last_line
    from comp.engine import open_engine
    from comp.registry import load_competition
    from submissions.predict import answer, find_photos, newest_csv, write_answers
    from submissions.write import check_out

    out = check_out(out)
    record = load_competition(competition)
    photos = find_photos(images, record, phylum)
    if record.task == "transcribe":
        from submissions.read_words import read_words

        last_line(read_words(photos, record, file or newest_csv(record.name), open_engine("local", jobs), top, out))
        return
    classes, table = answer(photos, record, file or newest_csv(record.name), weights, open_engine("local", jobs))
    last_line(write_answers(photos, record, classes, table, top, out))


@app.command()
def report(
    competition: Competition = "specimens",
    data: Data = None,
    data_root: DataRoot = Path("data"),
    data8: Data8 = None,
    file: Annotated[Path | None, typer.Option(help="CSV it is about; the newest where not given (FILE).")] = None,
    ledger: Annotated[Path, typer.Option(help="The record of uploads (LEDGER).")] = Path("runs/ledger.csv"),
    weights: Weights = None,
    jobs: Jobs = None,
    out: Annotated[Path | None, typer.Option(help="Where the page is wanted; plots go beside it (OUT).")] = None,
) -> None:
    """Write one HTML file on data, method and results from what is stored; its path is the last line."""
    from comp.console import last_line
    from comp.engine import open_engine
    from comp.registry import load_competition
    from submissions.report.make import Wishes, make_report
    from submissions.stored import view_dataset

    record = load_competition(competition)
    wishes = Wishes(data=data, data_root=data_root, file=file, ledger=ledger, weights=weights, out=out)
    last_line(make_report(view_dataset(record.name, data8), record, wishes, open_engine("local", jobs)))


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A CSV that this project wrote, its manifest beside it.")],
) -> None:
    """Make a CSV again from the stored predictions that its manifest names, and compare the hash."""
    from comp.console import last_line, say
    from submissions.verify import verify as run_verify

    found = run_verify(file)
    say(f"{found.n_rows} rows of {found.n_runs} runs made again: the same bytes, sha256 {found.sha256}")
    say(f"nested {found.metric} {found.cv:.4f}, as recorded")
    last_line(file)


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


def _of_classes(competition: str, command: str) -> Any:
    """Return the competition; one that asks for transcripts is refused, because the command works on classes."""
    from comp.registry import load_competition
    from comp.tasks import refuse_transcripts

    record = load_competition(competition)
    refuse_transcripts(record, command)
    return record


def _settings(given: dict[str, Any]) -> Any:
    from submissions.plan import Settings

    return Settings(**{name: value for name, value in given.items() if name in Settings.__dataclass_fields__})
