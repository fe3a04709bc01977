"""The report made: facts gathered section by section, plots drawn beside the page, the page written last."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comp.console import relative, say
from comp.engine import Engine
from comp.spec import Competition
from comp.store import write_text
from folds.dataset import Dataset
from submissions.commands import command_line
from submissions.report.data import data_facts, first_rows
from submissions.report.gradcam import gradcam_facts
from submissions.report.judge import Judge, judge_of
from submissions.report.method import method_facts, shown_shas
from submissions.report.mistakes import mistake_facts, surest
from submissions.report.page import render
from submissions.report.photos import Album, open_album
from submissions.report.ran import ran_facts
from submissions.report.results import result_facts
from submissions.report.studies import study_facts
from submissions.report.summary import summary_facts
from submissions.report.theme import Plots
from submissions.stored import finished_runs

PAGE, PLOTS = "report.html", "plots"


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

    Raises:
        BadInput: If there is no finished run.
        Refused: If a CSV that is named cannot be made again.
    """
    out = wishes.out or dataset.folder / "report" / PAGE
    plots = Plots(out.parent / PLOTS)
    judge = judge_of(dataset, competition, wishes.file)
    album = open_album(dataset, competition, wishes.data, wishes.data_root, engine)
    album.fetch([*first_rows(dataset)["sha"], *shown_shas(dataset), *(one.sha for one in surest(judge))])
    facts = _facts(judge, competition, album, wishes, plots)
    write_text(out, render(facts))
    for note in facts["notes"]:
        say(note)
    say(f"{len(plots.made)} plots as PNG and SVG in {relative(plots.folder)}")
    return out


def _facts(judge: Judge, competition: Competition, album: Album, wishes: Wishes, plots: Plots) -> dict[str, Any]:
    dataset = judge.dataset
    runs = finished_runs(dataset.folder)
    results = result_facts(judge, competition, runs, wishes.ledger, plots)
    mistakes = mistake_facts(judge, competition, album, plots)
    studies, notes = study_facts(dataset, competition.name, competition.metric, plots)
    return {
        "title": competition.title,
        "made": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "notes": [*_photo_notes(album), *notes],
        "summary": summary_facts(judge, competition, results, mistakes),
        "data": data_facts(dataset, competition, album, plots),
        "method": method_facts(dataset, competition, runs, album),
        "studies": studies,
        "results": results,
        "mistakes": mistakes,
        "gradcam": gradcam_facts(judge, album, wishes.weights),
        "ran": ran_facts(judge, runs, command_line()),
    }


def _photo_notes(album: Album) -> list[str]:
    """Return what is not shown because photos are gone."""
    if album.tables is not None:
        return []
    shown = [sha for sha in album.dataset.in_folds["sha"] if album.pixels(sha) is not None]
    if shown:
        return [f"The photos cannot be read anew ({album.why_gone}): they are shown as the image cache has them."]
    return [
        f"The photos are gone ({album.why_gone}): the gallery, augmentation, the photos of mistakes and Grad-CAM are left out."
    ]
