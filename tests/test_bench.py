"""`make bench` on minis: what is scored, what is left out by name, what it exits with, and the table that comes of it."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from comp import machine
from comp.errors import BadInput
from comp.tables import read_csv
from submissions import available
from submissions import bench as bench_module
from submissions.available import candidates_of, find_place
from submissions.bench import FAILED, MISSING, Outcome, Row, bench, chosen_tracks, show
from submissions.bench_table import MARKS, bench_tables, write_bench_table
from submissions.grade import graded
from submissions.plan import Settings

PROJECT = Path(__file__).resolve().parents[1]
COLUMNS = ["track", "competition", "kind", "candidate", "metric", "score", "low", "high", "seconds", "rows", "csv"]


def digits(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures of 8 px whose brightness is their class, with noise."""
    labels = np.arange(n) % 3
    noise = np.random.default_rng(seed).integers(-20, 21, (n, 8, 8))
    return (labels[:, None, None] * 80 + 40 + noise).astype(np.uint8), labels.astype(np.uint8)


def settings(root: Path, **given: object) -> Settings:
    common = {"data_root": root, "preset": "quick", "engine": "inline", "jobs": 1, "folds": 2, "weights": "none"}
    return Settings(**{**common, "backbones": "mlp:tiny:scratch:8px", **given})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Work in a folder whose DATA_ROOT has MNIST and one broken competition: flowers of a single kind."""
    folder = tmp_path_factory.mktemp("bench home")
    (folder / "data" / "mnist").mkdir(parents=True)
    (x_train, y_train), (x_test, y_test) = digits(96, 1), digits(12, 2)
    np.savez(folder / "data" / "mnist" / "mnist.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def scored(home: Path) -> tuple[Outcome, str]:
    """Return what all tracks come to where only MNIST is there, and what was printed."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        outcome = bench(None, settings(home / "data"))
    return outcome, printed.getvalue()


def test_the_csv_has_a_row_for_each_score(scored: tuple[Outcome, str]) -> None:
    outcome, _ = scored
    assert outcome.status == 0 and outcome.path is not None and outcome.path.parent == Path("runs/bench")
    table = pd.read_csv(outcome.path)
    assert list(table.columns) == COLUMNS
    assert list(zip(table["kind"], table["metric"], table["rows"], strict=True)) == [
        ("candidate", "accuracy", 96),
        ("candidate", "log_loss", 96),
        ("ensemble", "accuracy", 96),
        ("ensemble", "log_loss", 96),
        ("test", "accuracy", 12),
    ]
    assert set(table["track"]) == set(table["competition"]) == {"mnist"}
    assert (table["low"] <= table["score"]).all() and (table["score"] <= table["high"]).all()
    assert (table["seconds"] > 0).all()


def test_each_csv_is_there_and_its_test_score_is_what_the_answers_say(scored: tuple[Outcome, str]) -> None:
    (csv,) = {row.csv for row in scored[0].rows}
    frame = read_csv(Path(csv))
    assert list(frame.columns) == ["ImageId", "Label"] and frame["ImageId"].tolist() == [str(i + 1) for i in range(12)]
    labels = [str(i % 3) for i in range(12)]
    from comp.registry import load_competition

    scores = graded(frame, frame["ImageId"].tolist(), labels, load_competition("mnist"), csv).scores()
    (test,) = [row for row in scored[0].rows if row.kind == "test"]
    assert test.score == pytest.approx(scores["accuracy"], abs=1e-6)
    assert "log_loss" not in scores, "labels have no log-loss"


def test_what_has_no_data_is_left_out_by_name_with_where_to_put_it(scored: tuple[Outcome, str], home: Path) -> None:
    told = scored[1].splitlines()
    for competition in ("cats_vs_dogs", "flowers", "cifar10", "cifar100", "digit_recognizer"):
        (line,) = [line for line in told if f"{competition} left out" in line]
        assert f"put them into {home / 'data' / competition}" in line
    assert any(line.startswith("track handwriting: handwriting left out") for line in told)


