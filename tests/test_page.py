"""The report: self-contained, escaped, described for who cannot see it; its numbers are those of the tables; bad input is told."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from comp.engines.inline import InlineEngine
from comp.errors import BadInput
from comp.images import PhotoFacts
from comp.tables import Tables
from comp.twins import no_twins
from folds.dataset import Dataset, make_dataset
from submissions.leaderboard import leaderboard
from submissions.ledger import Event, append
from submissions.report.charts import round_numbers, thinned
from submissions.report.make import Wishes, make_report
from submissions.report.studies import study_told
from submissions.report.theme import INK, Plots, label
from tests.made import SQUARES, squares_dataset
from tests.made_report import COMPETITION, WILD, visible, wild_report, wild_squares, with_curves
from tests.made_runs import finished_run
from tests.test_report import made_study


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page about wild squares, made once for the tests that only read it."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("wild")
        patch.chdir(folder)
        return (folder / wild_report(folder)).resolve()


def test_page_needs_nothing_from_outside_and_no_script(page: Path) -> None:
    text = page.read_text()
    asked = re.findall(r"""(?:src|href)=["']?([^"'> ]*)""", text)
    assert asked and all(where.startswith(("data:", "#")) for where in asked)
    assert "<script" not in text and not re.search(r"\son\w+=", text)
    assert not re.search(r"url\((?!#)|@import", text)


def test_every_picture_has_words(page: Path) -> None:
    text = page.read_text()
    images, drawings = re.findall(r"<img [^>]*>", text), re.findall(r"<svg [^>]*>", text)
    assert len(images) > 10 and len(drawings) > 8
    assert all(re.search(r'alt="[^"]+"', image) for image in images)
    assert all('role="img"' in each and re.search(r'aria-label="[^"]+"', each) for each in drawings)


def test_names_of_the_data_stay_text(page: Path) -> None:
    text = page.read_text()
    for name in (*WILD, "<i>odd</i>", COMPETITION.title):
        assert name in unescape(text)
    assert not any(tag in text for tag in ("<script>", "<i>odd", "<b>square"))


def test_each_plot_lies_beside_the_page_as_png_and_svg(page: Path) -> None:
    stems = {path.stem for path in (page.parent / "plots").glob("*.png")}
    assert {
        "leaderboard",
        "f1-by-family",
        "reliability",
        "folds",
        "photos-per-family",
        "confusion",
        "ensemble",
    } <= stems
    for stem in stems:
        root = ElementTree.parse(page.parent / "plots" / f"{stem}.svg").getroot()
        assert root.tag.endswith("svg")


def test_ids_of_plots_are_their_own_and_colours_are_those_of_the_page(page: Path) -> None:
    text = page.read_text()
    ids = re.findall(r'\sid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert INK not in text.partition("</style>")[2] and "var(--ink)" in text


def test_numbers_in_the_text_are_those_of_the_tables(in_folder: Path) -> None:
    dataset, _ = wild_squares(in_folder / "data")
    finished_run(dataset, skill=2.0)
    text = visible(make_report(dataset, COMPETITION, Wishes(data=in_folder / "data"), InlineEngine()))
    best = leaderboard(dataset, COMPETITION)[0]
    assert f"{best.cv:.4f} macro_f1 (1 is perfect), 95 % interval {best.low:.4f} to {best.high:.4f}" in text
    assert "the report is about the best run" in text and "Left out" in text and "its models were not kept" in text
    assert "36 train photos of 3 classes, 12 to 12 a class" in text and "There is no ledger" in text


def test_without_photos_the_report_says_so_and_has_no_gallery(in_folder: Path) -> None:
    dataset, _ = wild_squares(in_folder / "data")
    finished_run(dataset)
    for folder in ("data", "cache"):
        shutil.rmtree(folder)
    path = make_report(dataset, COMPETITION, Wishes(data=in_folder / "data"), InlineEngine())
    assert "The photos are gone" in visible(path) and "<img" not in path.read_text()


def test_photos_that_only_the_cache_has_are_shown(in_folder: Path) -> None:
    dataset, _ = wild_squares(in_folder / "data")
    finished_run(dataset)
    shutil.rmtree("data")
    path = make_report(dataset, COMPETITION, Wishes(data=in_folder / "data"), InlineEngine())
    assert "as the image cache has them" in visible(path) and "<img" in path.read_text()


def test_no_finished_run_is_one_clear_line(in_folder: Path) -> None:
    dataset, _ = squares_dataset(in_folder / "data")
    with pytest.raises(BadInput, match=r"no finished run of squares over fold table .* make submit makes some"):
        make_report(dataset, SQUARES, Wishes(), InlineEngine())


def made_table(n_classes: int, n_rows: int) -> Dataset:
    """Return a fold table whose photos are named but nowhere."""
    rows = [(f"{i}", f"{i}.jpg", f"family{i % n_classes:04d}") for i in range(n_rows)]
    train = pd.DataFrame(rows, columns=["id", "path", "label"], dtype=str)
    photos = {path: PhotoFacts(f"{i:064x}", 200, 100, "RGB") for i, path in enumerate(train["path"])}
    return make_dataset(Tables(SQUARES, Path("gone"), train), photos, no_twins(n_rows), 3)


def test_one_family_only_is_reported(in_folder: Path) -> None:
    dataset = made_table(1, 30)
    finished_run(dataset)
    text = visible(make_report(dataset, SQUARES, Wishes(data=Path("gone")), InlineEngine()))
    assert "1.0000 macro_f1" in text and "every photo is answered right" in text


@pytest.mark.slow
def test_a_thousand_families_and_ten_thousand_epochs_make_a_small_page(in_folder: Path) -> None:
    dataset = made_table(1000, 4000)
    with_curves(finished_run(dataset, skill=6.0), dataset.n_folds, 10_000)
    path = make_report(dataset, SQUARES, Wishes(data=Path("gone")), InlineEngine())
    assert "All 1,000 classes" in visible(path) and path.stat().st_size < 2_000_000


def test_what_the_ledger_knows_is_held_against_cv(in_folder: Path) -> None:
    dataset, _ = wild_squares(in_folder / "data")
    finished_run(dataset)
    common = {"competition": "squares", "metric": "macro_f1", "cv": "0.8", "cv_se": "0.01", "lb_se": "0.02"}
    for number, public in (("7", "0.79"), ("8", "0.81")):
        found = {"sha256": number, "tag": number, "reference": number, "public_score": public, "status": "COMPLETE"}
        append(Event(event="scored", **common, **found))
    path = make_report(dataset, COMPETITION, Wishes(data=in_folder / "data"), InlineEngine())
    assert "2 submissions on the board" in visible(path) and (path.parent / "plots" / "cv-and-lb.svg").is_file()


def test_transcripts_get_what_needs_no_classes_and_a_line(in_folder: Path) -> None:
    dataset, _ = wild_squares(in_folder / "data")
    finished_run(dataset)
    words = replace(COMPETITION, task="transcribe", metric="cer", condition_column=None)
    text = visible(make_report(dataset, words, Wishes(data=in_folder / "data"), InlineEngine()))
    assert "transcribe" in text and "left out" in text and "What was run" in text and "One minute" not in text


def test_a_study_is_told_with_history_importances_and_slices(in_folder: Path) -> None:
    plots = Plots(Path("plots"))
    told = study_told(made_study(6), "macro_f1", plots)
    assert told["complete"] == 6 and told["best_words"] == "strength 0.5"
    assert [plot.name.rsplit("-", 1)[1] for plot in told["plots"]] == ["history", "importance", "slices"]
    assert study_told(made_study(1), "macro_f1", plots)["plots"] == []


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    at = thinned(10_000)
    assert len(at) <= 200 and (at[0], at[-1]) == (0, 9_999) and (np.diff(at) > 0).all()
    assert thinned(3).tolist() == [0, 1, 2] and thinned(0).tolist() == []


def test_ticks_are_round_and_around_the_numbers() -> None:
    assert round_numbers(16, 280) == [10, 20, 50, 100, 200, 500]
    assert round_numbers(1, 1) == [1]


def test_names_are_cut_and_cleaned_for_plots() -> None:
    assert label("a\x00b\n") == "a·b·"
    assert label("x" * 40) == "x" * 23 + "…"
    assert label("mobilenet-V2-probe-224px-s0-4d87118a", 20, end=9) == "mobilenet-…-4d87118a"


def test_a_formula_in_a_name_is_no_formula(in_folder: Path) -> None:
    def paint(figure: object) -> None:
        figure.add_subplot().set_title(r"$\frac{")  # type: ignore[attr-defined]

    plot = Plots(Path("plots")).draw("one", 'says "<b>"', "", paint)
    assert r"$\frac{" in plot.svg and "&lt;b&gt;" in plot.svg
