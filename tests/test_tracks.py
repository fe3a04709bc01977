"""The tracks are true: every competition, candidate and published number that they name exists and says where it is from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from comp.candidates import parse_candidates
from comp.data import parse_origin
from comp.errors import BadInput
from comp.registry import load_competition, names
from comp.spec import Candidate
from comp.tracks import TRACKS, Entry, Track
from folds.by_rule import for_rows
from folds.cuts import n_views
from folds.presets import PRESETS, complete, seconds_of_features, seconds_of_fold

ENTRIES = [
    (track, entry)
    for track in TRACKS
    for entry in (*track.entries, *((track.sample,) if track.sample else ()))
    if entry.competition in names("comp.competitions")  # another's may still be on its way
]
# test rows, as far as they are at hand; of the others as published
TEST_ROWS = {
    "rare_species": 894,
    "cats_vs_dogs": 500,
    "flowers": 500,
    "cifar10": 2_000,
    "cifar100": 10_000,
    "mnist": 10_000,
    "digit_recognizer": 28_000,
    "handwriting": 548,
}


def ids(found: list[tuple[Track, Entry]]) -> list[str]:
    return [f"{track.name}-{entry.competition}" for track, entry in found]


def test_names_are_told_apart() -> None:
    assert len({track.name for track in TRACKS}) == len(TRACKS)
    competitions = [entry.competition for track in TRACKS for entry in track.entries]
    assert len(set(competitions)) == len(competitions)
    assert {"family", "cats_vs_dogs", "flowers", "cifar", "mnist", "handwriting"} == {track.name for track in TRACKS}


def test_every_track_has_a_published_number_with_its_source_and_its_catch() -> None:
    for track in TRACKS:
        assert track.published and set(track.minutes) == set(PRESETS), track.name
        for one in track.published:
            assert any(digit.isdigit() for digit in one.score) and one.source and one.catch, track.name


@pytest.mark.parametrize(("track", "entry"), ENTRIES, ids=ids(ENTRIES))
def test_every_candidate_can_be_parsed_and_says_how_it_is_fitted(track: Track, entry: Entry) -> None:
    competition = load_competition(entry.competition)
    assert set(entry.candidates) == set(PRESETS)
    assert set(entry.folds) <= set(PRESETS) and all(n >= 2 for n in entry.folds.values())
    for text in [*entry.candidates.values(), *entry.on_gpu.values(), *([entry.otherwise] if entry.otherwise else [])]:
        for candidate in parse_candidates(text):
            assert candidate.fit, f"{track.name}: {candidate} means another thing where weights are there"
            complete(candidate, "quick", competition)


@pytest.mark.parametrize(("track", "entry"), ENTRIES, ids=ids(ENTRIES))
def test_something_is_left_to_train_where_there_are_no_weights(track: Track, entry: Entry) -> None:
    for preset, text in entry.candidates.items():
        fits = {candidate.fit for candidate in parse_candidates(text)}
        assert "scratch" in fits or entry.otherwise, f"{track.name} {preset}"


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("track", TRACKS, ids=[track.name for track in TRACKS])
def test_all_competitions_of_a_track_fit_its_minutes_together_with_all_weights_there(track: Track, preset: str) -> None:
    seconds = sum(seconds_of(entry, preset) for entry in track.entries)
    assert seconds / 2 / 60 <= 0.8 * track.minutes[preset], "two cores, and a fifth for pixels and augmentation"


def seconds_of(entry: Entry, preset: str) -> float:
    """Return the estimated seconds of an entry on one core: features, each bank once, and all folds."""
    competition, n_train, n_test = load_competition(entry.competition), entry.rows, TEST_ROWS[entry.competition]
    n_folds = entry.folds.get(preset, competition.n_folds)
    n_fitted = n_train * (n_folds - 1) // n_folds
    seconds, banks = 0.0, dict[Candidate, float]()
    for named in parse_candidates(entry.candidates[preset]):
        candidate, recipe = complete(named, preset, competition)
        recipe = for_rows(recipe, n_fitted)
        seconds += n_folds * seconds_of_fold(candidate, recipe, n_fitted)
        if candidate.fit in ("probe", "tail"):
            features = n_views(recipe, (n_train, n_test)) * seconds_of_features(candidate, recipe)
            pooled = replace(candidate, fit="probe")  # a tail's head learns on these first
            banks |= {candidate: features, pooled: features}
    return seconds + sum(banks.values())


def test_a_network_tuned_whole_by_the_rule_is_for_a_gpu() -> None:
    (flowers,) = (track.entries[0] for track in TRACKS if track.name == "flowers")
    with_it = replace(flowers, candidates={**flowers.candidates, "best": flowers.on_gpu["best"]})
    assert seconds_of(with_it, "best") / 2 / 86400 > 10, "days"


@pytest.mark.parametrize("name", [name for name in names("comp.competitions") if name != "handwriting"])
def test_every_competition_can_be_trained_with_its_own_candidates(name: str) -> None:
    competition = load_competition(name)
    assert competition.folders, "where DATA_ROOT is looked through"
    assert len(set(competition.submission_columns)) == 2
    for text in competition.candidates:
        candidate, recipe = complete(parse_candidates(text)[0], "quick", competition)
        assert recipe.pixels <= competition.pixels and isinstance(candidate, Candidate)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("mnist", ("ImageId", "Label")),
        ("digit_recognizer", ("ImageId", "Label")),
        ("digits", ("ImageId", "Label")),
        ("cats_vs_dogs", ("id", "label")),
        ("flowers", ("id", "label")),
        ("cifar10", ("id", "label")),
        ("cifar100", ("id", "label")),
    ],
)
def test_columns_are_those_of_the_twin_on_kaggle(name: str, columns: tuple[str, str]) -> None:
    assert load_competition(name).submission_columns == columns


@pytest.mark.parametrize("name", names("comp.competitions"))
def test_every_source_can_be_downloaded_from(name: str) -> None:
    for source in load_competition(name).sources:
        assert parse_origin(source).name in source


def test_digits_are_never_mirrored() -> None:
    for name in ("mnist", "digit_recognizer", "digits"):
        competition = load_competition(name)
        assert "flip" not in competition.symmetries and not competition.twins and competition.channels == 1


def test_an_unknown_preset_is_refused_before_anything_runs() -> None:
    from submissions.bench import bench
    from submissions.plan import Settings

    with pytest.raises(BadInput, match="quick, standard, best"):
        bench(None, Settings(preset="fast"))
