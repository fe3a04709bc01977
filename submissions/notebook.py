"""`make notebook`: a finished ensemble packed for Kaggle, with a notebook that answers photos and one that trains a candidate.

    <folder>/dataset/   a Kaggle data set: what `submissions.pack` copies, and dataset-metadata.json
    <folder>/predict/   predict.ipynb and its kernel-metadata.json
    <folder>/train/     train.ipynb and its kernel-metadata.json

The notebooks call functions of the project and hold no logic of their own; what they say of scores comes from the manifest.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from comp.console import relative, say
from comp.errors import BadInput
from comp.spec import Competition
from comp.store import beside, disk_full_is_one_line, write_json, write_text
from submissions.bundle import ENSEMBLE, Bundle, open_bundle
from submissions.cells import predict_cells, readme, train_cells
from submissions.pack import find_ensemble, n_bytes_of, pack

HOME = Path("notebooks")
PREDICT, TRAIN, DATASET = "predict", "train", "dataset"
NOBODY = "INSERT_KAGGLE_USER_NAME_HERE"
LONGEST_SLUG = 50  # Kaggle's bound for data sets and for notebooks


def make_notebook(
    record: Competition,
    asked: str,
    run: str | None = None,
    weights: str | None = None,
    owner: str | None = None,
    out: Path | None = None,
) -> Path:
    """Pack an ensemble for Kaggle and return the path of the notebook that answers photos with it.

    Args:
        asked: How the person named the competition.
        run: Which ensemble: see `find_ensemble`.
        weights: Folder of the pre-trained weights that its runs were trained from.
        owner: Name of the Kaggle account; where None the one of the folder's last time, else a place to fill in.
        out: The folder; notebooks/<competition>-<hash8 of the CSV> where None.

    Raises:
        BadInput: If there is no such ensemble, it cannot answer photos elsewhere, or `out` holds something else.
        Refused: If a run, a model or a file of weights is gone or was changed.
    """
    _check_owner(owner)
    file = find_ensemble(record.name, run)
    folder = out or HOME / f"{record.name}-{file.stem}"
    owner = owner or _owner_of(folder) or NOBODY
    with _replacing_folder(folder) as new:
        pack(record, asked, file, weights, new / DATASET)
        _write_all(new, open_bundle(new / DATASET), owner)
    _say_next(folder, owner, record)
    return folder / PREDICT / f"{PREDICT}.ipynb"


def _check_owner(owner: str | None) -> None:
    if owner is not None and not re.fullmatch(r"[A-Za-z0-9-]+", owner):
        raise BadInput(
            f"OWNER={owner}: expected the name in the address of a Kaggle profile: letters, digits and dashes"
        )


def _owner_of(folder: Path) -> str | None:
    """Return the account that the folder's data set was made for, or that a person has filled in."""
    path = folder / DATASET / "dataset-metadata.json"
    try:
        found = str(json.loads(path.read_text())["id"]).partition("/")[0]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if re.fullmatch(r"[A-Za-z0-9-]+", found) else None


@contextmanager
def _replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder to fill, which takes the place of an older one of ours when all is in it.

    Raises:
        BadInput: If what lies there is not ours.
    """
    is_ours = (folder / DATASET / ENSEMBLE).is_file()
    if folder.exists() and not is_ours and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"OUT={folder}: something else lies there; name a folder that is new, empty or of make notebook")
    new = beside(folder)
    shutil.rmtree(new, ignore_errors=True)
    try:
        with disk_full_is_one_line(folder):
            new.mkdir(parents=True)
            yield new
            if folder.exists():
                shutil.rmtree(folder)
            new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def slug_of(competition: str, ending: str = "") -> str:
    """Return what a data set or a notebook of a competition is called in an address: 6 to 50 letters, digits and dashes."""
    words = re.sub(r"[^a-z0-9]+", "-", competition.lower()).strip("-")
    room = LONGEST_SLUG - len("foldboard-") - len(ending)
    return f"foldboard-{words[:room].strip('-')}{ending}"


def _title(slug: str) -> str:
    """Return the title that Kaggle makes that slug of."""
    return slug.replace("-", " ").capitalize()


def _write_all(folder: Path, bundle: Bundle, owner: str) -> None:
    slug = slug_of(bundle.competition.name)
    write_json(folder / DATASET / "dataset-metadata.json", dataset_metadata(slug, owner))
    for name, cells, has_gpu in ((PREDICT, predict_cells, False), (TRAIN, train_cells, True)):
        kernel = kernel_metadata(bundle.competition, name, owner, has_gpu)
        write_json(folder / name / "kernel-metadata.json", kernel)
        write_text(folder / name / f"{name}.ipynb", as_notebook(cells(bundle, slug)))
    write_text(folder / "README.md", readme(bundle, slug, owner))


def dataset_metadata(slug: str, owner: str) -> dict[str, Any]:
    """Return what `kaggle datasets create` asks for; data sets are private until their owner says otherwise.

    Source: github.com/Kaggle/kaggle-api, docs/datasets_metadata.md, and the checks in kaggle 2.2.4.
    """
    return {
        "title": _title(slug),
        "id": f"{owner}/{slug}",
        "licenses": [{"name": "other"}],
        "subtitle": "Models, class names and source of a Foldboard ensemble",
        "description": "Written by make notebook. The licence is that of the photos and of the pre-trained weights.",
    }


def kernel_metadata(competition: Competition, ending: str, owner: str, has_gpu: bool) -> dict[str, Any]:
    """Return what `kaggle kernels push` asks for: a private notebook without network.

    Source: github.com/Kaggle/kaggle-api, docs/kernels_metadata.md, and the checks in kaggle 2.2.4.
    """
    slug = slug_of(competition.name, f"-{ending}")
    sources = [
        source.removeprefix("kaggle-dataset:") for source in competition.sources if source.startswith("kaggle-dataset:")
    ]
    return {
        "id": f"{owner}/{slug}",
        "title": _title(slug),
        "code_file": f"{ending}.ipynb",
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": has_gpu,
        "enable_tpu": False,
        "enable_internet": False,
        "dataset_sources": [f"{owner}/{slug_of(competition.name)}", *sources],
        "competition_sources": [competition.slug] if competition.slug else [],
        "kernel_sources": [],
        "model_sources": [],
    }


def as_notebook(cells: list[tuple[str, str]]) -> str:
    """Return (kind, text) cells, kind `markdown` or `code`, as the text of an .ipynb; the same cells are the same text."""
    import nbformat
    from nbformat import v4

    make = {"markdown": v4.new_markdown_cell, "code": v4.new_code_cell}
    notebook = v4.new_notebook(
        cells=[make[kind](text.strip("\n"), id=f"{kind}-{number}") for number, (kind, text) in enumerate(cells)],
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
    )
    nbformat.validate(notebook)
    return f"{nbformat.writes(notebook)}\n"


def _say_next(folder: Path, owner: str, record: Competition) -> None:
    n_bytes = n_bytes_of(path for path in folder.rglob("*"))
    say(f"packed into {relative(folder)}, {n_bytes / 1e6:,.1f} MB; README.md there says how to bring it to Kaggle")
    if owner == NOBODY:
        say(f"the account is still {NOBODY}: OWNER=name writes it into the three metadata files")
    if record.submission != "label":
        say(f"{record.name} wants {record.submission}: submission.csv names the likeliest class, as make predict does")
