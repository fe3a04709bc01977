"""Transcripts handed in: no fold's texts help to decode it, the CSV is made again to the byte, what does not fit is one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from comp.candidates import check_reads, parse_candidate
from comp.engines.inline import InlineEngine
from comp.errors import BadInput, Refused
from comp.registry import load_competition
from comp.spec import Candidate
from comp.tables import Tables
from comp.ways import Ways
from folds.dataset import Dataset, make_dataset
from folds.fit import save_model
from folds.oof import read_predictions, text_score
from folds.presets import complete
from folds.runs import plan_of
from folds.train import gather
from folds.transcribe import fresh_reader
from submissions.check import check_frame
from submissions.choose import choose
from submissions.grade import graded
from submissions.leaderboard import leaderboard
from submissions.plan import Settings
from submissions.predict import find_photos
from submissions.read_words import read_words
from submissions.stored import read_manifest, rebuild
from submissions.transcribe import check_settings, kept_lexicon
from submissions.transcripts import Transcripts, lexicons_of, transcribe, usual_text
from submissions.verify import verify
from submissions.write import facts_of_format, make_text_submission, write_submission
from tests.made_frames import finished_reader
from tests.words import VOCABULARY, WORDS, words_dataset


@pytest.fixture
def made(in_folder: Path) -> tuple[Dataset, Tables]:
    return words_dataset(in_folder / "data")


def read_all_of(dataset: Dataset, *runs: Path, lexicon: str = "auto") -> Transcripts:
    found = {run.name: read_predictions(run) for run in runs}
    return transcribe(dataset, found, "cer", lexicon=kept_lexicon(dataset, lexicon))


def hand_in(dataset: Dataset, tables: Tables, *runs: Path, lexicon: str = "auto") -> Path:
    told = read_all_of(dataset, *runs, lexicon=lexicon)
    found = text_score(dataset, told.oof, "cer")
    manifest: dict[str, Any] = {
        "metric": "cer",
        "cv": {"score": round(found.value, 6), "low": found.low, "high": found.high},
        "runs": [{"folder": str(run), "key": plan_of(run).key, "seconds": 1.0} for run in runs],
        "ensemble": told.facts(),
        "format": facts_of_format(WORDS),
    }
    return write_submission(make_text_submission(tables, dataset, told.test), dataset, WORDS, manifest)


def test_a_lexicon_holds_no_word_that_only_its_own_fold_has(made: tuple[Dataset, Tables]) -> None:
    rows = made[0].in_folds.copy()
    rows.loc[rows["fold"] == 1, "label"] = "only"
    object.__setattr__(made[0], "in_folds", rows)
    found = lexicons_of(made[0])
    assert "only" not in found[1].counts and "only" in found[0].counts and "only" in found[2].counts
    assert found[0].total + found[1].total + found[2].total == 2 * len(rows)


def test_texts_of_a_fold_do_not_depend_on_its_truth(made: tuple[Dataset, Tables]) -> None:
    dataset = made[0]
    run = finished_reader(dataset)
    before = read_all_of(dataset, run)
    rows = dataset.in_folds.copy()
    mine = (rows["fold"] == 1).to_numpy()
    rows.loc[mine, "label"] = "tototo"
    object.__setattr__(dataset, "in_folds", rows)
    after = read_all_of(dataset, run)
    assert after.by_fold[1] == before.by_fold[1]
    assert [after.oof[i] for i in np.flatnonzero(mine)] == [before.oof[i] for i in np.flatnonzero(mine)]


def test_the_lexicon_can_be_switched_off(made: tuple[Dataset, Tables]) -> None:
    told = read_all_of(made[0], finished_reader(made[0]), lexicon="no")
    assert [one.decoder.name for one in told.judged] == ["greedy", "beam", "fewest edits"]
    assert not any(decoder.prior for decoder in (told.decoder, *told.by_fold.values()))
    assert verify(hand_in(*made, finished_reader(made[0], 1), lexicon="no")).n_rows == 6


def test_a_list_of_words_takes_the_place_of_what_folds_tell(made: tuple[Dataset, Tables], in_folder: Path) -> None:
    dataset, tables = made
    run = finished_reader(dataset)
    (in_folder / "words.txt").write_text("\n".join(VOCABULARY))
    told = read_all_of(dataset, run, lexicon="words.txt")
    without = read_all_of(dataset, run, lexicon="no")
    assert text_score(dataset, told.oof, "cer").value < text_score(dataset, without.oof, "cer").value
    known = lexicons_of(dataset, told.lexicon)
    assert {tuple(lexicon.words) for lexicon in known.values()} == {tuple(sorted(VOCABULARY))}
    path = hand_in(dataset, tables, run, lexicon="words.txt")
    (in_folder / "words.txt").unlink()
    assert verify(path).n_rows == 6, "the words are kept beside the runs"
    (in_folder / "others.txt").write_text("qqq\nwww\tx\n")
    with pytest.raises(BadInput, match=r"others.txt line 2: 'x' behind the tab, expected a whole number"):
        check_settings(Settings(lexicon="others.txt"), WORDS)
    with pytest.raises(BadInput, match=r"LEXICON=words\.txt: expected auto, no, or a file of words"):
        check_settings(Settings(lexicon="words.txt"), WORDS)


def test_decoding_helps_and_its_score_is_over_all_rows(made: tuple[Dataset, Tables]) -> None:
    told = read_all_of(made[0], finished_reader(made[0]))
    scores = {one.decoder.name: one.score for one in told.judged}
    found = text_score(made[0], told.oof, "cer")
    assert found.value < scores["greedy"] and found.low <= found.value <= found.high and len(found.fold_scores) == 3
    assert min(scores, key=lambda name: scores[name]) == told.decoder.name


@pytest.mark.parametrize(("stretch", "method"), [(2, "frames"), (3, "vote")])
def test_several_runs_are_averaged_or_vote_and_are_better_together(
    made: tuple[Dataset, Tables], stretch: int, method: str
) -> None:
    runs = [finished_reader(made[0], 0), finished_reader(made[0], 1, stretch=stretch), finished_reader(made[0], 2)]
    together = read_all_of(made[0], *runs)
    alone = [text_score(made[0], read_all_of(made[0], run).oof, "cer").value for run in runs]
    assert together.method == method
    assert text_score(made[0], together.oof, "cer").value <= np.mean(alone)


@pytest.mark.parametrize("stretch", [2, 3])
def test_a_csv_is_made_again_from_what_is_stored(made: tuple[Dataset, Tables], stretch: int) -> None:
    dataset, tables = made
    runs = [finished_reader(dataset, 0), finished_reader(dataset, 1, stretch=stretch)]
    path = hand_in(dataset, tables, *runs)
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert list(frame.columns) == ["id", "text"] and frame["id"].tolist() == [f"t{i:02d}" for i in range(6)]
    found = verify(path)
    assert found.n_rows == 6 and found.n_runs == 2 and found.metric == "cer"
    assert hand_in(dataset, tables, *runs) == path
    with pytest.raises(BadInput, match="it holds transcripts"):
        rebuild(read_manifest(path), "suspects")
    path.write_text(path.read_text().replace("t00,", "t00,x"))
    with pytest.raises(Refused, match="was edited"):
        verify(path)


def test_the_leaderboard_has_runs_and_csvs(made: tuple[Dataset, Tables]) -> None:
    dataset, tables = made
    runs = [finished_reader(dataset, 0), finished_reader(dataset, 1)]
    hand_in(dataset, tables, *runs)
    entries = leaderboard(dataset, WORDS)
    assert [one.kind for one in entries].count("run") == 2 and len(entries) == 3
    assert [one.cv for one in entries] == sorted(one.cv for one in entries)
    assert entries[0].is_tied and all(one.low <= one.cv <= one.high for one in entries)


def test_a_picture_that_cannot_be_read_gets_the_usual_text(made: tuple[Dataset, Tables]) -> None:
    dataset = made[0]
    run = finished_reader(dataset)
    odd = replace(dataset, test=pd.concat([dataset.test, pd.DataFrame([{"id": "odd", "sha": ""}])], ignore_index=True))
    usual = dataset.in_folds["label"].value_counts()
    assert read_all_of(odd, run).test["odd"] in usual.index[usual == usual.max()]


def test_answers_handed_in_win() -> None:
    ids, texts = ["1", "2"], ["NA", 'a "b", c']
    frame = pd.DataFrame({"id": ids, "text": texts})
    assert graded(frame, ids, texts, WORDS, "x").scores() == {"cer": 0.0, "wer": 0.0, "exact": 1.0, "n": 2}


@pytest.mark.parametrize(
    ("texts", "expected"), [(["a", "b\nc"], r"line 3 \(id 2\): 'b\\nc'"), (["", " "], "all 2 texts are empty")]
)
def test_texts_that_are_none_are_refused(texts: list[str], expected: str) -> None:
    with pytest.raises(Refused, match=expected):
        check_frame(pd.DataFrame({"id": ["1", "2"], "text": texts}), WORDS, ["1", "2"], [], "x.csv")


def test_fewer_pages_than_folds_are_one_line(made: tuple[Dataset, Tables]) -> None:
    from comp.twins import no_twins
    from tests.made import PixelSpec, read_all

    tables = made[1]
    photos = read_all(tables, [PixelSpec(16, 1, "height")])
    with pytest.raises(BadInput, match=r"GROUP=writer: 6 groups of rows for 7 folds; take fewer \(FOLDS=6\)"):
        make_dataset(tables, photos, no_twins(len(tables.train)), 7)


def test_other_backbones_and_what_texts_do_not_have_are_one_line() -> None:
    with pytest.raises(BadInput, match="candidate scratch_cnn: it reads no transcripts"):
        choose("scratch_cnn", WORDS, "quick", Ways())
    with pytest.raises(BadInput, match="reads no transcripts"):
        check_reads(parse_candidate("crnn:tail"))
    with pytest.raises(BadInput, match=r"BAGS=3: mini asks for transcripts"):
        check_settings(Settings(bags=3), WORDS)
    with pytest.raises(BadInput, match=r"REPEATS=2: mini asks for transcripts"):
        check_settings(Settings(repeats=2), WORDS)


def test_transcripts_are_graded_with_an_interval_around_their_score() -> None:
    ids, truth = pd.Series([f"{i}" for i in range(60)]), pd.Series(["word"] * 60)
    frame = pd.DataFrame({"id": ids, "text": ["word"] * 45 + ["ward"] * 15})
    found = graded(frame, ids.tolist(), truth.tolist(), WORDS, "made")
    cer, (low, high) = found.scores()["cer"], found.score_interval()
    assert cer == 15 / 240 and 0 < low < cer < high < 0.15


def test_presets_have_budgets_of_their_own_for_texts() -> None:
    handwriting = load_competition("handwriting")
    quick, standard, best = (
        complete(Candidate("crnn"), preset, handwriting)[1] for preset in ("quick", "standard", "best")
    )
    assert quick.epochs < standard.epochs < best.epochs and standard.batch_size == 16
    whole, recipe = complete(Candidate("crnn", "lstm", None, 24), "quick", handwriting)
    assert str(whole) == "crnn:lstm:scratch:24px" and recipe.pixels == 24


def test_a_competition_of_texts_says_so_throughout(tmp_path: Path) -> None:
    facts = 'name="x", title="", layout="iam_words", id_column="id", target_column="text"'
    for more in ('submission="text"', 'submission="label", task="transcribe"', 'submission="label", resize="height"'):
        (tmp_path / "x.py").write_text(
            f"from comp.spec import Competition\nCOMPETITION = Competition({facts}, {more})\n"
        )
        with pytest.raises(BadInput, match="transcripts go together"):
            load_competition(str(tmp_path / "x.py"))


def test_a_fold_of_squares_cannot_be_read(made: tuple[Dataset, Tables]) -> None:
    from folds.transcribe import strip_inputs

    fold = gather(finished_reader(made[0]), 0, Path("cache"), "")
    assert strip_inputs(fold) is fold.inputs
    with pytest.raises(BadInput, match="expected resize='height'"):
        strip_inputs(replace(fold, inputs=None))


def test_new_pictures_are_read_by_every_fold_s_model(made: tuple[Dataset, Tables]) -> None:
    dataset, tables = made
    run = finished_reader(dataset)
    for k in range(dataset.n_folds):
        fold = gather(run, k, Path("cache"), "")
        save_model(fresh_reader(fold, dataset.classes), fold.folder)
    csv = hand_in(dataset, tables, run)
    Path("data/test/bad.png").write_bytes(b"no picture")
    photos = find_photos(Path("data/test"), WORDS, None)
    out = read_words(photos, WORDS, csv, InlineEngine(), 1, Path("read.csv"))
    table = pd.read_csv(out, dtype=str, keep_default_na=False)
    assert table["id"].tolist() == photos.ids and len(table) == 7
    assert table.set_index("id").loc["bad.png", "text"] == usual_text(dataset)
    with pytest.raises(BadInput, match="TOP=2: mini asks for transcripts"):
        read_words(photos, WORDS, csv, InlineEngine(), 2, Path("read.csv"))
