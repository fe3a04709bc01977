"""What `python -m submissions` offers to code competitions: notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def notebook(
    competition: Annotated[str, typer.Option(help="Name of a competition, or ./file.py of one's own (COMP).")],
    run: Annotated[str | None, typer.Option(help="CSV, its hash8, or a run's folder; the last CSV (RUN).")] = None,
    weights: Annotated[str | None, typer.Option(help="Folder of pre-trained weights (WEIGHTS).")] = None,
    owner: Annotated[str | None, typer.Option(help="Name of the Kaggle account, for the metadata (OWNER).")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder; notebooks/<competition>-<hash8> (OUT).")] = None,
) -> None:
    """Pack an ensemble as a Kaggle data set, with a notebook that answers photos offline: its path is the last line."""
    from comp.backend import prepare_environment
    from comp.console import last_line
    from comp.registry import load_competition

    prepare_environment()  # before Keras is imported: its chatter is not for the person
    from submissions.notebook import make_notebook

    last_line(make_notebook(load_competition(competition), competition, run, weights, owner, out))


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line of submissions."""
    app.command()(notebook)
