"""The workers of a study on this machine: started, replaced when they die, asked to stop, and their trials never lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from comp.backend import prepare_environment
from comp.console import say
from comp.engine import TRIES, how_it_ended
from comp.engines.child import as_error
from comp.errors import BadInput, TrainingFailed
from tuning.interrupt import AFTER_THE_FOLDS
from tuning.reaper import reap
from tuning.storage import LOST, in_one_line, shown, storage_errors
from tuning.study import count

if TYPE_CHECKING:
    import optuna

    from tuning.worker import Order

LOOK_SECONDS, LOOK_SECONDS_AFAR = 0.3, 3.0  # of a journal file, and of a storage URL: each look opens a connection
PATIENCE_SECONDS = 180.0  # for a storage that does not answer
Asked = TypeVar("Asked")
PROJECT = Path(__file__).resolve().parents[1]


@dataclass
class Hand:
    """One worker process."""

    number: int
    process: subprocess.Popen[str]


class Crew:
    """Runs a study with several workers until it has enough trials, the time is up, or the person stops it."""

    def __init__(
        self, order: Order, study: optuna.Study, look: Callable[[optuna.Study], None], until: Callable[[], float | None]
    ) -> None:
        """Prepare; nothing is started.

        Args:
            look: Called several times a second, to show how far the study is.
            until: Returns the Unix time after which no further fold is begun, or None; it may change its mind.
        """
        self.order, self.study, self.look, self.until = order, study, look, until
        self.hands: list[Hand] = []
        self.deaths = 0
        self.finished_at_death = -1

    def run(self) -> None:
        """Run the study.

        Raises:
            FoldboardError: What a worker says makes going on senseless.
            TrainingFailed: If workers die again and again without finishing a trial.
            KeyboardInterrupt: After Ctrl-C, when the folds in work are done, or at once after a second one.
        """
        try:
            self.hands = [self._start(number) for number in range(self.order.n_workers)]
            while self.hands:
                self._pause()
                self._bury()
                until = self._patiently(self.until)
                if until is not None and time.time() >= until:
                    self._ask_to_stop()
        except KeyboardInterrupt:
            say(AFTER_THE_FOLDS)
            self._ask_to_stop()
            while self.hands:
                self._pause()
                self._bury()
            raise
        finally:
            self._kill()
            with suppress(
                *storage_errors()
            ):  # why it ended is told already; what is left running is reaped the next time
                reap(self.study, self.order.beats, is_meant=True)
                self.look(self.study)

    def _pause(self) -> None:
        time.sleep(LOOK_SECONDS if self.is_local else LOOK_SECONDS_AFAR)
        self._patiently(lambda: self.look(self.study))

    @property
    def is_local(self) -> bool:
        """Return whether the study lies in a file, which costs little to look at."""
        return "://" not in self.order.storage

    def _patiently(self, ask: Callable[[], Asked]) -> Asked:
        """Return what asking the storage gives; one that does not answer is asked again for some minutes.

        Raises:
            BadInput: If it does not come back; what was told it before is kept there.
        """
        errors, began = storage_errors(), time.monotonic()
        while True:
            try:
                return ask()
            except errors as error:
                if time.monotonic() - began > PATIENCE_SECONDS:
                    raise BadInput(
                        f"STORAGE={shown(self.order.storage)}: it has not answered for {PATIENCE_SECONDS:.0f} s "
                        f"({in_one_line(error)}); when it is back, the same command goes on"
                    ) from error
                time.sleep(LOOK_SECONDS_AFAR)

    def _start(self, number: int) -> Hand:
        prepare_environment()  # before numpy is imported there; the environment is inherited
        path = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
        process = subprocess.Popen(
            [sys.executable, "-m", "tuning.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
            process_group=0,  # Ctrl-C reaches the whole group of the terminal; this process decides what it means
        )
        assert process.stdin
        with suppress(BrokenPipeError):  # it died just now; that is noticed by its exit status
            print(replace(self.order, number=number).as_json(), file=process.stdin, flush=True)
        return Hand(number, process)

    def _bury(self) -> None:
        for hand in [hand for hand in self.hands if hand.process.poll() is not None]:
            self.hands.remove(hand)
            self._settle(hand)

    def _settle(self, hand: Hand) -> None:
        """Take leave of a worker that ended: it is done, or failed with a line, or died and is replaced."""
        status, said = hand.process.returncode, _last_words(hand.process)
        if said is not None:
            raise as_error(said)
        if status == 0 or status == -signal.SIGTERM:
            return
        finished = self._patiently(lambda: count(self.study)).finished
        if status == LOST:  # the storage answers again
            self._patiently(lambda: reap(self.study, self.order.beats, is_meant=True))
            say(f"worker {hand.number} lost the storage for a while and begins anew; finished folds are kept")
            self.hands.append(self._start(hand.number))
            return
        self.deaths = self.deaths + 1 if finished == self.finished_at_death else 1
        self.finished_at_death = finished
        log = Path(self.order.folder) / f"worker-{hand.number}.log"
        if self.deaths >= TRIES * self.order.n_workers:
            raise TrainingFailed(
                f"study {self.order.study}: its workers died {self.deaths} times without finishing a trial (last: "
                f"{how_it_ended(status)}); their output is in {log}; if memory ran out, try JOBS=1"
            )
        self._patiently(lambda: reap(self.study, self.order.beats))
        say(f"worker {hand.number} died ({how_it_ended(status)}); its trial is tried again, finished folds are kept")
        self.hands.append(self._start(hand.number))

    def _ask_to_stop(self) -> None:
        for hand in self.hands:
            hand.process.send_signal(signal.SIGTERM)

    def _kill(self) -> None:
        for hand in self.hands:
            hand.process.kill()
        for hand in self.hands:
            hand.process.wait()
        self.hands = []


def _last_words(process: subprocess.Popen[str]) -> Any:
    """Return the failure that a worker told of, or None; its pipes are closed."""
    assert process.stdin and process.stdout
    try:
        lines = process.stdout.read().splitlines()
    finally:
        process.stdout.close()
        with suppress(BrokenPipeError):
            process.stdin.close()
    return json.loads(lines[-1]) if lines else None
