"""Pictures that lie as rows of one file: the same digits in each way of lying give the same tables and the same pixels in the cache."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from comp.arrays import file_of, read_content, row_paths
from comp.cifar import read_batch
from comp.decode import Unreadable, decode
from comp.engine import ignore_events
from comp.engines.inline import InlineEngine
from comp.errors import BadInput
from comp.images import ABSENT, CACHE, ImageStore, PixelSpec, cache_images
from comp.registry import load_competition, load_layout
from comp.sources import Source, answers_of
from comp.spec import Competition
from comp.tables import Tables, read_tables

N_TRAIN, N_TEST = 12, 5
LABELS = [row % 3 for row in range(N_TRAIN)]
ANSWERS = [2, 0, 1, 1, 0]


def pictures(n: int, side: int, channels: int) -> np.ndarray:
    shape = (n, side, side, 3) if channels == 3 else (n, side, side)
    return np.random.default_rng(n).integers(0, 256, shape, dtype=np.uint8)


def make_npz(folder: Path, has_test: bool = True) -> Competition:
    arrays = {"x_train": pictures(N_TRAIN, 28, 1), "y_train": np.array(LABELS, np.uint8)}
    if has_test:
        arrays |= {"x_test": pictures(N_TEST, 28, 1), "y_test": np.array(ANSWERS, np.uint8)}
    np.savez(folder / "mnist.npz", **arrays)
    return load_competition("mnist")


def make_pixel_csv(folder: Path, has_test: bool = True) -> Competition:
    for name, n, labels in (("train", N_TRAIN, LABELS), ("test", N_TEST, None))[: 1 + has_test]:
        rows = [",".join(map(str, row)) for row in pictures(n, 28, 1).reshape(n, -1).tolist()]
        header = ",".join(f"pixel{i}" for i in range(784))
        if labels is not None:
            header, rows = f"label,{header}", [f"{label},{row}" for label, row in zip(labels, rows, strict=True)]
        (folder / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n")
    return load_competition("digit_recognizer")


def make_cifar(folder: Path, has_test: bool = True) -> Competition:
    home = folder / "cifar-100-python"
    home.mkdir()
    for name, n, labels in (("train", N_TRAIN, LABELS), ("test", N_TEST, ANSWERS))[: 1 + has_test]:
        flat = np.ascontiguousarray(pictures(n, 32, 3).transpose(0, 3, 1, 2).reshape(n, -1))
        content = {b"data": flat, b"fine_labels": labels, b"filenames": [b"x.png"] * n, b"batch_label": b"of 1"}
        (home / name).write_bytes(pickle.dumps(content, protocol=2))
    meta = {b"fine_label_names": [b"0", b"1", b"2"], b"coarse_label_names": [b"all"]}
    (home / "meta").write_bytes(pickle.dumps(meta, protocol=2))
    return load_competition("cifar100")


MAKERS: dict[str, Callable[..., Competition]] = {
    "npz": make_npz,
    "pixel_csv": make_pixel_csv,
    "cifar_archive": make_cifar,
}


@pytest.fixture(params=MAKERS)
def laid_out(request: pytest.FixtureRequest, in_folder: Path) -> tuple[Competition, Path]:
    """Return a competition and its folder, with cache/ in the current one."""
    folder = in_folder / "a folder 貓"
    folder.mkdir()
    return MAKERS[request.param](folder), folder


def cached(tables: Tables, spec: PixelSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return train and test pictures as the cache gives them."""
    assert tables.test is not None
    paths = [*tables.train["path"], *tables.test["path"]]
    facts = cache_images(tables.data_dir, paths, [spec], InlineEngine(), ignore_events, CACHE)
    rows = ImageStore(spec, CACHE).gather([fact.sha for fact in facts])
    return rows[: len(tables.train)], rows[len(tables.train) :]


def test_tables_are_the_rows_in_their_order(laid_out: tuple[Competition, Path]) -> None:
    tables = read_tables(*laid_out)
    assert tables.test is not None
    assert tables.train["label"].tolist() == [str(label) for label in LABELS]
    assert tables.train["id"].tolist() == [f"train-{row + 1}" for row in range(N_TRAIN)]
    assert tables.test["id"].tolist() == ["1", "2", "3", "4", "5"]
    assert list(tables.test.columns) == ["id", "path"]
    assert {str(kind) for kind in tables.train.dtypes} == {"str"}


def test_pixels_come_into_the_cache_as_they_are(laid_out: tuple[Competition, Path]) -> None:
    competition, folder = laid_out
    before = sorted(folder.rglob("*"))
    side, channels = competition.pixels, competition.channels
    train, test = cached(read_tables(competition, folder), PixelSpec(side, channels))
    shape = (side, side, channels)
    assert (train == pictures(N_TRAIN, side, channels).reshape(-1, *shape)).all()
    assert (test == pictures(N_TEST, side, channels).reshape(-1, *shape)).all()
    assert sorted(folder.rglob("*")) == before


def test_another_size_is_asked_of_the_same_rows(laid_out: tuple[Competition, Path]) -> None:
    train, _ = cached(read_tables(*laid_out), PixelSpec(16, 3))
    assert train.shape == (N_TRAIN, 16, 16, 3)


def test_no_test_part_is_none(tmp_path: Path) -> None:
    for name, make in MAKERS.items():
        folder = tmp_path / name
        folder.mkdir()
        assert read_tables(make(folder, has_test=False), folder).test is None, name


def test_answers_are_told_only_where_the_data_carry_them(laid_out: tuple[Competition, Path]) -> None:
    competition, folder = laid_out
    known = answers_of(competition, Source(folder))
    if competition.layout == "pixel_csv":
        assert known is None
        return
    assert known is not None
    assert list(known[0].columns) == list(competition.submission_columns)
    assert known[0][competition.id_column].tolist() == ["1", "2", "3", "4", "5"]
    assert known[0][competition.target_column].tolist() == [str(label) for label in ANSWERS]


