"""What Kaggle says of a submission: waited for, shown, and appended to the ledger where it is new."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from comp.console import console, say
from comp.errors import RemoteError
from comp.kaggle_client import Kaggle
from comp.patience import waits
from submissions.ledger import Event, append


def wait_for_score(created: Event, kaggle: Kaggle, ledger: Path) -> Event:
    """Wait until Kaggle has scored a submission, write that down, show it, and return the event.

    Raises:
        RemoteError: If Kaggle refuses the file; its description is the line.
    """
    if created.event == "scored":
        say(score_line(created))
        return created
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    out = console()
    if not out.is_terminal:
        say("waiting for the score")
    columns = SpinnerColumn(), TextColumn("waiting for the score"), TimeElapsedColumn()
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        bar.add_task("")
        for pause in [*waits(kaggle.patience.poll, kaggle.patience.score), 0.0]:
            event = refreshed(created, kaggle, ledger)
            if event.event in ("scored", "failed"):
                break
            time.sleep(pause)
    if event.event == "failed":
        raise RemoteError(f"Kaggle refuses submission {event.reference}: {event.error or 'it does not say why'}")
    if event.event != "scored":
        say(f"submission {event.reference} has no score yet: make ledger looks again")
        return event
    say(f"{score_line(event)}{rank_words(event, kaggle)}")
    return event


def refreshed(event: Event, kaggle: Kaggle, ledger: Path) -> Event:
    """Return a submission's event with what Kaggle says now; what is new is appended to the ledger."""
    found = kaggle.submission(int(event.reference))
    scores = {"public_score": found.public_score or "", "private_score": found.private_score or ""}
    if found.status.name == "PENDING":
        return event
    is_error = found.status.name == "ERROR"
    error = kaggle.scrub(found.error_description or "") if is_error else ""
    values = {**scores, "event": "failed" if is_error else "scored", "status": found.status.name, "error": error}
    if all(getattr(event, name) == value for name, value in values.items()):
        return event
    return append(replace(event, **values), ledger)


def score_line(event: Event) -> str:
    """Return the scores of a submission as a person reads them."""
    private = f", private {event.private_score}" if event.private_score else ""
    return f"submission {event.reference}: public score {event.public_score or 'none'}{private}"


def rank_words(event: Event, kaggle: Kaggle) -> str:
    """Return the rank on the public board, or the empty string where it cannot be read or the team is not on it."""
    try:
        team = kaggle.submission(int(event.reference)).team_name
        board = [row.team_name for row in kaggle.leaderboard(event.slug)]
    except RemoteError:
        return ""
    return f"; rank {board.index(team) + 1} of {len(board)} on the public board" if team in board else ""
