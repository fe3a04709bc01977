"""What the notebooks say and do, cell by cell: prose with the manifest's numbers in it, and calls of the project's functions."""

from __future__ import annotations

from html import escape
from typing import Any

from comp.candidates import parse_candidates
from comp.spec import Competition
from submissions.bundle import Bundle, candidate_of

Cells = list[tuple[str, str]]  # (`markdown` or `code`, text)

SOURCE = """
import sys

sys.path.insert(0, str(DATASET / "source"))
os.chdir(tempfile.mkdtemp())  # decoded photos and features go there, and do not become output

from comp.backend import prepare_environment

prepare_environment()  # the threads that the models were trained with

from submissions.bundle import {names}

bundle = open_bundle(DATASET)
print(describe(bundle))
print(version_line(bundle))
"""
FIND = """
from submissions.predict import find_photos, write_answers

photos = find_photos(PHOTOS, bundle.competition, {known})
print(f"{{len(photos.paths):,}} photos")
"""
LOOK = """
from IPython.display import Image

from submissions.contact import sheet_of, words_of

for words in words_of(photos, classes, table):
    print(*words, sep=" | ")
Image(sheet_of(photos, classes, table), alt="the first photos with their likeliest classes")
"""
WRITE = """
from comp.tables import read_csv

path = write_answers(photos, bundle.competition, classes, table, top=1, out=WORKING / "submission.csv")
read_csv(path).head()
"""
FIT = """
from submissions.elsewhere import train_candidate, write_for_add_run

trained = train_candidate(bundle, DATA, CANDIDATE, PRESET, WEIGHTS, PRECISION)
"""
TAKE_HOME = """
for path in write_for_add_run(bundle, trained, NAME, WORKING):
    print(path.name)
"""


def predict_cells(bundle: Bundle, slug: str) -> Cells:
    """Return the notebook that answers photos: where things are, who answers, a look at a few, the CSV.

    Args:
        slug: What the data set is called in its address.
    """
    competition = bundle.competition
    return [
        ("markdown", _predict_title(bundle)),
        (
            "markdown",
            _where(slug, "photos to answer: a folder, or a CSV with a column of paths, which may tell ids and more"),
        ),
        ("code", _paths(slug) + _photos(competition)),
        (
            "markdown",
            "## Who answers\n\nEvery run below has one model a fold; all of them are asked, and the ensemble weighs them.",
        ),
        ("code", SOURCE.format(names="ask, describe, open_bundle, version_line")),
        ("markdown", "## The photos"),
        ("code", FIND.format(known="CONDITION" if competition.condition_column else "None")),
        (
            "markdown",
            "## The answers\n\nEach photo is decoded once. One that cannot be read gets the shares of the classes.",
        ),
        ("code", "classes, table = ask(bundle, photos)\nprint(table.shape)"),
        ("markdown", "## A look at the first ones\n\nThe likeliest classes of each, with their probabilities."),
        ("code", LOOK),
        ("markdown", _csv_words(competition)),
        ("code", WRITE),
    ]


def _predict_title(bundle: Bundle) -> str:
    manifest = bundle.manifest
    n_runs, cv = len(manifest["runs"]), manifest["cv"]
    who = "one run" if n_runs == 1 else f"an ensemble of {n_runs} runs"
    return (
        f"# {escape(bundle.competition.title, quote=False)}\n\n"
        f"{who.capitalize()}, trained with Foldboard on {manifest['n_train']:,} rows of {manifest['n_classes']} classes, answers "
        f"photos here. Nothing is trained, nothing is downloaded: the models came along as a data set.\n\n"
        f"What to expect: {manifest['metric']} **{cv['score']:.4f}** in cross-validation (95 % interval {cv['low']:.4f} to "
        f"{cv['high']:.4f}), each train row answered only by models that never saw it."
    )


def _csv_words(competition: Competition) -> str:
    same = (
        "It is what `python -m submissions predict` writes of the same photos: with the same libraries, byte for byte."
    )
    head = f"## The CSV\n\n`submission.csv` has the columns `{competition.id_column}` and `{competition.target_column}`. {same}"
    if competition.submission == "label":
        return head
    return f"{head} The competition asks for {competition.submission}; `table` above holds them."


def _where(slug: str, what: str) -> str:
    return (
        f"## Where things are\n\nOn Kaggle attach the data set `{slug}` (Add input) and the {what}. Elsewhere the data set is taken "
        "from beside this notebook's folder. The environment variables, or an edit of the next cell, name other places."
    )


def _paths(slug: str) -> str:
    """Return the cell that finds what the others need; it stands before the project can be imported, so it helps itself."""
    return f"""
import os
import tempfile
from glob import glob
from pathlib import Path


def place(variable, names, default):
    mounted = [hit for name in names for above in ("", "*/", "*/*/") for hit in glob(f"/kaggle/input/{{above}}{{name}}")]
    return Path(os.environ.get(variable) or next(iter(mounted), default)).resolve()


DATASET = place("FOLDBOARD_DATASET", ["{slug}"], "../dataset")
WORKING = place("FOLDBOARD_WORKING", [], "/kaggle/working" if Path("/kaggle/working").is_dir() else ".")
assert (DATASET / "source").is_dir(), "attach the data set {slug} (Add input), or name its folder: FOLDBOARD_DATASET"
"""