def test_reading_the_tables_never_opens_the_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    competition = make_npz(tmp_path)
    opened: list[str] = []
    real = np.lib.npyio.NpzFile.__getitem__
    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", lambda self, key: opened.append(key) or real(self, key))
    read_tables(competition, tmp_path)
    assert "x_train" in opened and "y_test" not in opened


def test_a_sample_submission_is_the_template(laid_out: tuple[Competition, Path]) -> None:
    competition, folder = laid_out
    columns = ",".join(competition.submission_columns)
    (folder / "sample_submission.csv").write_text(f"{columns}\n2,0\n1,0\n3,0\n5,0\n4,0\n")
    sample = read_tables(competition, folder).sample
    assert sample is not None and sample[competition.id_column].tolist() == ["2", "1", "3", "5", "4"]


def test_an_empty_folder_is_one_line(laid_out: tuple[Competition, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"missing in .*empty"):
        read_tables(laid_out[0], tmp_path / "empty")


@pytest.mark.parametrize("name", ["train", "mnist.npz", "train.csv"])
def test_a_torn_file_is_one_line(tmp_path: Path, name: str) -> None:
    maker = {"train": make_cifar, "mnist.npz": make_npz, "train.csv": make_pixel_csv}[name]
    competition = maker(tmp_path)
    (file,) = tmp_path.rglob(name)
    whole = file.read_bytes()
    file.write_bytes(b"label,x\n1,2\n" if name == "train.csv" else whole[: len(whole) // 2])
    with pytest.raises(BadInput) as caught:
        read_tables(competition, tmp_path)
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)


def test_an_altered_byte_in_a_packed_file_is_one_line(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "mnist.npz", x_train=pictures(40, 8, 1), y_train=np.zeros(40, int))
    content = bytearray((tmp_path / "mnist.npz").read_bytes())
    content[len(content) // 3 : len(content) // 3 + 16] = b"\xff" * 16
    (tmp_path / "mnist.npz").write_bytes(content)
    with pytest.raises(BadInput, match=r"mnist\.npz cannot be read") as caught:
        read_tables(load_competition("mnist"), tmp_path)
    assert "\n" not in str(caught.value)


def test_pictures_and_labels_of_different_number_are_one_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", x_train=pictures(4, 8, 1), y_train=np.zeros(3, int))
    with pytest.raises(BadInput, match="4 pictures x_train and 3 labels"):
        read_tables(load_competition("mnist"), tmp_path)


class Evil:
    """Names a function that a careless reader would call."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, ("called",)


def test_a_pickle_runs_nothing(in_folder: Path) -> None:
    (in_folder / "train").write_bytes(pickle.dumps({b"data": Evil()}, protocol=2))
    with pytest.raises(BadInput, match=r"names posix\.mkdir|names os\.mkdir|names nt\.mkdir"):
        read_batch(in_folder / "train")
    assert not (in_folder / "called").exists()


def test_an_array_of_objects_in_a_pickle_is_refused(in_folder: Path) -> None:
    (in_folder / "train").write_bytes(pickle.dumps({b"data": np.array([{}, {}], object)}, protocol=2))
    with pytest.raises(BadInput, match="other numbers than bytes"):
        read_batch(in_folder / "train")


def test_only_a_row_is_a_row() -> None:
    assert row_paths("a.npz", "x", 2) == ["a.npz::x/0", "a.npz::x/1"]
    assert [file_of(path) for path in ("a.npz::x/0", "a::b.jpg", "a/b.jpg")] == ["a.npz", "a::b.jpg", "a/b.jpg"]


def test_a_row_changes_its_name_with_its_content(tmp_path: Path) -> None:
    make_npz(tmp_path)
    first = read_content(f"{tmp_path}/mnist.npz::x_train/0")
    assert (np.load(io.BytesIO(first)) == pictures(N_TRAIN, 28, 1)[0]).all()
    assert read_content(f"{tmp_path}/mnist.npz::x_train/1") != first
    np.savez(tmp_path / "mnist.npz", x_train=255 - pictures(N_TRAIN, 28, 1), y_train=np.array(LABELS))
    assert read_content(f"{tmp_path}/mnist.npz::x_train/0") != first


def test_an_absent_array_file_is_an_absent_photo(in_folder: Path) -> None:
    found = cache_images(in_folder, ["a.npz::x/0"], [PixelSpec(8)], InlineEngine(), ignore_events, CACHE)
    assert found == [ABSENT]


@pytest.mark.parametrize("array", [np.zeros((3, 3)), np.zeros((2, 2, 2), np.uint8), np.zeros((0, 3), np.uint8)])
def test_an_array_that_is_no_picture_is_unreadable(array: np.ndarray) -> None:
    content = io.BytesIO()
    np.save(content, array)
    with pytest.raises(Unreadable):
        decode(content.getvalue())
    with pytest.raises(Unreadable):
        decode(content.getvalue()[:20])


def test_the_digits_are_drawn_alike_and_their_answers_lie_apart(tmp_path: Path) -> None:
    from comp.samples import digits

    for name in ("one", "two"):
        digits.draw(tmp_path / name)
    competition = replace(load_competition("digits"), sample=None)
    one, two = (read_tables(competition, tmp_path / name / "data") for name in ("one", "two"))
    assert one.train.equals(two.train) and len(one.train) == 1352
    assert answers_of(competition, Source(tmp_path / "one" / "data")) is None, "not in the data"
    assert len((tmp_path / "one" / "answers.csv").read_text().splitlines()) == 446
    assert load_layout("npz").answers(competition, tmp_path / "one" / "data") is None