def test_the_published_number_stands_in_the_table_with_its_source_and_its_catch(scored: tuple[Outcome, str]) -> None:
    table = scored[1][scored[1].index("tracks: out-of-fold") :]
    assert re.search(r"mnist +published: Keras example +test accuracy 99.22 % +the catch: one training", table)
    assert "tf_flowers" not in table
    assert max(len(line) for line in table.splitlines()) <= 120


def test_the_longest_names_are_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    common = {"track": "cifar", "kind": "candidate", "csv": "", "low": 0.5, "high": 0.7, "seconds": 10723.0}
    rows = [
        Row(
            **common,
            competition=name,
            candidate="small_resnet:8/64:scratch:32px",
            metric=metric,
            score=0.6,
            rows=50_000,
        )
        for name in ("cifar10", "cifar100")
        for metric in ("accuracy", "top5")
    ]
    sample = replace(rows[0], track="family (embedded sample)", competition="specimens")
    show([*rows, sample])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 120
    assert sum("small_resnet:8/64:scratch:32px" in line and "accuracy 0.6000" in line for line in lines) == 3
    assert sum("0.5000 to 0.7000" in line for line in lines) == 5 and sum("10723" in line for line in lines) == 3
    assert sum("published" in line for line in lines) == 2, "once a track"


def test_a_track_that_is_named_and_has_no_data_is_status_3(scored: tuple[Outcome, str], home: Path) -> None:
    both = bench("mnist flowers mnist", settings(home / "data"))
    assert both.status == MISSING and both.path is not None and both.path.is_file()
    assert [row.score for row in both.rows] == [row.score for row in scored[0].rows], "folds are kept"
    none = bench("flowers", settings(home / "data"))
    assert (none.status, none.rows, none.path) == (MISSING, [], None)


def test_a_competition_may_be_named_alone(home: Path) -> None:
    (track,) = chosen_tracks("digit_recognizer")
    assert track.name == "mnist" and [entry.competition for entry in track.entries] == ["digit_recognizer"]
    assert bench("digit_recognizer", settings(home / "data")).status == MISSING
    with pytest.raises(BadInput, match="no track is called 'minst'; known: family, "):
        chosen_tracks("mnist minst")
    with pytest.raises(BadInput, match="TRACKS is empty"):
        chosen_tracks(" ")


