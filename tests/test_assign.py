"""Promise 3: stratified by target; groups and twins never straddle folds; the same folds whatever the order of the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comp.tables import read_csv
from folds.assign import HOLDOUT, HOLDOUT_PARTS, assign, classes_left_out, clusters_of, deal


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[str], np.ndarray]:
    """Return ids, labels and clusters that lie within one class."""
    sizes = draw(st.lists(st.integers(2, 40), min_size=1, max_size=8))
    labels = [f"class {i}" for i, size in enumerate(sizes) for _ in range(size)]
    within = draw(st.lists(st.integers(0, 30), min_size=len(labels), max_size=len(labels)))
    names = [f"{label}/{number}" for label, number in zip(labels, within, strict=True)]
    ids = [f"id{i}" for i in draw(st.permutations(range(len(labels))))]
    return ids, labels, np.unique(names, return_inverse=True)[1]


@settings(deadline=None, max_examples=150)
@given(tables(), st.integers(2, 7), st.integers(0, 5))
def test_each_class_has_its_share_in_each_part(
    table: tuple[list[str], list[str], np.ndarray], n_parts: int, seed: int
) -> None:
    ids, labels, clusters = table
    parts = deal(ids, labels, clusters, n_parts, seed)
    frame = pd.DataFrame({"label": labels, "cluster": clusters, "part": parts})
    assert (frame.groupby("cluster")["part"].nunique() == 1).all()
    counts = pd.crosstab(frame["label"], frame["part"]).reindex(columns=range(n_parts), fill_value=0)
    largest = frame.groupby(["label", "cluster"]).size().groupby("label").max()
    share = counts.sum(axis=1) / n_parts
    assert (counts.sub(share, axis=0).abs().max(axis=1) <= 1 + largest).all()


@settings(deadline=None, max_examples=50)
@given(tables(), st.randoms(use_true_random=False))
def test_order_of_rows_changes_nothing(table: tuple[list[str], list[str], np.ndarray], random) -> None:  # type: ignore[no-untyped-def]
    ids, labels, clusters = table
    order = list(range(len(ids)))
    random.shuffle(order)
    first = dict(zip(ids, deal(ids, labels, clusters, 3, 0), strict=True))
    shuffled = deal([ids[i] for i in order], [labels[i] for i in order], clusters[order], 3, 0)
    assert dict(zip((ids[i] for i in order), shuffled, strict=True)) == first


def test_groups_that_span_classes_stay_whole_and_parts_stay_even(random: np.random.Generator) -> None:
    groups = random.integers(0, 60, 1000)
    labels = random.choice(list("abc"), 1000).tolist()
    parts = deal([f"{i:04d}" for i in range(1000)], labels, groups, 5, 0)
    frame = pd.DataFrame({"group": groups, "part": parts})
    assert (frame.groupby("group")["part"].nunique() == 1).all()
    assert np.bincount(parts).min() > 150


@pytest.fixture(scope="module")
def rare_species(real_data: Path) -> pd.DataFrame:
    return read_csv(real_data / "rare-species" / "metadata.csv")


def test_rare_species_families_are_within_one_row_of_their_share(rare_species: pd.DataFrame) -> None:
    ids, labels = rare_species["rare_species_id"].tolist(), rare_species["family"].tolist()
    table = assign(ids, labels, np.arange(len(ids)), 5, 2026, has_holdout=True)
    assert len(table) == 11_983 and len(set(labels)) == 202
    counts = pd.crosstab(rare_species["family"], table["fold"].to_numpy())
    inside = counts[[0, 1, 2, 3, 4]]
    assert (inside.max(axis=1) - inside.min(axis=1)).max() <= 1
    assert (counts[HOLDOUT].sub(counts.sum(axis=1) / 10).abs() <= 1).all()


def test_no_species_straddles_folds_where_it_is_the_group(rare_species: pd.DataFrame) -> None:
    ids, labels = rare_species["rare_species_id"].tolist(), rare_species["family"].tolist()
    species = rare_species["eol_page_id"].tolist()
    clusters = clusters_of(np.arange(len(ids)), species)
    table = assign(ids, labels, clusters, 5, 2026, has_holdout=False)
    assert pd.DataFrame({"species": species, "fold": table["fold"]}).groupby("species")["fold"].nunique().max() == 1
    n_species = rare_species.groupby("family")["eol_page_id"].nunique()
    assert classes_left_out(labels, clusters, 5) == sorted(n_species.index[n_species < 5])
    assert len(classes_left_out(labels, clusters, 2)) == 118


def test_twins_and_groups_chain(random: np.random.Generator) -> None:
    clusters = clusters_of(np.array([0, 0, 1, 2, 3]), ["x", "y", "y", "z", "w"])
    assert clusters[0] == clusters[1] == clusters[2] and len(set(clusters.tolist())) == 3


def test_holdout_is_in_no_fold_and_twins_stay_out_of_both() -> None:
    ids = [f"{i:03d}" for i in range(200)]
    clusters = np.arange(200) // 2
    table = assign(ids, ["a", "b"] * 100, clusters, 4, 1, has_holdout=True)
    held = (table["fold"] == HOLDOUT).to_numpy()
    assert held.sum() == 20 and set(table["fold"][~held]) == {0, 1, 2, 3}
    assert (pd.Series(held).groupby(clusters).nunique() == 1).all()
    assert (held == (deal(ids, ["a", "b"] * 100, clusters, HOLDOUT_PARTS, 1) == 0)).all()


@pytest.mark.parametrize("n_rare", [5, 6, 7])
def test_holdout_leaves_each_class_a_row_a_fold(n_rare: int) -> None:
    labels = ["rare"] * n_rare + ["common"] * 60
    ids, clusters = [f"{i:03d}" for i in range(len(labels))], np.arange(len(labels))
    clusters[1] = clusters[0]  # twins
    n_held = set()
    for seed in range(30):
        table = assign(ids, labels, clusters, 5, seed, has_holdout=True)
        table["label"] = labels
        assert (table[table["fold"] != HOLDOUT]["label"].value_counts() >= 5).all()
        assert table["fold"][0] == table["fold"][1]
        n_held.add(int((table[table["label"] == "rare"]["fold"] == HOLDOUT).sum()))
        assert 5 <= (table["fold"] == HOLDOUT).sum() <= 8
    assert n_held == {5: {0}, 6: {0, 1}, 7: {0, 1, 2}}[n_rare]
