"""A checked CSV to Kaggle, and its score back: the submission is created at most once, whatever breaks or is killed.

Every submission's description ends with a tag made of the CSV's hash, so it can be found on the server. The order is:
lock, list (is it there already?), upload, journal "creating", create, ledger. A create whose reply was lost is looked for;
one that is not found is recorded as unknown and never repeated unasked.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from comp.console import relative, say, share_bar, show_facts
from comp.errors import BadInput, Closed, LimitReached, OutcomeUnknown, RemoteError, RulesNotAccepted
from comp.fetch import UploadExpired
from comp.fetch import upload as send_bytes
from comp.kaggle_client import Kaggle, Lost
from comp.kaggle_credentials import permission_warning
from comp.kaggle_refusals import WEB
from comp.patience import Again, patiently, waits
from comp.store import locked
from folds.runs import RUNS
from submissions import journal as journals
from submissions.journal import Journal, journal_path, load
from submissions.ledger import LEDGER, Event, append, last_events, read
from submissions.outgoing import Outgoing
from submissions.scores import wait_for_score

TAG = "foldboard"
LONGEST_MESSAGE = 300  # the tag behind it must not be cut off


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the person asked for: one field for each variable of the Makefile.

    Attributes:
        yes: Do not ask before sending.
        dry_run: Do all but send.
        again: Send although this file was sent before, or its fate is unknown.
    """

    message: str = ""
    yes: bool = False
    dry_run: bool = False
    again: bool = False
    ledger: Path = LEDGER
    runs: Path = RUNS
    ask: Callable[[str], str] = input


def hand_in(outgoing: Outgoing, kaggle: Kaggle, wishes: Wishes) -> Event | None:
    """Show, ask, send at most once, wait for the score; return the submission's last event, or None where none was sent.

    Raises:
        RemoteError: If Kaggle cannot or does not take it; the kind says why.
        BadInput: If nobody answers the question.
    """
    warning = permission_warning(kaggle.credentials)
    if warning:
        say(f"warning: {warning}")
    if len(wishes.message) > LONGEST_MESSAGE:
        raise BadInput(f"MESSAGE has {len(wishes.message)} characters: expected {LONGEST_MESSAGE} at most")
    if not _knows(outgoing, wishes, "checked"):
        append(outgoing.event("checked", tag=tag_of(outgoing, 1), message=wishes.message), wishes.ledger)
    folder = wishes.runs / outgoing.competition.name / "uploads"
    with locked(folder / ".lock", on_wait=say):
        path = journal_path(folder, outgoing.sha256)
        created = _already(outgoing, kaggle, wishes, path)
        if created is None:
            if not _may_send(outgoing, kaggle, wishes):
                return None
            created = _send(outgoing, kaggle, wishes, path)
    return wait_for_score(created, kaggle, wishes.ledger)


def tag_of(outgoing: Outgoing, attempt: int) -> str:
    """Return what the description of a submission ends with: the same for the same content and attempt."""
    return f"[{TAG} {outgoing.sha256[:12]}{f' #{attempt}' if attempt > 1 else ''}]"


def _knows(outgoing: Outgoing, wishes: Wishes, kind: str) -> bool:
    return any(one.event == kind and one.sha256 == outgoing.sha256 for one in read(wishes.ledger, say))


def _already(outgoing: Outgoing, kaggle: Kaggle, wishes: Wishes, path: Path) -> Event | None:
    """Return the submission of this content if Kaggle has it, else None; then it may be sent.

    With `again`, a submission that was known before does not count; one that an interrupted command left does.

    Raises:
        OutcomeUnknown: If an earlier create may have been taken and the person did not ask for another.
    """
    journal = load(path)
    attempt = journal.attempt if wishes.again else None
    found = _listed(outgoing, kaggle, attempt)
    if found is None and journal.stage == "creating":
        left = max(0.0, kaggle.patience.lost - (time.time() - journal.sent))
        say(
            f"an earlier command was stopped while it created this submission; looking for it, for up to {left / 60:.0f} min"
        )
        found = _look_for(outgoing, kaggle, attempt, left)
        if found is None:
            journal = _settle(outgoing, kaggle, wishes, path, journal)
    if found is None and journal.stage == "created":  # not listed yet, or deleted on the site
        found = Found(journal.reference, journal.attempt)
    if found is not None and (not wishes.again or journal.stage not in ("new", "created")):
        return _record_created(outgoing, wishes, path, replace(journal, attempt=found.attempt), found.reference)
    if journal.stage == "unknown" and not wishes.again:
        raise OutcomeUnknown(_unknown_line(outgoing))
    if found is not None or journal.stage == "unknown":
        journals.save(path, Journal(attempt=journal.attempt + 1))
    return None