def test_a_track_that_fails_is_told_and_the_others_are_scored(
    scored: tuple[Outcome, str], home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("mnist", "flowers/train/rose"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "mnist" / "mnist.npz").write_bytes((home / "data" / "mnist" / "mnist.npz").read_bytes())
    cv2.imwrite(str(tmp_path / "flowers" / "train" / "rose" / "1.png"), np.zeros((8, 8, 3), np.uint8))
    outcome = bench("flowers mnist", settings(tmp_path))
    assert outcome.status == FAILED and {row.track for row in outcome.rows} == {"mnist"}
    assert "track flowers: flowers failed: all 1 train rows are of one class (rose)" in capsys.readouterr().out


def test_without_any_data_the_samples_stand_in_and_say_so(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(bench_module, "_run", lambda track, entry, place, settings: ran.append(entry.competition) or [])
    assert bench(None, settings(tmp_path / "nothing")).status == MISSING, "nothing was scored"
    assert ran == ["specimens", "digits"]
    assert "scikit-learn's digits are in the place of MNIST" in capsys.readouterr().out
    ran.clear()
    assert bench("mnist", settings(tmp_path / "nothing")).status == MISSING
    assert ran == [], "a sample is never scored where data were named"


def replay(monkeypatch: pytest.MonkeyPatch, scored: tuple[Outcome, str], *more: Exception) -> list[Settings]:
    """Let bench take the finished CSV in the place of training, then fail; return what it asked for."""
    (csv,) = {row.csv for row in scored[0].rows}
    asked: list[Settings] = []

    def submit(given: Settings) -> Path:
        asked.append(given)
        if len(asked) > 1 and more:
            raise more[0]
        return Path(csv)

    monkeypatch.setattr(bench_module, "submit", submit)
    return asked


def test_a_sample_is_marked_everywhere_and_stands_beside_nothing_published(
    scored: tuple[Outcome, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replay(monkeypatch, scored)
    outcome = bench(None, settings(tmp_path / "nothing"))
    assert outcome.path is not None
    assert set(read_csv(outcome.path)["track"]) == {"family (embedded sample)", "mnist (embedded sample)"}
    printed = capsys.readouterr().out
    table = printed[printed.index("tracks: out-of-fold") :]
    assert "sample)" in table and "published" not in table and "track mnist (embedded sample), digits" in printed
    written = bench_tables([outcome.path])
    assert "the catch:" not in written and "| mnist (embedded sample): mnist |" in written


def test_what_was_scored_is_on_disk_before_the_next_track_begins(
    scored: tuple[Outcome, str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay(monkeypatch, scored, RuntimeError("a bug"))
    monkeypatch.setattr(bench_module, "RUNS", tmp_path / "runs")
    with pytest.raises(RuntimeError, match="a bug"):
        bench(None, settings(tmp_path / "nothing"))
    (path,) = (tmp_path / "runs" / "bench").glob("*.csv")
    assert set(read_csv(path)["track"]) == {"family (embedded sample)"}
    assert "| family (embedded sample): mnist |" in bench_tables([path]), "its facts lie beside it"


def test_a_track_is_trained_with_the_recipes_of_its_preset(
    scored: tuple[Outcome, str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = replay(monkeypatch, scored)
    bench("mnist", settings(home / "data"))
    assert [(one.competition, one.tuned) for one in asked] == [("mnist", "no")]


def test_what_a_person_names_is_never_replaced(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (flowers,) = chosen_tracks("flowers")[0].entries
    named = settings(home / "data", backbones="bit:R50x1:probe", weights=None, offline=True)
    assert candidates_of(flowers, named) == ("bit:R50x1:probe", [])
    outcome = bench("mnist", settings(home / "data", backbones="vgg16:probe"))
    assert outcome.status == FAILED and outcome.rows == []
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "failed" in line]
    assert line.endswith("candidate vgg16:probe: a probe needs weights, and WEIGHTS=none forbids them")


def test_what_two_cores_cannot_train_is_left_to_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (flowers,) = chosen_tracks("flowers")[0].entries
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    asked = replace(settings(tmp_path), backbones=None, weights=None, offline=True, preset="best")
    assert candidates_of(flowers, asked)[1][0].startswith("bit:R50x1:full left out: too long for two cores")
    monkeypatch.setattr(available, "trains_on_gpu", lambda: True)
    assert candidates_of(flowers, asked)[1][-1].startswith("bit:R50x1:full left out: its weights")
    assert "full" not in " ".join(candidates_of(flowers, replace(asked, preset="standard"))[1])


def test_candidates_without_their_weights_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (track,) = chosen_tracks("flowers")
    offline = replace(settings(tmp_path), backbones=None, weights=None, offline=True)
    monkeypatch.chdir(tmp_path)
    text, notes = candidates_of(track.entries[0], offline)
    assert text == track.entries[0].otherwise
    assert len(notes) == len(track.entries[0].candidates["quick"].split()) and all(
        "left out: its weights" in note for note in notes
    )
    cats = chosen_tracks("cats_vs_dogs")[0].entries[0]
    assert candidates_of(cats, offline)[0] == "scratch_cnn:small:scratch:64px"


def test_too_few_photos_are_no_data(tmp_path: Path) -> None:
    (tmp_path / "cifar10" / "train").mkdir(parents=True)
    (tmp_path / "cifar10" / "trainLabels.csv").write_text("id,label\n1,cat\n2,frog\n")
    place = find_place(chosen_tracks("cifar10")[0].entries[0], settings(tmp_path))
    assert place.folder is None and "2 of 2 photos are named but absent" in place.why_not


def test_the_table_is_written_between_the_marks(scored: tuple[Outcome, str], tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# A\n\n{MARKS.start}\nold\n{MARKS.end}\n\nB\n")
    assert scored[0].path is not None
    assert write_bench_table(readme, [scored[0].path]) == readme
    text = readme.read_text()
    assert (
        text.startswith(f"# A\n\n{MARKS.start}\n| track |")
        and text.endswith(f"\n{MARKS.end}\n\nB\n")
        and "old" not in text
    )
    assert "| mnist | **ensemble**, test labels | accuracy " in text and "quick, " in text
    published = (
        "| mnist | published: Keras example mnist_convnet | test accuracy 99.22 % |  |  | the catch: one training"
    )
    assert published in text and text.index(published) > text.index("**ensemble**, test labels")
    write_bench_table(readme, [scored[0].path])
    assert readme.read_text() == text
    elsewhere = [
        "| mnist | mlp | accuracy 0.9 | 60 | 1 min | standard, 2 cores, 2026-01-02 |",
        "| mnist | mlp | accuracy 0.1 | 60 | 1 min | quick, 2 cores, 2026-01-02 |",
        "| a track that is gone | mlp | accuracy 0.2 | 60 | 1 min | best, 2 cores, 2026-01-02 |",
        "| flowers | bit | accuracy 0.8 | 60 | 1 min | best, 2 cores, 2026-01-02 |",
    ]
    commands = [f"`make bench PRESET={preset}`" for preset in ("standard", "best", "quick")]
    readme.write_text(
        text.replace("| --- |\n", "| --- |\n" + "\n".join(elsewhere) + "\n", 1).replace(
            "Written from ", f"Written from {', '.join(commands)}, "
        )
    )
    write_bench_table(readme, [scored[0].path])
    merged = readme.read_text()
    lines = merged.splitlines()
    assert [row in merged for row in elsewhere] == [True, False, False, True], "other presets and tracks stay"
    assert lines.index(elsewhere[0]) > next(i for i, line in enumerate(lines) if "test labels" in line), "after quick"
    assert lines[lines.index(elsewhere[3]) + 1].startswith("| flowers | published: ")
    assert merged.count(published) == 1 and f"Written from {commands[0]}, {commands[1]}, `" in merged
    assert commands[2] not in merged, "no row of it is left"
    with pytest.raises(BadInput, match="is not there: the table is read"):
        write_bench_table(readme, [tmp_path / "other.csv"])
    readme.write_text("no marks")
    with pytest.raises(BadInput, match="are not both there"):
        write_bench_table(readme, [scored[0].path])


def test_a_machine_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gpu_name", lambda: "")
    assert re.fullmatch(r"\d+ cores( with bfloat16)?, 7 jobs, tensorflow", machine.machine_class(7))
    monkeypatch.setattr(machine, "gpu_name", lambda: "NVIDIA X")
    monkeypatch.setattr(machine, "backend_sees_gpu", lambda: False)
    assert not machine.trains_on_gpu()
    assert re.fullmatch(r"\d+ cores( with bfloat16)?, tensorflow", machine.machine_class())
    monkeypatch.setattr(machine, "backend_sees_gpu", lambda: True)
    assert machine.trains_on_gpu() and machine.machine_class() == "NVIDIA X, tensorflow"


@pytest.mark.slow
def test_a_gpu_that_the_backend_does_not_see_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert not machine.backend_sees_gpu()


def test_the_command_exits_with_3_and_one_line(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "submissions", "bench", "--tracks", "flowers", "--data-root", "nowhere"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == MISSING
    assert done.stderr.splitlines() == [
        "error: no track could be run: none of their data are there; see the lines above"
    ]
    assert "flowers left out" in done.stdout


@pytest.mark.slow
def test_the_samples_are_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = bench(None, Settings(data_root=tmp_path / "data", preset="quick", weights="none"))
    best = {row.competition: row.score for row in outcome.rows if row.kind == "test" and row.metric != "log_loss"}
    assert outcome.status == 0 and set(best) == {"specimens", "digits"} and best["digits"] > 0.95
