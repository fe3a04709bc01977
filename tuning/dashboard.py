"""Studies in a browser: optuna-dashboard on a journal or a storage URL, on this machine only."""

from __future__ import annotations

from pathlib import Path

from comp.console import say
from comp.errors import BadInput
from tuning.show import journals
from tuning.storage import open_storage, shown

HOST, PORT = "127.0.0.1", 8080


def storage_to_show(competition: str, storage: str | None, runs: Path) -> str:
    """Return the storage that is named, else the competition's journal that was written last.

    Raises:
        BadInput: If there is no study yet.
    """
    if storage:
        return storage
    found = journals(competition, runs)
    if not found:
        raise BadInput(f"no study of {competition} here yet; make tune begins one")
    return str(max(found, key=lambda path: path.stat().st_mtime))


def serve(where: str, port: int = PORT) -> None:
    """Serve the dashboard until Ctrl-C.

    Raises:
        BadInput: If optuna-dashboard is not installed, or the port is taken.
    """
    try:
        import optuna_dashboard
    except ImportError as error:
        raise BadInput("optuna-dashboard is not installed: .venv/bin/python -m pip install optuna-dashboard") from error
    storage = open_storage(where)
    say(f"{shown(where)}: http://{HOST}:{port} (Ctrl-C ends it)")
    try:
        optuna_dashboard.run_server(storage, host=HOST, port=port)
    except OSError as error:
        raise BadInput(f"PORT={port}: {error.strerror}; name another with --port") from error
