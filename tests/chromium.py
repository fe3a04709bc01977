"""Chromium without a window, asked about a page: what it says in its console, what it asks the network for, what it measures."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
AXE = PROJECT / "node_modules" / "axe-core" / "axe.min.js"
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
PATIENCE = 240  # seconds; a page takes about three on an idle core


@dataclass(frozen=True)
class Seen:
    """What a browser tells of a page after it was loaded: its document, its console, the addresses that the page asked for."""

    document: str
    console: list[str]
    asked: list[str]

    @property
    def answer(self) -> Any:
        """Return what the script that was put into the page has found."""
        found = re.search(r'<pre id="found">(.*?)</pre>', self.document, re.DOTALL)
        assert found, self.document[-2000:]
        return json.loads(unescape(found[1]))


def browser() -> str:
    """Return the path of a Chromium, or skip the test where there is none."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        pytest.skip("no Chromium here (Debian: apt install chromium)")
    return found


def look(page: Path, work: Path, width: int = 1280, scheme: str = "light") -> Seen:
    """Load a page and return what is seen of it."""
    log = work / "net.json"
    command = [
        browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
        f"--user-data-dir={work / 'profile'}", f"--window-size={width},900", f"--log-net-log={log}",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-background-networking", "--disable-component-update", "--no-first-run",
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
        "--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom", page.resolve().as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Seen(done.stdout, console, asked_for(log))


def asked_for(log: Path) -> list[str]:
    """Return the addresses that a page asked for, by Chromium's log; what the browser wants for itself has no origin."""
    events = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    return sorted({one["url"] for one in events if one.get("initiator", "not an origin") != "not an origin"})


def asking(page: Path, work: Path, script: str) -> Path:
    """Return a copy of a page that lets a script run in it, whose result `Seen.answer` gives.

    Args:
        script: JavaScript that calls `tell(value)` once.
    """
    tell = "function tell(value) { const out = document.createElement('pre'); out.id = 'found';"
    tell += " out.textContent = JSON.stringify(value); document.body.append(out); }"
    copy = work / f"asking-{page.name}"
    text = POLICY.sub("", page.read_text()).replace("</body>", f"<script>{tell}\n{script}</script></body>")
    copy.write_text(text)
    return copy
