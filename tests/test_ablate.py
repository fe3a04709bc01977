"""The ablation of the phylum: each way against not using it, on the same rows, fold by fold without what the fold tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from comp.errors import BadInput
from comp.metrics import metric
from comp.tables import read_csv
from submissions.ablate import ablate, compare_ways, decoded, show_ablation
from tests.made import SQUARES, squares_dataset
from tests.made_runs import PHYLA, finished_run, made_matched

F1 = metric("macro_f1")


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
