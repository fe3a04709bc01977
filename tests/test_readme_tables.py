"""Tables of the README are what a command found: methods with their gaps from a manifest, ways to use the phylum from runs, tuned recipes from their files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comp.errors import BadInput
from comp.marks import Marks
from comp.store import write_json
from folds.oof import read_predictions
from submissions.ablate import MARKS as PHYLUM
from submissions.ablate import ablate, show_ablation
from submissions.combine import combine
from submissions.methods import MARKS, show_methods
from submissions.results import COLUMNS as RESULTS_COLUMNS
from submissions.results import MARKS as RESULTS
from submissions.results import write_results
from tests.made import SQUARES, squares_dataset
from tests.made_runs import finished_run
from tuning.results import MARKS as TUNED
from tuning.results import tuned_table, write_tuned_table

PHYLA = replace(SQUARES, condition_column="phylum")
CV = {"score": 0.5, "low": 0.4, "high": 0.6}


def readme(marks: Marks) -> Path:
    path = Path("README.md")
    path.write_text(f"before\n{marks.start}\nan old table\n{marks.end}\nafter\n")
    return path


def manifest_of(file: Path) -> dict[str, Any]:
    """Write the manifest of an ensemble of three made runs beside a CSV that need not be there; return it."""
    dataset, _ = squares_dataset(Path("data"))
    runs = {run.name: read_predictions(run) for run in (finished_run(dataset, seed) for seed in range(3))}
    combined = combine(SQUARES, dataset, runs)
    facts = {
        "competition": "squares",
        "metric": "macro_f1",
        "cv": CV,
        "runs": [{"folder": "runs/a"}] * 3,
        "ensemble": combined.facts(),
    }
    write_json(file.with_suffix(".json"), facts)
    return facts


def test_methods_stand_between_the_marks_with_naive_nested_and_gap(in_folder: Path) -> None:
    file = Path("made.csv")
    manifest = manifest_of(file)
    assert show_methods(file, readme(MARKS)) == Path("README.md")
    text = Path("README.md").read_text()
    assert text.startswith(f"before\n{MARKS.start}\n| macro_f1 of 3 runs | naive | nested | gap |")
    assert text.endswith(f"\n{MARKS.end}\nafter\n") and "old table" not in text
    for one in manifest["ensemble"]["judged"]:
        taken = one["method"] == manifest["ensemble"]["method"]
        name = f"**{one['method']}**" if taken else one["method"]
        assert f"| {name} | {one['naive']:.4f} | {one['nested']:.4f} | {one['gap']:+.4f} |" in text
    assert manifest["ensemble"]["reason"][1:] in text and "0.5000 (0.4000 to 0.6000)" in text
    show_methods(file, Path("README.md"))
    assert Path("README.md").read_text() == text  # a repetition changes nothing


def test_without_a_readme_the_methods_are_shown_and_nothing_is_written(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest_of(Path("made.csv"))
    assert show_methods(Path("made.csv"), None) == Path("made.csv")
    assert "stacking" in capsys.readouterr().out and not Path("README.md").exists()


def test_a_file_without_marks_and_an_old_manifest_are_refused_before_anything_is_written(in_folder: Path) -> None:
    Path("plain.md").write_text("text\n")
    with pytest.raises(BadInput, match="are not both there"):
        show_methods(Path("made.csv"), Path("plain.md"))
    with pytest.raises(BadInput, match="no such file"):
        show_methods(Path("made.csv"), Path("nowhere.md"))
    manifest = manifest_of(Path("made.csv"))
    for one in manifest["ensemble"]["judged"]:
        del one["error"]
    write_json(Path("made.json"), manifest)
    with pytest.raises(BadInput, match="does not say what each method scored"):
        show_methods(Path("made.csv"), None)


def submitted(file: Path, command: str, score: float) -> Path:
    """Write a manifest as `make submit` does, as far as the results table reads it, and return its CSV's path."""
    facts = {
        "competition": "squares",
        "metric": "macro_f1",
        "cv": {"score": score, "low": score - 0.1, "high": score + 0.1},
        "test": None,
        "n_train": 1200,
        "n_test": 30,
        "n_classes": 3,
        "runs": [{"backbone": "vgg16", "variant": "tiny", "fit": "scratch", "pixels": 16}],
        "command": command,
        "command_seconds": 90,
        "jobs": 2,
    }
    write_json(file.with_suffix(".json"), facts)
    return file