@dataclass(frozen=True)
class Found:
    """A submission of this content that Kaggle has: its number, and which attempt it was."""

    reference: int
    attempt: int


def _listed(outgoing: Outgoing, kaggle: Kaggle, attempt: int | None) -> Found | None:
    """Return the newest submission whose description has the content's tag: of one attempt, or of any."""
    pattern = re.compile(rf"\[{TAG} {outgoing.sha256[:12]}(?: #(\d+))?\]")
    for row in kaggle.submissions(outgoing.slug):
        match = pattern.search(row.description or "")
        if match and attempt in (None, int(match[1] or 1)):
            return Found(int(row.ref), int(match[1] or 1))
    return None


def _look_for(outgoing: Outgoing, kaggle: Kaggle, attempt: int | None, seconds: float) -> Found | None:
    """Return the submission as soon as Kaggle lists it, or None if it does not within the time."""
    for pause in [*waits(kaggle.patience.poll, min(max(seconds, 0.0), kaggle.patience.lost)), 0.0]:
        try:
            found = _listed(outgoing, kaggle, attempt)
        except RemoteError:  # what broke the create may break the listing; there is time to ask again
            found = None
        if found is not None:
            return found
        time.sleep(pause)
    return None


def _settle(outgoing: Outgoing, kaggle: Kaggle, wishes: Wishes, path: Path, journal: Journal) -> Journal:
    """Decide about a create that a killed command may have sent and that Kaggle does not list.

    Kaggle's own count of submissions tells: if it has not grown, none was created and the file may be sent.

    Raises:
        OutcomeUnknown: If the count has grown, or is not known.
    """
    if journal.n_total is not None and kaggle.limits(outgoing.slug).num_total == journal.n_total:
        return journals.save(path, journal, stage="uploaded")
    return _record_unknown(outgoing, wishes, path, journal)


def _may_send(outgoing: Outgoing, kaggle: Kaggle, wishes: Wishes) -> bool:
    """Show what would be sent and ask; return whether to go on.

    Raises:
        RemoteError: If the competition does not take it, or no submissions are left.
    """
    facts = kaggle.competition(outgoing.slug)
    check_competition(facts, outgoing.slug)
    limits = kaggle.limits(outgoing.slug)
    show_facts(
        f"to hand in to {outgoing.competition.name}, on Kaggle {outgoing.slug}",
        [
            ("file", f"{relative(outgoing.path)}, {outgoing.n_rows:,} rows, sha256 {outgoing.sha256[:12]}, checked"),
            ("CV", outgoing.cv_words()),
            ("left", limits_words(limits, facts)),
            ("message", wishes.message or "none"),
        ],
    )
    if limits.num_allowed_now <= 0:
        raise LimitReached(f"{outgoing.slug}: {limits_words(limits, facts)}; nothing was sent")
    if wishes.dry_run:
        say("DRY_RUN=1: nothing is sent")
        return False
    return wishes.yes or _asks(wishes)


def _asks(wishes: Wishes) -> bool:
    try:
        answer = wishes.ask("send it? [y/N] ")
    except EOFError:
        say()  # the line of the question ends
        raise BadInput("nothing was sent: nobody answered the question; YES=1 sends without asking") from None
    if answer.strip().lower() not in ("y", "yes"):
        say("nothing is sent")
        return False
    return True


def check_competition(facts: Any, slug: str) -> None:
    """Do nothing if a competition takes CSVs of this account.

    Raises:
        Closed: If it is a code competition, or takes nothing any more.
        RulesNotAccepted: If the account has not joined.
    """
    if facts.is_kernels_submissions_only:
        raise Closed(
            f"{slug} is a code competition: it takes a notebook that makes the CSV on Kaggle, not the CSV; make notebook "
            f"COMP=... writes predict.ipynb and its data set, hand it in on {WEB}/{slug}/code"
        )
    if facts.submissions_disabled:
        raise Closed(f"{slug}: Kaggle takes no submissions any more; see {WEB}/{slug}")
    if not facts.user_has_entered:
        raise RulesNotAccepted(
            f"{slug}: this account has not joined: accept the rules on {WEB}/{slug}/rules, then run the same command again"
        )


def limits_words(limits: Any, facts: Any) -> str:
    """Return how many submissions are left, and when there will be more."""
    if limits.limited_by_total:
        return f"{limits.num_allowed_now} submissions in this competition, {limits.num_total} are used"
    daily = f" of {facts.max_daily_submissions}" if facts.max_daily_submissions else ""
    now = datetime.now(UTC)
    reset = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    hours = (reset - now).total_seconds() / 3600
    return f"{limits.num_allowed_now}{daily} submissions today; the count starts again at 00:00 UTC, in {hours:.1f} h"


