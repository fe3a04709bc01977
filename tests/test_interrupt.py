"""Ctrl-C while recipes are compared: after the fold, and a second one at once; in a worker, after the features of some photos too."""

from __future__ import annotations

import signal

import pytest

from comp.engine import Event, Job
from folds.features import EXTRACTION
from tuning.interrupt import AFTER_THE_FOLDS, after_the_fold
from tuning.objective import Stopped
from tuning.worker import Patience

JOB = Job(function="m:f", arguments={}, label="fold 0")
EPOCH, DONE = Event(JOB, "progress", 0.5), Event(JOB, "done")


def test_the_first_waits_for_the_fold(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), after_the_fold() as listen:
        listen(DONE)
        signal.raise_signal(signal.SIGINT)
        listen(EPOCH)
        assert capsys.readouterr().out == f"{AFTER_THE_FOLDS}\n"
        listen(DONE)
        raise AssertionError("the fold was done")
    assert signal.getsignal(signal.SIGINT) == before


def test_the_second_does_not() -> None:
    with pytest.raises(KeyboardInterrupt), after_the_fold():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it was asked twice")


def test_nothing_is_written_after_the_last_fold_either() -> None:
    with pytest.raises(KeyboardInterrupt), after_the_fold():
        signal.raise_signal(signal.SIGINT)


def test_a_worker_that_was_asked_to_stop_does_so_between_two_jobs_that_compute_features() -> None:
    patience, features = Patience(None), Job(function=EXTRACTION, arguments={}, label="features")
    patience.listen(Event(features, "done", 256))
    patience.ask()
    patience.listen(Event(features, "progress", 0.5))
    patience.listen(DONE)  # a fold: its score is told first, then the objective asks
    with pytest.raises(Stopped):
        patience.listen(Event(features, "done", 256))
    with pytest.raises(Stopped):
        patience.check()


def test_without_it_nothing_changes() -> None:
    before = signal.getsignal(signal.SIGINT)
    with after_the_fold() as listen:
        listen(DONE)
    assert signal.getsignal(signal.SIGINT) == before


def test_a_command_in_the_background_goes_on_not_hearing_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with after_the_fold() as listen:
            signal.raise_signal(signal.SIGINT)
            listen(DONE)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