def test_a_row_of_results_takes_the_place_of_its_command_s_older_one_and_others_stay(in_folder: Path) -> None:
    path = readme(RESULTS)
    write_results(
        path, [submitted(Path("a.csv"), "make submit", 0.5), submitted(Path("b.csv"), "make submit B=1", 0.6)]
    )
    assert "an old table" not in path.read_text()
    write_results(
        path, [submitted(Path("c.csv"), "make submit C=1", 0.7), submitted(Path("d.csv"), "make submit", 0.8)]
    )
    rows = RESULTS.rows(path, RESULTS_COLUMNS)
    assert [row[-1] for row in rows] == ["`make submit`", "`make submit B=1`", "`make submit C=1`"]
    assert [row[4][:9] for row in rows] == ["**0.800**", "**0.600**", "**0.700**"]
    assert "1,200 + 30" in path.read_text() and "vgg16:tiny:scratch:16px" in path.read_text()


def test_the_ablation_stands_between_its_marks_and_says_what_was_not_trained(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, _ = squares_dataset(Path("data"))
    run = finished_run(dataset)
    dataset.train["condition"] = "all"
    dataset.__dict__.pop("in_folds", None)
    found = ablate(dataset, PHYLA)
    assert show_ablation(found, dataset, PHYLA, readme(PHYLUM)) == Path("README.md")
    text, way = Path("README.md").read_text(), found[run.name][0]
    assert f"| {run.name} | no | {way.score:.4f} | {way.low:.4f} to {way.high:.4f} |" in text
    assert "|  | decode |" in text and "0 of 1 gains" in text and "old table" not in text
    assert "input and split not trained here" in capsys.readouterr().out


def test_a_tuned_recipe_stands_beside_its_default(in_folder: Path, tmp_path: Path) -> None:
    facts = {
        "candidate": "vgg16:probe",
        "metric": "accuracy",
        "trials": {"complete": 7, "pruned": 2},
        "seconds": 840,
        "in_one_go": True,
        "features_computed": 0,
        "machine": "2 cores, tensorflow",
        "default": {"score": 0.5},
        "default_recipe": {"strength": 0.5, "learning_rate": 0.004},
        "finalists": [
            {
                "score": 0.61,
                "low": 0.6,
                "high": 0.62,
                "changes": {"strength": 1.0},
                "better_than_default_by": 0.11,
                "difference_low": 0.09,
                "difference_high": 0.13,
            }
        ],
        "changes": {},
        "command": "make tune DATA=/home/x/photos",
    }
    file = tmp_path / "a.json"
    file.write_text(json.dumps(facts))
    table = tuned_table([file])
    row = "| vgg16:probe | 7 complete, 2 pruned | 14 min, features stored; 2 cores, tensorflow | 1, 0.004 | accuracy 0.5000 | 0.6100 (0.6000 to 0.6200) | +0.1100 (+0.0900 to +0.1300) | default | `make tune DATA=path/to/photos` |"
    assert row in table and "| paired difference (rows only) |" in table and "/home" not in table
    page = readme(TUNED)
    write_tuned_table(page, [file])
    file.write_text(json.dumps({**facts, "candidate": "vgg16:tail"}))
    write_tuned_table(page, [file])
    file.write_text(json.dumps({**facts, "changes": {"strength": 1.0}}))
    write_tuned_table(page, [file])
    written = page.read_text().splitlines()
    assert written[4:6] == [row.replace("vgg16:probe", "vgg16:tail"), row.replace("default |", "tuned |")], (
        "the row of another candidate stays, its own is replaced"
    )
    assert (written[:2], written[-2:]) == (["before", TUNED.start], [TUNED.end, "after"]) and len(written) == 8
    file.write_text(json.dumps({**facts, "in_one_go": False, "features_computed": 9}))
    assert "| 14 min and more: it went on, features computed too; 2 cores" in tuned_table([file])
    file.write_text(json.dumps({name: value for name, value in facts.items() if name != "seconds"}))
    assert "| 7 complete, 2 pruned |  | 1, 0.004" in tuned_table([file]), "an older file"
    file.write_text(json.dumps({**facts, "finalists": []}))
    with pytest.raises(BadInput, match="no finished trial but the default"):
        tuned_table([file])
    with pytest.raises(BadInput, match="is not there"):
        tuned_table([tmp_path / "b.json"])
