"""Who runs a trial, and what becomes of it when its worker is gone: marked as failed, and tried again from its finished folds."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tuning.storage import GRACE_SECONDS, HEARTBEAT_SECONDS, quiet_optuna

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

RETRIES = 2  # of a trial whose worker died; what was stopped on purpose is always taken up again
OWNERLESS_SECONDS = 60  # between taking a trial and signing it


def owner() -> dict[str, Any]:
    """Return what tells this process from every other one, also after the machine was started anew."""
    pid = os.getpid()
    started = round(psutil.Process(pid).create_time(), 1)
    return {"host": socket.gethostname(), "boot": _boot_id(), "pid": pid, "started": started}


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(round(psutil.boot_time()))


def is_gone(trial: FrozenTrial, beats: Path) -> bool:
    """Return whether the process that runs a trial is certainly dead.

    On this machine its number and start time tell; of another machine, the file that its worker touches: its time is compared
    with that of a file touched now, so the two clocks need not agree. Where that file is not seen, the trial is silent since it
    was taken.

    Args:
        beats: Folder of the files that workers touch.
    """
    signed = trial.user_attrs.get("owner")
    if not signed:
        return _seconds_since_taken(trial) > OWNERLESS_SECONDS
    if signed["host"] != socket.gethostname():
        silent = _silent_seconds(beats, beat_name(signed))
        return (_seconds_since_taken(trial) if silent is None else silent) > GRACE_SECONDS
    if signed["boot"] != _boot_id():
        return True
    try:
        process = psutil.Process(signed["pid"])
        return process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - signed["started"]) > 1
    except psutil.NoSuchProcess:
        return True


def _seconds_since_taken(trial: FrozenTrial) -> float:
    begun = trial.datetime_start
    return 0.0 if begun is None else (datetime.now() - begun).total_seconds()


def sign(trial: optuna.Trial, beats: Path) -> None:
    """Note in a trial who runs it, after the first sign of life: whoever reads the one finds the other."""
    signed = owner()
    beats.mkdir(parents=True, exist_ok=True)
    (beats / beat_name(signed)).touch()
    trial.set_user_attr("owner", signed)


def beat_name(signed: dict[str, Any]) -> str:
    """Return the name of the file that a worker touches."""
    return f"{signed['host']}-{signed['pid']}-{signed['started']}"


def _silent_seconds(beats: Path, name: str) -> float | None:
    now = beats / f".now-{socket.gethostname()}-{os.getpid()}"
    beats.mkdir(parents=True, exist_ok=True)
    now.touch()
    try:
        return now.stat().st_mtime - (beats / name).stat().st_mtime
    except FileNotFoundError:
        return None
    finally:
        now.unlink(missing_ok=True)


def reap(study: optuna.Study, beats: Path, is_meant: bool = False) -> list[int]:
    """Mark the trials of dead workers as failed and put them up again; return their numbers.

    Several processes may do so at once: the storage lets only one of them mark a trial.

    Args:
        is_meant: Whether they were stopped on purpose; that does not count as one of their tries.
    """
    with quiet_optuna() as optuna:
        optuna.storages.fail_stale_trials(study)  # of a storage URL, by its heartbeats; does nothing for a journal
        found = []
        for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            if is_gone(trial, beats) and give_up(study, trial, is_meant):
                found.append(trial.number)
        return found


def give_up(study: optuna.Study, trial: FrozenTrial | optuna.Trial, is_meant: bool) -> bool:
    """Mark one running trial as failed and put it up again; return whether this process was the one to do it."""
    with quiet_optuna() as optuna:
        storage = study._storage
        try:
            if is_meant:
                storage.set_trial_user_attr(trial._trial_id, "stopped", True)
            if not storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.FAIL):
                return False
        except optuna.exceptions.UpdateFinishedTrialError:
            return False
        requeue(study, storage.get_trial(trial._trial_id))
        return True


def requeue(study: optuna.Study, trial: FrozenTrial) -> None:
    """Put a failed trial up again with the same parameters; its finished folds are on disk and are not trained again."""
    attributes = {name: value for name, value in trial.user_attrs.items() if name not in ("owner", "stopped")}
    tries = attributes.get("tries", 0) + (0 if trial.user_attrs.get("stopped") else 1)
    fixed = {name: value for name, value in trial.system_attrs.items() if name == "fixed_params"}
    if tries > RETRIES or not (trial.params or fixed):
        return
    with quiet_optuna() as optuna:
        waiting = optuna.trial.create_trial(
            state=optuna.trial.TrialState.WAITING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={**attributes, "tries": tries, "again": trial.number},
            system_attrs=fixed,
        )
        study.add_trial(waiting)


@contextmanager
def alive(study: optuna.Study, trial: optuna.Trial, beats: Path) -> Iterator[None]:
    """Give signs of life for a trial while it runs: heartbeats where the storage has them, and a file that is touched."""
    storage: Any = study._storage
    over = threading.Event()
    interval = getattr(storage, "heartbeat_interval", None) or HEARTBEAT_SECONDS
    path = beats / beat_name(owner())
    beats.mkdir(parents=True, exist_ok=True)

    def beat() -> None:
        while True:
            with suppress(Exception):  # a storage that cannot be reached for a minute ends no trial
                path.touch()
                if getattr(storage, "heartbeat_interval", None):
                    storage.record_heartbeat(trial._trial_id)
            if over.wait(interval / 2):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        path.unlink(missing_ok=True)
