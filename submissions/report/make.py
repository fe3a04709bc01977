"""The report made: facts gathered section by section, plots drawn beside the page, the page written last."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comp.console import relative, say
from comp.engine import Engine
from comp.errors import BadInput
from comp.spec import Competition
from comp.store import read_marker, write_text
from comp.typed import command_line
from folds.dataset import Dataset
from folds.runs import fold_dir
from submissions.report.data import data_facts, first_rows
from submissions.report.gradcam import gradcam_facts
from submissions.report.judge import NO_RUN, Judge, judge_of, newest_first
from submissions.report.method import method_facts, shown_shas
from submissions.report.mistakes import mistake_facts, surest
from submissions.report.page import render
from submissions.report.photos import Album, open_album
from submissions.report.ran import ran_facts
from submissions.report.results import curves, result_facts
from submissions.report.studies import study_facts
from submissions.report.summary import summary_facts
from submissions.report.theme import Plots
from submissions.stored import finished_runs, read_manifest

PAGE, PLOTS = "report.html", "plots"
LEFT_OUT = (
    "Task transcribe: the leaderboard, scores by class, confusion, confidence, mistakes and Grad-CAM are left out, for they "
    "are told by class; make leaderboard shows the scores."
)


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the person asked for.

    Attributes:
        file: A CSV of ours that is judged; None takes the newest that can be made again.
        out: Where the page is wanted; its plots go into a folder `plots` beside it.
        weights: Folder of pre-trained weights, which Grad-CAM needs for runs on frozen backbones.
    """

    data: Path | None = None
    data_root: Path = Path("data")
    file: Path | None = None
    ledger: Path = Path("runs/ledger.csv")
    weights: str | None = None
    out: Path | None = None


def make_report(dataset: Dataset, competition: Competition, wishes: Wishes, engine: Engine) -> Path:
    """Write the page and its plots from what is stored, and return the page's path; nothing is trained.

    Transcripts have no classes: their report leaves out what is told by class, and says so.

    Raises:
        BadInput: If there is no finished run.
        Refused: If a CSV that is named cannot be made again.
    """
    out = wishes.out or dataset.folder / "report" / PAGE
    plots = Plots(out.parent / PLOTS)
    is_classify = competition.task == "classify"
    judge = judge_of(dataset, competition, wishes.file) if is_classify else None
    album = open_album(dataset, competition, wishes.data, wishes.data_root, engine)
    album.fetch(_shown(dataset, judge))
    runs = finished_runs(dataset.folder) if is_classify else trained_runs(dataset, competition)
    manifest = judge.manifest if judge else _newest_manifest(dataset)
    facts = {
        **_common_facts(dataset, competition, album, runs, plots),
        **_judged_facts(judge, competition, album, wishes, plots),
        "ran": ran_facts(dataset, manifest or {}, runs, command_line()),
    }
    write_text(out, render(facts))
    for note in facts["notes"]:
        say(note)
    if not is_classify:
        say(LEFT_OUT)
    say(f"{len(plots.made)} plots as PNG and SVG in {relative(plots.folder)}")
    return out


def _shown(dataset: Dataset, judge: Judge | None) -> list[str]:
    """Return the content hashes of the photos that the page shows."""
    mistakes = [one.sha for one in surest(judge)] if judge else []
    return [*first_rows(dataset)["sha"], *shown_shas(dataset), *mistakes]


def _newest_manifest(dataset: Dataset) -> dict[str, Any] | None:
    files = newest_first(dataset)
    return read_manifest(files[0]) if files else None


def trained_runs(dataset: Dataset, competition: Competition) -> list[Path]:
    """Return the folders of runs with a finished fold, whatever they predict.

    Raises:
        BadInput: If there is none.
    """
    folders = [path.parent for path in sorted(dataset.folder.glob("*/run.json"))]
    found = [run for run in folders if any(read_marker(fold_dir(run, k)) for k in range(dataset.n_folds))]
    if not found:
        raise BadInput(NO_RUN.format(competition=competition.name, data8=dataset.data8))
    return found


def _common_facts(
    dataset: Dataset, competition: Competition, album: Album, runs: list[Path], plots: Plots
) -> dict[str, Any]:
    studies, notes = study_facts(dataset, competition.name, competition.metric, plots)
    return {
        "title": competition.title,
        "made": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "notes": [*_photo_notes(album), *notes],
        "data": data_facts(dataset, competition, album, plots),
        "method": method_facts(dataset, competition, runs, album),
        "studies": studies,
        "curves": curves(dataset, runs, plots),
    }


def _judged_facts(
    judge: Judge | None, competition: Competition, album: Album, wishes: Wishes, plots: Plots
) -> dict[str, Any]:
    """Return what is told of answers by class, or that it is left out."""
    if judge is None:
        return {"results": None, "summary": None, "left_out": LEFT_OUT}
    results = result_facts(judge, competition, wishes.ledger, plots)
    mistakes = mistake_facts(judge, competition, album, plots)
    return {
        "results": results,
        "mistakes": mistakes,
        "summary": summary_facts(judge, competition, results, mistakes),
        "gradcam": gradcam_facts(judge, album, wishes.weights),
    }


def _photo_notes(album: Album) -> list[str]:
    """Return what is not shown because photos are gone."""
    if album.tables is not None:
        return []
    if any(album.pixels(sha) is not None for sha in album.dataset.in_folds["sha"]):
        return [f"The photos cannot be read anew ({album.why_gone}): they are shown as the image cache has them."]
    what = "the gallery, augmentation, the photos of mistakes and Grad-CAM are left out"
    return [f"The photos are gone ({album.why_gone}): {what}."]
