"""The layout of one folder a class: raw files become rows, and the folder's name is the label.

    train/<class>/*.jpg, test/*.jpg, sample_submission.csv     the last two may be absent
    <class>/*.jpg                                              the same without a train folder

Hidden files, and files that are no photos by their suffix, are left out and counted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePath

import pandas as pd

from comp.errors import BadInput
from comp.spec import Competition
from comp.tables import Tables, read_csv, shown

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


def read(competition: Competition, data_dir: Path) -> Tables:
    """Return a row for each photo, folders and files in natural order (2.jpg before 10.jpg).

    A train id is the path below `data_dir`; a test id is the file's name without or with its suffix: whichever the
    sample submission uses.

    Raises:
        BadInput: If there is no class folder, or none holds a photo.
    """
    train_dir = data_dir / competition.train_folder
    is_nested = bool(competition.train_folder) and train_dir.is_dir()
    top = train_dir if is_nested else data_dir
    classes = [folder for folder in folders_in(top) if is_nested or folder != competition.test_folder]
    photos = {folder: photos_in(top / folder) for folder in classes}
    rows = [(path_below(data_dir, top / folder / photo), folder) for folder in classes for photo in photos[folder]]
    if not rows:
        raise BadInput(
            f"no photos in class folders below {top}: expected {top.name}/<class>/1.jpg and so on, "
            f"got {len(classes)} folders and {len(photos_in(top))} photos outside them; check DATA="
        )
    train = pd.DataFrame([(path, path, folder) for path, folder in rows], columns=["id", "path", "label"], dtype="str")
    sample_path = data_dir / competition.sample_submission
    sample = read_csv(sample_path) if sample_path.is_file() else None
    test = _read_test(competition, data_dir, sample)
    notes = _notes(top, photos, None if test is None else data_dir / competition.test_folder)
    if test is None and sample is not None:
        notes.append(f"{sample_path.name} is not used: {competition.test_folder}/ holds no photos that it could be for")
    return Tables(competition, data_dir, train, test, sample if test is not None else None, notes=tuple(notes))


def photos_in(folder: Path) -> list[str]:
    """Return the names of the files directly in a folder that are photos by their suffix, in natural order."""
    names = (entry.name for entry in _entries(folder) if entry.is_file() and is_photo_name(entry.name))
    return sorted(names, key=natural_key)


def folders_in(folder: Path) -> list[str]:
    """Return the names of the folders directly in a folder, hidden ones left out, in natural order."""
    names = (entry.name for entry in _entries(folder) if entry.is_dir() and _can_be_named(entry.name))
    return sorted(names, key=natural_key)


def is_photo_name(name: str) -> bool:
    """Return whether a file name has the suffix of an image that can be decoded, and is not hidden."""
    return _can_be_named(name) and PurePath(name).suffix.lower() in IMAGE_SUFFIXES


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Return a sort key that compares runs of digits as numbers; names that differ never compare equal."""
    parts = re.split(r"(\d+)", name)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name


def path_below(data_dir: Path, path: Path) -> str:
    """Return the path of a photo as tables write it: relative to the data folder, with slashes."""
    return path.relative_to(data_dir).as_posix()


def _can_be_named(name: str) -> bool:
    """Return whether a name can stand in a CSV: it is not hidden, and its bytes are UTF-8."""
    return not name.startswith(".") and not any("\udc80" <= character <= "\udcff" for character in name)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BadInput(f"folder {folder} cannot be read: {error.strerror}; expected a folder of photos") from error


def _read_test(competition: Competition, data_dir: Path, sample: pd.DataFrame | None) -> pd.DataFrame | None:
    photos = photos_in(data_dir / competition.test_folder) if competition.test_folder else []
    if not photos:
        return None
    paths = [path_below(data_dir, data_dir / competition.test_folder / photo) for photo in photos]
    return pd.DataFrame({"id": _test_ids(photos, sample), "path": paths}, dtype="str")


def _test_ids(photos: Sequence[str], sample: pd.DataFrame | None) -> list[str]:
    """Return stems or whole file names: whichever the sample's first column has more of, stems where it has neither."""
    whole, stems = list(photos), [PurePath(photo).stem for photo in photos]
    if sample is None:
        return stems if len(set(stems)) == len(stems) else whole
    wanted = set(sample.iloc[:, 0])
    return whole if len(wanted & set(whole)) > len(wanted & set(stems)) else stems


def _notes(top: Path, photos: dict[str, list[str]], test_dir: Path | None) -> list[str]:
    """Return a line for class folders without photos and for files that are no photos, where there are any."""
    notes = []
    empty = [folder for folder, found in photos.items() if not found]
    if empty:
        notes.append(f"{len(empty)} folders in {top} hold no photos and are no class (first: {shown(empty)})")
    folders = [top / folder for folder in photos] + ([test_dir] if test_dir else [])
    others = [entry.path for folder in folders for entry in _entries(folder) if _is_left_out(entry)]
    if others:
        notes.append(f"{len(others)} files are no photos by their name and left out (first: {shown(sorted(others))})")
    return notes


def _is_left_out(entry: os.DirEntry[str]) -> bool:
    return entry.is_file() and not entry.name.startswith(".") and not is_photo_name(entry.name)
