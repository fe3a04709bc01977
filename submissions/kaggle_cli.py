"""What `python -m submissions` offers towards Kaggle: upload, ledger, kaggle-doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Competition = Annotated[str, typer.Option(help="Name of a competition, or ./file.py of one's own (COMP).")]
Ledger = Annotated[Path, typer.Option(help="The record of uploads (LEDGER).")]
Data = Annotated[Path | None, typer.Option(help="Folder of the raw files, to check a CSV of elsewhere (DATA).")]
DataRoot = Annotated[Path, typer.Option(help="Where folders are looked for when DATA is not given (DATA_ROOT).")]
DEFAULT_LEDGER = Path("runs") / "ledger.csv"


def upload(
    competition: Competition,
    file: Annotated[Path | None, typer.Option(help="The CSV; the last of make submit where not given (FILE).")] = None,
    message: Annotated[str, typer.Option(help="Shown beside the submission on Kaggle (MESSAGE).")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Send without asking (YES=1).")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do all but send (DRY_RUN=1).")] = False,
    again: Annotated[bool, typer.Option("--again", help="Send the same file once more (AGAIN=1).")] = False,
    ledger: Ledger = DEFAULT_LEDGER,
    data: Data = None,
    data_root: DataRoot = Path("data"),
) -> None:
    """Check a CSV, ask, hand it in to Kaggle at most once, wait for its score; the ledger's path is the last line."""
    from comp.console import last_line
    from comp.kaggle_client import Kaggle
    from comp.registry import load_competition
    from submissions.outgoing import prepare, template_path
    from submissions.upload import Wishes, hand_in

    record = load_competition(competition)
    outgoing = prepare(record, file, template=template_path(record, data, data_root))
    hand_in(outgoing, Kaggle(), Wishes(message=message, yes=yes, dry_run=dry_run, again=again, ledger=ledger))
    last_line(ledger)


def ledger(
    competition: Competition,
    ledger: Ledger = DEFAULT_LEDGER,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask Kaggle for scores (OFFLINE=1).")] = False,
) -> None:
    """Show the submissions with their scores, refreshed; the last line is a plot of CV against LB, or the ledger."""
    from comp.console import last_line
    from comp.registry import load_competition
    from submissions.scatter import write_scatter
    from submissions.standing import refresh, show_ledger

    record = load_competition(competition)
    if not offline:
        refresh(ledger, record)
    found = show_ledger(ledger, record)
    plot = write_scatter(ledger.parent / record.name / "cv_and_lb.svg", f"{record.name}: {record.metric}", found)
    if plot or ledger.is_file():
        last_line(plot or ledger)


def kaggle_doctor(
    competition: Annotated[str | None, typer.Option(help="Ask about this competition, too (COMP).")] = None,
) -> None:
    """Say what would work towards Kaggle and what not: credentials, network, rules, limits; nothing is sent."""
    from comp.registry import load_competition
    from submissions.doctor import examine

    failure = examine(load_competition(competition) if competition else None)
    if failure is not None:
        raise failure


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line of submissions."""
    app.command()(upload)
    app.command()(ledger)
    app.command("kaggle-doctor")(kaggle_doctor)