def _photos(competition: Competition) -> str:
    below = competition.test_table if competition.layout == "table" else competition.test_folder
    names = [f"{name}/{below}" for name in _names(competition)]
    cell = f'PHOTOS = place("FOLDBOARD_PHOTOS", {names!r}, "photos")\n'
    if competition.condition_column:
        cell += (
            f'CONDITION = os.environ.get("FOLDBOARD_CONDITION")  # one {competition.condition_column} of all photos, where known; '
            "a CSV may tell each photo's\n"
        )
    return cell


def _names(competition: Competition) -> list[str]:
    """Return the names that a competition's files may be mounted under."""
    owned = [source.rpartition("/")[2] for source in competition.sources if source.startswith("kaggle-dataset:")]
    slug = [competition.slug] if competition.slug else []
    return list(dict.fromkeys([*slug, *owned, *competition.folders]))


def train_cells(bundle: Bundle, slug: str) -> Cells:
    """Return the notebook that trains one candidate over the same folds and packs its predictions for add-run."""
    competition = bundle.competition
    return [
        ("markdown", _train_title(bundle)),
        ("markdown", _where(slug, "competition's raw files, photos and tables, as they were at home")),
        ("code", _paths(slug) + _data(competition)),
        ("markdown", _candidate_words()),
        ("code", _candidate(bundle)),
        ("markdown", "## The folds\n\nThe ensemble's own fold table comes with the data set: no row changes its fold."),
        ("code", SOURCE.format(names="describe, open_bundle, version_line")),
        ("markdown", _training_words()),
        ("code", FIT),
        ("markdown", _home_words(slug)),
        ("code", TAKE_HOME),
    ]


def _train_title(bundle: Bundle) -> str:
    manifest = bundle.manifest
    return (
        f"# {escape(bundle.competition.title, quote=False)}: one more candidate\n\n"
        f"Trains one candidate on this machine's GPU, over the folds of an ensemble that scores {manifest['metric']} "
        f"**{manifest['cv']['score']:.4f}** at home. What comes out are two CSVs: every train row predicted by the model that did "
        "not see it, and the test rows. At home `add-run` checks them and puts them beside the other runs."
    )


def _data(competition: Competition) -> str:
    if competition.sample:
        return (
            'DATA = place("FOLDBOARD_DATA", [], "") if "FOLDBOARD_DATA" in os.environ else None  # None: drawn here\n'
        )
    default = f"data/{competition.name}"
    return f'DATA = place("FOLDBOARD_DATA", {_names(competition)!r}, {default!r})\n'


def _candidate_words() -> str:
    return (
        "## What is trained\n\n`name[:variant]:fit`, a fit being `scratch`, `probe`, `tail` or `full`. Pre-trained weights are looked "
        "for in the data set, which has those of the ensemble's runs; for another backbone attach its file and name its folder. "
        "`fp32` suits the GPUs of Kaggle, which have no bf16."
    )


def _candidate(bundle: Bundle) -> str:
    return f"""
CANDIDATE = os.environ.get("FOLDBOARD_CANDIDATE", "{suggested(bundle)}")
PRESET = os.environ.get("FOLDBOARD_PRESET", "standard")  # quick, standard or best
WEIGHTS = place("FOLDBOARD_WEIGHTS", [], DATASET / "weights")
PRECISION = "fp32"
NAME = os.environ.get("FOLDBOARD_NAME", "kaggle")  # what the predictions are called at home
"""


def suggested(bundle: Bundle) -> str:
    """Return the candidate to begin with: the backbone of the best run, trained whole where its weights are in the data set."""
    best: dict[str, Any] = max(bundle.manifest["runs"], key=lambda run: _gain(bundle, run))
    (candidate,) = parse_candidates(candidate_of(best))
    parts = [candidate.backbone, candidate.variant, "scratch" if candidate.fit == "scratch" else "full"]
    return ":".join(part for part in parts if part)


def _gain(bundle: Bundle, run: dict[str, Any]) -> float:
    from comp.metrics import metric

    sign = 1 if metric(bundle.manifest["metric"]).direction == "higher" else -1
    return float(sign * run["cv"]["score"])


def _training_words() -> str:
    return (
        "## Training\n\nFirst the photos are decoded and their content is compared with the fold table: other photos are refused before "
        "anything is trained. Then one fold after the other; the table at the end shows the score out-of-fold."
    )


def _home_words(slug: str) -> str:
    return (
        "## To take home\n\nBoth CSVs become output of this notebook: download them there, or with "
        f"`kaggle kernels output OWNER/{slug}-train`, then run the command that the next cell prints, and `make submit WITH=NAME`."
    )


def readme(bundle: Bundle, slug: str, owner: str) -> str:
    """Return the page that says how the folder comes to Kaggle."""
    return f"""# {bundle.competition.name}: an ensemble to take to Kaggle

1. `kaggle datasets create -p dataset --dir-mode zip` (later versions: `kaggle datasets version -p dataset --dir-mode zip -m again`)
2. `kaggle kernels push -p predict`: the notebook that answers photos without network; in a code competition, hand in its version
3. `kaggle kernels push -p train`: trains one candidate on a GPU and packs it for `add-run`

The three metadata files name the account `{owner}` and the data set `{slug}`. `--dir-mode zip` matters: without it folders stay at home.

Here: `jupyter nbconvert --execute --to notebook predict/predict.ipynb`, with FOLDBOARD_PHOTOS naming a folder or a CSV.
"""
