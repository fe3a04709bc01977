"""Where runs lie on disk: this module alone knows their paths.

runs/<competition>/<data8>/            table.csv, folds.csv, dataset.json
    <candidate>-<recipe8>/             run.json, oof.npy, test.npy, predictions.json, done.json; trial.json
        fold-<k>/                      valid.npy, test.npy, model.weights.h5, history.json, log.txt, done.json
        views/                         fold-<k>/, test-<n>/: the same rows by view, and under the mean of n views
    submissions/<hash8>.csv and .json
    tuning/<candidate>/                study.journal, logs and signs of life of its workers
    tuned/<candidate>.json             what a study found
    lexicons/<sha8>.txt                lists of words that transcripts were decoded with
runs/ledger.csv
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comp.augment import POLICY_VERSION
from comp.images import DECODE_VERSION
from comp.spec import Candidate, Recipe
from comp.store import key_of, read_json

RUNS = Path("runs")
MODEL = "model.weights.h5"  # what was trained, in the folder of a fold or of a part of one
RESULTS_VERSION = 4  # raised by hand when code changes results: runs of another version are made again


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """All that decides a run's numbers, before it is made.

    Attributes:
        candidate: With variant, fit and pixels filled in.
        facts: Competition facts that change numbers.
        data8: The fold table it is trained over.
        weights_sha: Hash of the pre-trained weights, or the empty string.
        weights_path: Where they lie on this machine; not part of the key, their content is.
        precision: Keras' name of the dtype policy that the backbone computes in.
    """

    candidate: Candidate
    recipe: Recipe
    seed: int
    facts: dict[str, Any]
    data8: str
    threads: int
    backend: str
    weights_sha: str = ""
    weights_path: str = ""
    precision: str = "float32"

    def key_parts(self) -> dict[str, Any]:
        """Return what the run's key hashes: two plans with equal parts give the same numbers."""
        return {
            "versions": {"results": RESULTS_VERSION, "pixels": DECODE_VERSION, "policy": POLICY_VERSION},
            "candidate": str(self.candidate),
            "recipe": self.recipe.as_dict(),
            "seed": self.seed,
            "competition": self.facts,
            "data8": self.data8,
            "threads": self.threads,
            "backend": self.backend,
            "weights": self.weights_sha,
            "precision": self.precision,
        }

    @property
    def fit_precision(self) -> str:
        """Return the dtype policy of what is trained: a head on features is always trained in float32."""
        return "float32" if self.candidate.fit == "probe" else self.precision

    @property
    def key(self) -> str:
        """Return the run's key: 64 hexadecimal digits."""
        return key_of(self.key_parts())

    @property
    def name(self) -> str:
        """Return the name of the run's folder: readable, and different for different keys."""
        return f"{in_a_path(self.candidate)}-s{self.seed}-{self.key[:8]}"


def in_a_path(candidate: Candidate | str) -> str:
    """Return a candidate as it stands in the name of a folder or file."""
    return re.sub(r"[^\w.-]+", "-", f"{candidate}".replace("/", ""))


def tuning_dir(dataset: Path, candidate: Candidate) -> Path:
    """Return where a candidate's study lies."""
    return dataset / "tuning" / in_a_path(candidate)


def tuned_path(dataset: Path, candidate: Candidate) -> Path:
    """Return where the recipe lies that a candidate's study found."""
    return dataset / "tuned" / f"{in_a_path(candidate)}.json"


def dataset_dir(competition: str, data8: str, runs: Path = RUNS) -> Path:
    """Return the folder of one fold table and all that was computed over it."""
    return runs / competition / data8


def run_dir(dataset: Path, plan: RunPlan) -> Path:
    """Return the folder of a run."""
    return dataset / plan.name


def fold_dir(run: Path, fold: int) -> Path:
    """Return the folder of one fold of a run."""
    return run / f"fold-{fold}"


def views_dir(run: Path, name: str) -> Path:
    """Return the folder of what a run says of some rows by view: `fold-<k>`, or `test-<n>` for the mean of n views."""
    return run / "views" / name


def lexicon_path(dataset: Path, sha8: str) -> Path:
    """Return where a list of words lies that transcripts were decoded with."""
    return dataset / "lexicons" / f"{sha8}.txt"


def repeat_mark(dataset: Path) -> Path:
    """Return the file that marks another assignment of the rows of a fold table (REPEATS, tune): never what a command means."""
    return dataset / "repeat.json"


def trial_mark(run: Path) -> Path:
    """Return the file that marks a run as trained by a search alone: no table lists it until a plan uses it."""
    return run / "trial.json"


def submission_path(dataset: Path, sha: str) -> Path:
    """Return where a CSV with that hash lies; its manifest has the same name with `.json`."""
    return dataset / "submissions" / f"{sha[:8]}.csv"


def other_datasets(competition: str, data8: str, runs: Path = RUNS) -> list[str]:
    """Return the other fold tables of a competition that have runs here."""
    folders = (runs / competition).glob("*/dataset.json")
    return sorted(path.parent.name for path in folders if path.parent.name != data8)


def read_run(run: Path) -> dict[str, Any]:
    """Return a run's `run.json`."""
    facts: dict[str, Any] = read_json(run / "run.json")
    return facts


def plan_of(run: Path) -> RunPlan:
    """Return the plan that a run's `run.json` was written from."""
    facts = read_run(run)
    parts = facts["key_parts"]
    return RunPlan(
        candidate=Candidate(**facts["candidate"]),
        recipe=Recipe(**parts["recipe"]),
        seed=int(parts["seed"]),
        facts=parts["competition"],
        data8=parts["data8"],
        threads=parts["threads"],
        backend=parts["backend"],
        weights_sha=parts["weights"],
        precision=parts["precision"],
    )


def run_folders(competition: str, runs: Path = RUNS) -> list[Path]:
    """Return the folders of all runs of a competition, over whatever fold table."""
    return sorted(path.parent for path in (runs / competition).glob("*/*/run.json"))
