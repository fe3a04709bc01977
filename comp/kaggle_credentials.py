"""Which credentials the stock Kaggle client would use, found in the same places and order; their values are never shown."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from comp.errors import NoCredentials

PLACES = (
    "KAGGLE_API_TOKEN (a token, or a file that holds one), ~/.kaggle/access_token, KAGGLE_USERNAME and KAGGLE_KEY, "
    "kaggle.json (in ~/.kaggle or KAGGLE_CONFIG_DIR), ~/.kaggle/credentials.json"
)


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What is sent to prove who one is.

    Attributes:
        source: Where it was found, in words; safe to show.
        path: The file that holds it, or None where it came from the environment.
        token: An access token; or
        username, key: a user's name and API key; or
        oauth: that the file is the OAuth client's, whose token is refreshed by the stock code.
    """

    source: str
    path: Path | None = None
    token: str | None = field(default=None, repr=False)
    username: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    oauth: bool = False

    @property
    def secrets(self) -> list[str]:
        """Return what must never be shown."""
        return [secret for secret in (self.token, self.key) if secret]


def find_credentials() -> Credentials:
    """Return the credentials that the stock client would take, without asking anyone.

    Raises:
        NoCredentials: If there are none, or the file that holds them cannot be read.
    """
    try:
        found = _token() or _key() or _oauth()
    except OSError as error:
        raise NoCredentials(
            f"Kaggle credentials: {error.filename} cannot be read ({error.strerror}); make it readable for you alone: "
            "chmod 600"
        ) from None
    if found is None:
        raise NoCredentials(
            f"no Kaggle credentials: looked for {PLACES}; make a token on https://www.kaggle.com/settings (API) and "
            "put it into ~/.kaggle/access_token"
        )
    return found


def permission_warning(credentials: Credentials) -> str | None:
    """Return a line if others on this machine can read the file that holds the credentials, else None."""
    if credentials.path is None or os.name == "nt":
        return None
    mode = stat.S_IMODE(credentials.path.stat().st_mode)
    if not mode & 0o077:
        return None
    return f"{credentials.path} holds credentials and is open to others (mode {mode:o}): chmod 600 '{credentials.path}'"


def home_folder() -> Path:
    """Return the folder of Kaggle's token files."""
    return Path("~/.kaggle").expanduser()


def config_file() -> Path:
    """Return where kaggle.json is looked for, as the stock client does: KAGGLE_CONFIG_DIR moves only this file."""
    named = os.environ.get("KAGGLE_CONFIG_DIR")
    if named:
        return Path(named) / "kaggle.json"
    if not home_folder().exists():
        config_home = os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()
        return Path(config_home) / "kaggle" / "kaggle.json"
    return home_folder() / "kaggle.json"


def _token() -> Credentials | None:
    notebook = os.environ.get("KAGGLE_API_V1_TOKEN")
    if notebook and os.environ.get("KAGGLE_KERNEL_RUN_TYPE") and os.path.exists(notebook):
        token = Path(notebook).read_text().strip()
        if token:
            return Credentials(source="this Kaggle notebook", token=token)
    given = os.environ.get("KAGGLE_API_TOKEN")
    if given:
        path = Path(given) if len(given) < 1024 and os.path.exists(given) else None
        token = path.read_text().strip() if path else given
        if token:
            return Credentials(source="KAGGLE_API_TOKEN", path=path, token=token)
    for name in ("access_token", "access_token.txt"):
        path = home_folder() / name
        if path.exists() and (token := path.read_text().strip()):
            return Credentials(source=str(path), path=path, token=token)
    return None


def _key() -> Credentials | None:
    path = config_file()
    stored = _json(path)
    username, key = (os.environ.get(f"KAGGLE_{name}") for name in ("USERNAME", "KEY"))
    both = username or stored.get("username"), key or stored.get("key")
    if not (both[0] and both[1]):
        return None
    if username and key:
        return Credentials(source="KAGGLE_USERNAME and KAGGLE_KEY", username=username, key=key)
    return Credentials(source=str(path), path=path, username=str(both[0]), key=str(both[1]))


def _oauth() -> Credentials | None:
    path = home_folder() / "credentials.json"
    return Credentials(source=str(path), path=path, oauth=True) if _json(path).get("refresh_token") else None


def _json(path: Path) -> dict[str, object]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
    except ValueError:  # the stock client passes over a torn file, too
        return {}
    return found if isinstance(found, dict) else {}
