"""The ablation of the phylum: each way against not using it, on the same rows, fold by fold without what the fold tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from comp.errors import BadInput
from comp.metrics import metric
from comp.tables import read_csv
from folds.dataset import Dataset
from folds.oof import read_predictions, score
from submissions.ablate import ablate, compare_ways, decoded, show_ablation, trained_ways, without_partner
from submissions.stored import finished_runs
from tests.made import RECIPE, SQUARES, squares_dataset
from tests.made_runs import PHYLA, finished_run, made_matched

F1 = metric("macro_f1")
WITH_PHYLUM = replace(SQUARES, condition_column="phylum")


@pytest.fixture
def squares(in_folder: Path) -> Dataset:
    """Return squares whose colours are warm or cold."""
    dataset = squares_dataset(in_folder / "data")[0]
    dataset.train["condition"] = dataset.train["label"].map({"amber": "warm", "coral": "warm", "blue": "cold"})
    return dataset


def test_decoding_is_a_gain_with_a_paired_interval_where_phyla_part_the_classes() -> None:
    matched = made_matched((0.5,))
    ways = compare_ways(matched.truth, {"no": matched.oof[0], "decode": decoded(matched, 0, F1)}, F1)
    assert [way.name for way in ways] == ["no", "decode"]
    assert (ways[0].gain, ways[0].gain_low, ways[0].gain_high) == (0, 0, 0)
    assert 0 < ways[1].gain_low < ways[1].gain < ways[1].gain_high
    assert ways[1].gain_high - ways[1].gain_low < ways[1].high - ways[1].low + ways[0].high - ways[0].low


def test_a_phylum_that_is_no_function_of_the_class_is_refused() -> None:
    matched = made_matched((0.5,))
    condition = matched.condition.copy()
    condition[: len(condition) // 2] = PHYLA[0]
    with pytest.raises(BadInput, match=r"cannot be decoded: class1: .*mend the table"):
        decoded(replace(matched, condition=condition), 0, F1)


def test_a_competition_without_phylum_or_without_runs_is_one_clear_line(in_folder: Path) -> None:
    dataset, _ = squares_dataset(in_folder / "data")
    with pytest.raises(BadInput, match="no condition column"):
        ablate(dataset, SQUARES)
    with_phylum = replace(SQUARES, condition_column="phylum")
    with pytest.raises(BadInput, match="no finished run"):
        ablate(dataset, with_phylum)
    finished_run(dataset)
    dataset.train["condition"] = "all"
    dataset.__dict__.pop("in_folds", None)
    path = show_ablation(ablate(dataset, with_phylum), dataset, with_phylum)
    assert read_csv(path)["gain"].tolist() == ["0.000000", "0.000000"]


def test_ways_of_training_stand_beside_the_run_that_differs_in_nothing_else(
    squares: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    base = finished_run(squares)
    runs = {
        "input": finished_run(squares, skill=2.0, recipe=replace(RECIPE, condition="input")),
        "split": finished_run(squares, skill=4.0, recipe=replace(RECIPE, condition="split")),
    }
    assert trained_ways(finished_runs(squares.folder)) == {base.name: {way: run.name for way, run in runs.items()}}
    found = ablate(squares, WITH_PHYLUM)
    ways = {way.name: way for way in found[base.name]}
    assert list(found) == [base.name] and set(ways) == {"no", "decode", "input", "split"}
    for way, run in runs.items():
        assert ways[way].score == pytest.approx(score(squares, read_predictions(run).oof, "macro_f1").value)
        assert ways[way].gain == pytest.approx(ways[way].score - ways["no"].score)
    assert ways["split"].gain_low > 0
    show_ablation(found, squares, WITH_PHYLUM)
    out = capsys.readouterr().out
    assert "not trained here" not in out and "left out" not in out


def test_a_run_that_none_without_the_phylum_matches_is_named(
    squares: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_run(squares)
    other_seed = finished_run(squares, seed=1, recipe=replace(RECIPE, condition="split"))
    other_recipe = finished_run(squares, recipe=replace(RECIPE, condition="input", dropout=0.4))
    alone = without_partner(finished_runs(squares.folder))
    assert alone == {other_seed.name: "split", other_recipe.name: "input"}
    show_ablation(ablate(squares, WITH_PHYLUM), squares, WITH_PHYLUM)
    out = " ".join(capsys.readouterr().out.split())
    assert all(f"{name} ({way}) is left out" in out for name, way in alone.items()) and "not trained here" not in out
