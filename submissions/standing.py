"""What the ledger tells of a competition's submissions: scores against CV, gains that are noise, two picks for the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from comp.console import say, show_table
from comp.errors import FoldboardError
from comp.spec import Competition
from comp.store import sha256_of_file
from comp.tables import read_csv
from comp.tasks import metric_of
from submissions.ledger import Event, last_events, read

NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Standing:
    """One submission with its numbers; None where one is not known.

    Attributes:
        gain: How much better its public score is than the best one before it; negative if worse.
        is_noise: Whether a gain is smaller than the interval of one public score.
    """

    event: Event
    cv: float | None
    cv_se: float | None
    public: float | None
    lb_se: float | None
    gain: float | None = None
    is_noise: bool = False


def standings(events: Sequence[Event], direction: str) -> list[Standing]:
    """Return the submissions that Kaggle has, in the order they were created, each with its gain over those before it.

    Args:
        direction: `higher` or `lower`: which way the metric is better.
    """
    found: list[Standing] = []
    best: float | None = None
    for event in events:
        if not event.reference:
            continue
        public, lb_se = _number(event.public_score), _number(event.lb_se)
        gain = None if public is None or best is None else (public - best if direction == "higher" else best - public)
        is_noise = gain is not None and lb_se is not None and 0 < gain < NORMAL_95 * lb_se
        found.append(Standing(event, _number(event.cv), _number(event.cv_se), public, lb_se, gain, is_noise))
        if public is not None and (gain is None or gain > 0):
            best = public
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def two_picks(found: Sequence[Standing], direction: str, differ: Callable[[Event, Event], float]) -> list[Standing]:
    """Return the submission of the best CV, and of the rest the one that differs most among those as good within noise.

    The public score decides nothing: it is the smaller sample. A file that was sent twice counts once.

    Args:
        differ: How different two submissions' answers are, 0 for equal ones.
    """
    sign = 1 if direction == "higher" else -1
    scored = {one.event.sha256: one for one in found if one.cv is not None and one.event.event == "scored"}
    ranked = sorted(scored.values(), key=lambda one: -sign * (one.cv or 0.0))
    if len(ranked) < 2:
        return ranked
    best, rest = ranked[0], ranked[1:]
    room = NORMAL_95 * (best.cv_se or 0.0)
    as_good = [one for one in rest if abs((best.cv or 0.0) - (one.cv or 0.0)) <= room] or rest[:1]
    return [best, max(as_good, key=lambda one: differ(best.event, one.event))]


def difference(competition: Competition) -> Callable[[Event, Event], float]:
    """Return what measures how different two CSVs are: the share of other labels, or the mean distance of probabilities.

    A CSV that is gone or was changed counts as no different.
    """

    def differ(one: Event, other: Event) -> float:
        tables = [_answers(event, competition) for event in (one, other)]
        if tables[0] is None or tables[1] is None or tables[0].shape != tables[1].shape:
            return 0.0
        if competition.submission in ("label", "text"):
            return float(np.mean(tables[0] != tables[1]))
        return float(np.mean(np.abs(tables[0].astype(np.float64) - tables[1].astype(np.float64))))

    return differ


def _answers(event: Event, competition: Competition) -> np.ndarray | None:
    path = Path(event.file)
    if not path.is_file() or sha256_of_file(path) != event.sha256:
        return None
    frame = read_csv(path).sort_values(competition.id_column)
    return np.asarray(frame.drop(columns=competition.id_column).to_numpy())


def show_ledger(path: Path, competition: Competition) -> list[Standing]:
    """Print the submissions of a competition, the noise among their gains and the two picks; return the submissions."""
    direction = metric_of(competition).direction
    events = last_events(read(path, say), competition.name)
    found = standings(events, direction)
    unsent = [event for event in events if event.event == "unknown"]
    for event in unsent:
        say(f"{event.time}: whether Kaggle has {event.file} is not known; make upload looks for it")
    if not found:
        say(f"{path}: no submission of {competition.name} yet")
        return found
    show_table(
        f"{competition.name} on Kaggle, {competition.metric}, {direction} is better",
        ["submission", "last event, UTC", "status", "CV", "public", "private", "gain on the board", "message"],
        [_row(one) for one in found],
    )
    picks = two_picks(found, direction, difference(competition))
    names = ["best CV", "of those as good within noise, the most different one"]
    for name, pick in zip(names, picks, strict=False):
        say(f"pick: submission {pick.event.reference}, {pick.event.file} ({name})")
    if picks:
        say(
            f"the picking itself is done on the site: https://www.kaggle.com/competitions/{competition.slug}/submissions"
        )
    return found


def _row(one: Standing) -> list[str]:
    event = one.event
    cv = "" if one.cv is None else f"{one.cv:.4f}" + (f" ± {one.cv_se:.4f}" if one.cv_se else "")
    gain = "" if one.gain is None else f"{one.gain:+.5f}" + (" (noise)" if one.is_noise else "")
    said = event.error if event.event == "failed" else event.message
    return [event.reference, event.time, event.status, cv, event.public_score, event.private_score, gain, said]


def refresh(path: Path, competition: Competition) -> None:
    """Append what Kaggle says anew of the submissions; where it cannot be asked, say why and go on."""
    from comp.kaggle_client import Kaggle
    from submissions.scores import refreshed

    known = [event for event in last_events(read(path), competition.name) if event.reference]
    if not known:
        return
    try:
        kaggle = Kaggle()
        for event in known:
            refreshed(event, kaggle, path)
    except FoldboardError as error:
        say(f"scores are as they were: {error}")
