"""Ctrl-C while folds are compared: the first one ends the command after the fold in work, a second one at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from comp.console import say
from comp.engine import Event

AFTER_THE_FOLDS = "finishing the folds in work, then stopping; Ctrl-C again stops at once"


@contextmanager
def after_the_fold() -> Iterator[Callable[[Event], None]]:
    """Yield what is told of every event, and ends the command when a fold is done after Ctrl-C.

    A fold that another worker has in work then goes on from its last epoch the next time.

    Raises:
        KeyboardInterrupt: When a fold was done after Ctrl-C, or at once after a second one.
    """
    is_asked = False

    def interrupted(*_: Any) -> None:
        nonlocal is_asked
        if is_asked:
            raise KeyboardInterrupt
        is_asked = True
        with suppress(RuntimeError):  # it came in the middle of another line
            say(AFTER_THE_FOLDS)

    def listen(event: Event) -> None:
        if is_asked and event.kind == "done":
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before != signal.SIG_IGN:  # a command in the background does not hear the terminal's Ctrl-C
        signal.signal(signal.SIGINT, interrupted)
    try:
        yield listen
        if is_asked:
            raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)
