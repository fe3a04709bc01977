"""One table under one fold assignment, written down and fingerprinted: what every run of it shares.

table.csv      part, id, label, condition, group, sha: every row that is trained on or predicted, with its photo's content
folds.csv      id, fold
dataset.json   fingerprints of both, classes, number of folds and seed, twins, what was left out
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from comp.console import say
from comp.errors import BadInput, Refused
from comp.images import PhotoFacts
from comp.store import key_of, locked, read_json, sha256_of, sha256_of_file, write_json, write_text
from comp.tables import Tables, check_class_counts
from comp.text_metrics import composed
from comp.twins import TWINS_VERSION, Twins
from folds.assign import ASSIGN_VERSION, HOLDOUT, assign, classes_left_out, clusters_of
from folds.runs import RUNS, dataset_dir

COLUMNS = ["part", "id", "label", "condition", "group", "sha"]


@dataclass(frozen=True)
class Dataset:
    """A table under one fold assignment.

    Attributes:
        folder: runs/<competition>/<data8>.
        train: `id, label, condition, group, sha, fold`: readable rows in the order of the table; fold -1 is the hold-out.
        test: `id, condition, sha`: rows to predict, in the order of the table; `sha` is empty where the photo cannot be read.
        answers: The labels of the test rows where the hold-out plays the test set, else None. Used to score at the end only.
        facts: What stands in dataset.json.
    """

    folder: Path
    train: pd.DataFrame
    test: pd.DataFrame
    answers: pd.Series | None
    facts: dict[str, Any]

    @property
    def data8(self) -> str:
        """Return the first eight digits of the fingerprint of table, folds and fold seed."""
        return self.folder.name

    @property
    def n_folds(self) -> int:
        """Return the number of folds."""
        return int(self.facts["n_folds"])

    @property
    def is_text(self) -> bool:
        """Return whether labels are transcripts, and classes the blank and the characters that they are written in."""
        return bool(self.facts.get("task") == "transcribe")

    @cached_property
    def classes(self) -> list[str]:
        """Return the class names, sorted; column c of every prediction is class c."""
        return list(self.facts["classes"])

    @cached_property
    def in_folds(self) -> pd.DataFrame:
        """Return the train rows that are in a fold, in the order of the table: the rows of every out-of-fold table."""
        return self.train[self.train["fold"] != HOLDOUT].reset_index(drop=True)

    @cached_property
    def readable_test(self) -> pd.DataFrame:
        """Return the test rows whose photo can be read, in the order of the table: those that networks predict."""
        return self.test[self.test["sha"] != ""].reset_index(drop=True)

    @cached_property
    def truth(self) -> np.ndarray:
        """Return (N,) class index of the rows of `in_folds`."""
        return self.index_of(self.in_folds["label"])

    def index_of(self, labels: Sequence[str] | pd.Series) -> np.ndarray:
        """Return the class index of labels.

        Raises:
            Refused: If a label is none of the classes.
        """
        position = {name: index for index, name in enumerate(self.classes)}
        foreign = sorted(set(labels) - set(position))
        if foreign:
            raise Refused(f"{len(foreign)} labels are none of the {len(position)} classes, the first {foreign[0]!r}")
        return np.array([position[label] for label in labels], dtype=np.int64)


def make_dataset(
    tables: Tables, photos: dict[str, PhotoFacts], twins: Twins, n_folds: int, runs: Path = RUNS
) -> Dataset:
    """Assign folds once, write them down, and return the table under them; what is there already is checked and taken.

    Args:
        tables: The competition's tables.
        photos: What is known of each photo, by path.
        twins: Which readable train rows are twins, in their order.
        n_folds: Number of folds.

    Raises:
        BadInput: If a class has fewer rows than folds, or no class has one to hold out where the data have no test set.
        Refused: If the stored fold table was edited or torn.
    """
    folder = dataset_folder(tables, photos, n_folds, runs)
    if not (folder / "dataset.json").is_file():
        with locked(folder / ".lock", say):
            if not (folder / "dataset.json").is_file():
                _write(folder, _rows(tables, photos), twins, _settings(tables, n_folds))
    return load_dataset(folder)


def dataset_folder(tables: Tables, photos: dict[str, PhotoFacts], n_folds: int, runs: Path = RUNS) -> Path:
    """Return runs/<competition>/<data8>: data8 is the fingerprint of the rows, their photos, and how folds are assigned."""
    fingerprint = key_of([_settings(tables, n_folds), _rows(tables, photos).to_numpy().tolist()])
    return dataset_dir(tables.competition.name, fingerprint[:8], runs)


def _settings(tables: Tables, n_folds: int) -> dict[str, Any]:
    competition = tables.competition
    task = {"task": competition.task} if competition.task != "classify" else {}  # fold tables of old keep their names
    return {
        **task,
        "n_folds": n_folds,
        "fold_seed": competition.fold_seed,
        "group_column": competition.group_column,
        "has_holdout": tables.test is None,
        "twins": competition.twins,
        "versions": [ASSIGN_VERSION, TWINS_VERSION],
    }


def readable_train(tables: Tables, photos: dict[str, PhotoFacts]) -> pd.DataFrame:
    """Return the train rows whose photo can be read, in the order of the table."""
    readable = [not photos[path].unreadable for path in tables.train["path"]]
    return tables.train[readable].reset_index(drop=True)


def _rows(tables: Tables, photos: dict[str, PhotoFacts]) -> pd.DataFrame:
    train = readable_train(tables, photos).assign(part="train")
    test = pd.DataFrame(columns=["part", "id", "path"], dtype=str)
    if tables.test is not None:
        test = tables.test.assign(part="test")
    rows = pd.concat([train, test], ignore_index=True)
    rows["sha"] = ["" if photos[path].unreadable else photos[path].sha for path in rows["path"]]
    return rows.reindex(columns=COLUMNS, fill_value="").fillna("").astype(str)


def _write(folder: Path, rows: pd.DataFrame, twins: Twins, settings: dict[str, Any]) -> None:
    train = rows[rows["part"] == "train"].reset_index(drop=True)
    is_text = settings.get("task") == "transcribe"
    labels = [""] * len(train) if is_text else train["label"].tolist()  # texts are no strata
    n_folds = settings["n_folds"]
    if not 2 <= n_folds <= len(train):
        raise BadInput(f"FOLDS={n_folds}: expected 2 to {len(train)}, the number of readable train rows")
    groups = train["group"].tolist() if settings["group_column"] else None
    clusters = clusters_of(twins.cluster, groups)
    if groups is None and not is_text:
        check_class_counts(labels, n_folds)
    table = assign(train["id"].tolist(), labels, clusters, n_folds, settings["fold_seed"], settings["has_holdout"])
    inside = (table["fold"] != HOLDOUT).to_numpy()
    if settings["has_holdout"] and groups is None and inside.all():
        fewer = f"take fewer folds (FOLDS={n_folds - 1}), or " if n_folds > 2 else ""
        raise BadInput(
            f"{len(train)} train rows are too few to hold some out in place of a test table and leave {n_folds} of each class "
            f"to the folds: {fewer}give a test table"
        )
    if is_text:
        _check_groups(clusters[inside], settings)
    is_grouped = groups is not None and not is_text
    left_out = _left_out(train["label"][inside].tolist(), clusters[inside], settings) if is_grouped else []
    names = train["id"].tolist()
    write_text(folder / "table.csv", rows.to_csv(index=False))
    write_text(folder / "folds.csv", table.to_csv(index=False))
    facts = {
        **settings,
        "classes": alphabet_of(train["label"][inside]) if is_text else sorted(set(labels)),
        "classes_left_out": left_out,
        "twins_joined": [[names[i], names[j]] for i, j in twins.pairs],
        "twins_across_classes": [[names[i], names[j]] for i, j in twins.across],
        "crowds_not_joined": [[names[i] for i in crowd] for crowd in twins.oversized],
        "fingerprints": {name: sha256_of_file(folder / name) for name in ("table.csv", "folds.csv")},
    }
    write_json(folder / "dataset.json", facts)


def alphabet_of(texts: Iterable[str]) -> list[str]:
    """Return what the columns of frames read as: the blank, as the empty string, then the characters of the texts, sorted."""
    return ["", *sorted({character for text in texts for character in composed(text)})]


def _check_groups(clusters: np.ndarray, settings: dict[str, Any]) -> None:
    """Refuse fewer groups than folds: a fold would be empty."""
    n_clusters = len(np.unique(clusters))
    if n_clusters < settings["n_folds"]:
        fewer = f"fewer (FOLDS={n_clusters})" if n_clusters >= 2 else "more data"
        raise BadInput(
            f"GROUP={settings['group_column']}: {n_clusters} groups of rows for {settings['n_folds']} folds; "
            f"take {fewer} or another column"
        )


def _left_out(labels: list[str], clusters: np.ndarray, settings: dict[str, Any]) -> list[str]:
    """Return the classes with fewer groups than folds; at least one class must be left to score."""
    left_out = classes_left_out(labels, clusters, settings["n_folds"])
    if len(left_out) == len(set(labels)):
        raise BadInput(
            f"GROUP={settings['group_column']}: each of the {len(left_out)} classes has fewer groups than the "
            f"{settings['n_folds']} folds, so no score is left; take fewer (FOLDS=2) or another column"
        )
    return left_out


def load_dataset(folder: Path) -> Dataset:
    """Return the table under the folds that are stored in a folder.

    Raises:
        Refused: If the fold table or the table was edited, torn or removed since it was written.
    """
    facts = read_json(folder / "dataset.json")
    rows = _read_checked(folder, "table.csv", facts)
    fold_table = _read_checked(folder, "folds.csv", facts)
    train = rows[rows["part"] == "train"].drop(columns="part").reset_index(drop=True)
    if train["id"].tolist() != fold_table["id"].tolist():
        raise Refused(f"{folder / 'folds.csv'} names other ids than table.csv; remove {folder} and run again")
    train["fold"] = fold_table["fold"].astype(int)
    test = rows[rows["part"] == "test"].drop(columns=["part", "label"]).reset_index(drop=True)
    answers = None
    if facts["has_holdout"]:
        held = train[train["fold"] == HOLDOUT].reset_index(drop=True)
        test, answers = held.drop(columns=["label", "fold"]), held["label"]
    return Dataset(folder, train, test, answers, facts)


def _read_checked(folder: Path, name: str, facts: dict[str, Any]) -> pd.DataFrame:
    path = folder / name
    if not path.is_file():
        raise Refused(f"{path} is gone: remove the folder {folder} and run the same command again")
    content = path.read_bytes()
    expected, got = facts["fingerprints"][name], sha256_of(content)
    if got != expected:
        raise Refused(
            f"{path} was edited or torn: its fingerprint is {got[:8]}, expected {expected[:8]}; put the file back, or remove "
            f"the folder {folder} (its runs go with it) and run the same command again"
        )
    return pd.read_csv(StringIO(content.decode()), dtype=str, keep_default_na=False)
