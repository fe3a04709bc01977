"""A PostgreSQL server of the test's own, where the programs are installed; it ends with the test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEBIAN = "/usr/lib/postgresql/*/bin"
SERVER_USERS = ("postgres", "nobody")  # the server refuses to run as root


def find_programs() -> Path | None:
    """Return the folder of initdb and pg_ctl, or None where there is none."""
    found = shutil.which("initdb")
    if found and shutil.which("pg_ctl"):
        return Path(found).resolve().parent
    return next(iter(sorted(Path("/").glob(DEBIAN.strip("/")), reverse=True)), None)


@contextmanager
def server(programs: Path) -> Iterator[str]:
    """Run an empty server on a free port of this machine and yield its URL."""
    home = Path(tempfile.mkdtemp(prefix="fb-pg-", dir="/tmp"))
    who = _who()
    if who:
        shutil.chown(home, user=who["user"])
    port = _free_port()
    data = str(home / "data")

    def call(program: str, *words: str) -> None:
        with (home / "log.txt").open("ab") as log:
            subprocess.run([programs / program, *words], check=True, cwd=home, stdout=log, stderr=log, **who)

    try:
        call("initdb", "-D", data, "-A", "trust", "-U", "me", "--no-sync", "--locale=C", "-E", "UTF8")
        settings = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off"
        call("pg_ctl", "-D", data, "-w", "-l", str(home / "server.log"), "-o", settings, "start")
        try:
            yield f"postgresql://me:secret@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _who() -> dict[str, Any]:
    """Return as whom the server runs: another user where this one is root."""
    import pwd

    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name for entry in pwd.getpwall()}
    user = next(name for name in SERVER_USERS if name in known)
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