def _send(outgoing: Outgoing, kaggle: Kaggle, wishes: Wishes, path: Path) -> Event:
    journal = _upload(outgoing, kaggle, wishes, path)
    tag = tag_of(outgoing, journal.attempt)
    message = f"{wishes.message} {tag}".strip()

    def create() -> tuple[int, str]:
        counted = kaggle.limits(outgoing.slug).num_total
        journals.save(path, journal, stage="creating", sent=time.time(), n_total=counted)
        try:
            return kaggle.create_submission(outgoing.slug, journal.token, message)
        except Again:
            journals.save(path, journal)  # it was certainly not taken
            raise

    try:
        reference, _ = patiently(create, kaggle.patience, say)
    except Lost as lost:
        return _find_lost(outgoing, kaggle, wishes, path, lost)
    except RemoteError as refused:
        if load(path).stage == "creating":
            journals.save(path, Journal(attempt=journal.attempt))
            append(outgoing.event("failed", tag=tag, status="REFUSED", error=str(refused)), wishes.ledger)
        raise
    if not reference:  # older servers give no number
        return _find_lost(outgoing, kaggle, wishes, path, Lost("Kaggle gave no number"))
    return _record_created(outgoing, wishes, path, load(path), reference)


def _upload(outgoing: Outgoing, kaggle: Kaggle, wishes: Wishes, path: Path) -> Journal:
    """Bring the bytes to Kaggle, going on where an earlier command was stopped; nothing is submitted by that."""
    journal = load(path)
    if journal.stage == "uploaded" and journal.is_fresh:
        return journal
    if not (journal.stage == "uploading" and journal.is_fresh):
        journal = _begin(outgoing, kaggle, wishes, path, journal.attempt)
    with share_bar(f"upload {outgoing.path.name}") as report:
        try:
            send_bytes(journal.url, outgoing.content, kaggle.patience, say, report, is_begun=True)
        except UploadExpired:
            journal = _begin(outgoing, kaggle, wishes, path, journal.attempt)
            send_bytes(journal.url, outgoing.content, kaggle.patience, say, report)
    return journals.save(path, journal, stage="uploaded")


def _begin(outgoing: Outgoing, kaggle: Kaggle, wishes: Wishes, path: Path, attempt: int) -> Journal:
    values = {"tag": tag_of(outgoing, attempt), "message": wishes.message}
    append(outgoing.event("started", **values), wishes.ledger)
    modified = int(outgoing.path.stat().st_mtime)
    token, url = kaggle.start_upload(outgoing.slug, outgoing.path.name, len(outgoing.content), modified)
    begun = Journal(attempt=attempt, stage="uploading", token=token, url=url, began=time.time())
    return journals.save(path, begun)


def _find_lost(outgoing: Outgoing, kaggle: Kaggle, wishes: Wishes, path: Path, lost: Lost) -> Event:
    journal = load(path)
    minutes = kaggle.patience.lost / 60
    say(f"the reply to the submission was lost ({lost.why}); looking for it, for up to {minutes:.0f} min")
    found = _look_for(outgoing, kaggle, journal.attempt, kaggle.patience.lost)
    if found is None:
        _record_unknown(outgoing, wishes, path, journal)
        raise OutcomeUnknown(_unknown_line(outgoing))
    return _record_created(outgoing, wishes, path, journal, found.reference)


def _record_unknown(outgoing: Outgoing, wishes: Wishes, path: Path, journal: Journal) -> Journal:
    tag = tag_of(outgoing, journal.attempt)
    append(
        outgoing.event("unknown", tag=tag, status="UNKNOWN", error="the reply to the create was lost"), wishes.ledger
    )
    return journals.save(path, journal, stage="unknown")


def _unknown_line(outgoing: Outgoing) -> str:
    return (
        f"whether Kaggle has {relative(outgoing.path)} is not known: a create was sent, its reply was lost and no such "
        f"submission is listed; look at {WEB}/{outgoing.slug}/submissions, and if it is not there send it once more with "
        "AGAIN=1 (--again)"
    )


def _record_created(outgoing: Outgoing, wishes: Wishes, path: Path, journal: Journal, reference: int) -> Event:
    """Write down, once, that Kaggle has the submission; return what the ledger says of it."""
    tag = tag_of(outgoing, journal.attempt)
    known = [one for one in read(wishes.ledger, say) if one.tag == tag and one.competition == outgoing.competition.name]
    if not any(one.event == "created" for one in known):
        values = {"tag": tag, "reference": str(reference), "status": "PENDING", "message": wishes.message, "error": ""}
        known.append(append(outgoing.event("created", **values), wishes.ledger))
        say(f"Kaggle has it, as submission {reference}")
    else:
        say(f"Kaggle has this file already, as submission {reference}; nothing is sent (AGAIN=1 sends it once more)")
    journals.save(path, journal, stage="created", reference=reference)
    return last_events(known)[-1]
