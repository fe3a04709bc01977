"""A home with a finished ensemble, and what make notebook makes of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.homes import Submitted, command


def made_home(submitted: Submitted, folder: Path) -> Path:
    """Copy squares with their finished ensemble into a folder, and put new photos there, one of which is none."""
    submitted.copy(folder)
    (folder / "new photos").mkdir()
    for number in range(36, 40):
        shutil.copy(folder / "my data" / "photos" / f"{number:03d}.png", folder / "new photos")
    (folder / "new photos" / "broken.jpg").write_bytes(b"no photo")
    return folder


def made_notebooks(home: Path) -> Path:
    """Run make notebook as a person would and return the folder that it wrote."""
    done = command(home, "submissions", "notebook", "--competition", "./mine.py", "--owner", "my-name")
    assert (done.returncode, done.stderr) == (0, "")
    path = home / done.stdout.splitlines()[-1]
    assert path.parts[-2:] == ("predict", "predict.ipynb") and path.is_file()
    return path.parents[1]
