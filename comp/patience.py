"""How long a server is waited for: time-outs of each call, tries with growing pauses, and what Retry-After asks for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from comp.errors import RemoteError

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds and tries; the defaults are for people, tests take shorter ones.

    Attributes:
        connect, read: Time-outs of each call: until a connection stands, and between two bytes.
        tries: How often what may be repeated is tried.
        first_pause, growth: The pause after the first failure, and what each further one is multiplied by.
        longest_pause: A server that asks for a longer one is left alone, and the person told.
        lost: How long a submission is looked for whose reply was lost.
        score: How long a score is waited for.
        poll: The first pause between two looks at the server; it grows to tenfold.
    """

    connect: float = 10.0
    read: float = 60.0
    tries: int = 5
    first_pause: float = 1.0
    growth: float = 2.0
    longest_pause: float = 300.0
    lost: float = 300.0
    score: float = 900.0
    poll: float = 2.0

    @property
    def timeout(self) -> tuple[float, float]:
        """Return the time-outs as `requests` takes them."""
        return self.connect, self.read


class Again(Exception):
    """A failure that may pass.

    Attributes:
        failure: What is raised when patience ends.
        after: Seconds after which the server wants to be asked again, if it says.
        did_nothing: Whether the server certainly has not acted on the call.
    """

    def __init__(self, failure: RemoteError, after: float | None = None, did_nothing: bool = False) -> None:
        super().__init__(str(failure))
        self.failure, self.after, self.did_nothing = failure, after, did_nothing


def retry_after(header: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for, given as a number or as a date, or None.

    Source: RFC 9110, section 10.2.3.
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if seconds < float("inf") else None


def patiently(call: Callable[[], Result], patience: Patience, note: Callable[[str], None]) -> Result:
    """Return what a call returns, tried again with growing pauses while it raises `Again`.

    Only for what may be repeated without harm.

    Args:
        note: Takes a line for each pause of two seconds or more.

    Raises:
        RemoteError: The failure of the last try, or of one whose pause would be longer than `longest_pause`.
    """
    pause = patience.first_pause
    for left in range(patience.tries - 1, -1, -1):
        try:
            return call()
        except Again as again:
            wait = pause if again.after is None else again.after
            if not left or wait > patience.longest_pause:
                raise _with_wait(again.failure, again.after) from None
            if wait >= 2:
                note(f"{again.failure}; trying again in {wait:.0f} s")
            time.sleep(wait)
            pause *= patience.growth
    raise AssertionError("tries is at least 1")


def _with_wait(failure: RemoteError, after: float | None) -> RemoteError:
    if after is None:
        return failure
    return type(failure)(f"{failure}; the server asks to be left alone for {after:.0f} s")


def waits(first: float, total: float) -> list[float]:
    """Return growing pauses, from `first` to tenfold, that add up to `total` seconds."""
    pauses: list[float] = []
    pause, left = first, total
    while left > 0:
        pauses.append(min(pause, left))
        left -= pauses[-1]
        pause = min(pause * 1.5, 10 * first)
    return pauses
