"""What an upload that was killed had done already: one private file a CSV, from which the same command goes on.

The file holds the address and the token of an upload that is under way, so only its owner may read it.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from comp.store import beside, disk_full_is_one_line, sync_folder

LIVES = 6 * 3600.0  # seconds that an upload is gone on with; Google keeps it for a week, Kaggle does not say


@dataclass(frozen=True, kw_only=True)
class Journal:
    """How far the upload of one CSV has come.

    Attributes:
        stage: `new`, `uploading`, `uploaded`, `creating` (a create is about to be sent, or was), `unknown` (its reply was
            lost and Kaggle did not list it), `created`.
        attempt: 1, and one more each time the person asks to send the same file again.
        token, url: Of the upload.
        began: When it began; sent: when the create was sent (seconds since 1970).
        n_total: Submissions that Kaggle counted before the create; None where it did not say.
        reference: Kaggle's number of the submission.
    """

    stage: str = "new"
    attempt: int = 1
    token: str = ""
    url: str = ""
    began: float = 0.0
    sent: float = 0.0
    n_total: int | None = None
    reference: int = 0

    @property
    def is_fresh(self) -> bool:
        """Return whether the upload can still be gone on with."""
        return 0 <= time.time() - self.began < LIVES


def journal_path(folder: Path, sha256: str) -> Path:
    """Return where the journal of a CSV with that hash lies."""
    return folder / f"{sha256[:16]}.json"


def load(path: Path) -> Journal:
    """Return the journal; a new one where there is none or it is torn."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        return Journal(**found)
    except (FileNotFoundError, ValueError, TypeError):
        return Journal()


def save(path: Path, journal: Journal, **changes: Any) -> Journal:
    """Write the journal with some changes, so that it survives a power cut, for its owner's eyes; return it.

    Raises:
        NoSpace: If the disk is full.
    """
    changed = replace(journal, **changes)
    with disk_full_is_one_line(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = beside(path)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(changed), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    return changed
