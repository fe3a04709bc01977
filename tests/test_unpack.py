"""Nothing that an archive says is trusted: names, links, sizes; zip, tar and 7z alike, and archives inside archives."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import py7zr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comp.errors import NoSpace, Refused
from comp.unpack import Budget, Member, MemberWriter, check_members, is_archive, unpack

FILES = {"train/cat.1.jpg": b"cat" * 500, "a b/ö.txt": b"text", "top.csv": b"id,label\n1,0\n", "empty": b""}


def make_zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def make_tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def make_seven(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(content, name)
    return out.getvalue()


MAKERS: dict[str, Callable[[dict[str, bytes]], bytes]] = {".zip": make_zip, ".tar.gz": make_tar, ".7z": make_seven}


@pytest.fixture(params=list(MAKERS))
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def put(folder: Path, suffix: str, files: dict[str, bytes]) -> Path:
    path = folder / f"all{suffix}"
    path.write_bytes(MAKERS[suffix](files))
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_refused(archive: Path, tmp_path: Path, match: str, budget: Budget | None = None) -> None:
    """Check that an archive is refused and that nothing lies outside the folder it was to go to."""
    before = content(tmp_path)
    with pytest.raises((Refused, NoSpace), match=match):
        unpack(archive, tmp_path / "out", budget)
    after = {name: found for name, found in content(tmp_path).items() if not name.startswith("out/")}
    assert after == before


def test_what_went_in_comes_out(tmp_path: Path, suffix: str) -> None:
    unpack(put(tmp_path, suffix, FILES), tmp_path / "out")
    assert content(tmp_path / "out") == FILES


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil", "C:/evil", "a\\..\\evil"])
@pytest.mark.parametrize("kind", [".zip", ".tar.gz"])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    assert_refused(put(tmp_path, kind, {"good": b"1", name: b"evil"}), tmp_path, "leaves the folder|foreign path")
    assert content(tmp_path / "out") == {}


@pytest.mark.parametrize("name", ["../evil", "/evil"])
def test_a_7z_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    # py7zr writes no such name; what its reader hands over is judged by the same function
    with pytest.raises(Refused):
        check_members(put(tmp_path, ".7z", FILES), [Member(name, 1)], Budget())


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert_refused(path, tmp_path, "is a link")


@pytest.mark.parametrize(
    ("kind", "word"), [(tarfile.SYMTYPE, "link"), (tarfile.LNKTYPE, "link"), (tarfile.FIFOTYPE, "device")]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes, word: str) -> None:
    path = tmp_path / "all.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "../../etc/passwd"
        archive.addfile(info)
    assert_refused(path, tmp_path, f"is a {word}")


def test_a_link_in_a_7z_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    path = tmp_path / "all.7z"
    with py7zr.SevenZipFile(path, "w") as archive:
        archive.write(tmp_path / "link", "link")
    (tmp_path / "link").unlink()
    assert_refused(path, tmp_path, "is a link")


def test_a_bomb_is_refused_by_its_table_of_contents(tmp_path: Path, suffix: str) -> None:
    path = put(tmp_path, suffix, {"bomb": bytes(3 << 20)})
    assert_refused(path, tmp_path, "bomb", Budget(ratio_from=1 << 20))
    assert not any((tmp_path / "out").iterdir())


def test_a_bomb_inside_an_archive_is_refused(tmp_path: Path, suffix: str) -> None:
    inner = MAKERS[suffix]({"bomb": bytes(3 << 20)})
    assert_refused(put(tmp_path, ".zip", {f"inner{suffix}": inner}), tmp_path, "bomb", Budget(ratio_from=1 << 20))


def test_more_bytes_than_allowed_are_refused(tmp_path: Path, suffix: str) -> None:
    assert_refused(put(tmp_path, suffix, FILES), tmp_path, "may be used", Budget(n_bytes=100))


def test_the_budget_is_shared_with_archives_inside(tmp_path: Path) -> None:
    inner = make_zip({"x": b"x" * 900})
    path = put(tmp_path, ".zip", {"one.zip": inner, "two.zip": inner})
    assert_refused(path, tmp_path, "may be used", Budget(n_bytes=1800))


def test_too_many_files_are_refused(tmp_path: Path, suffix: str) -> None:
    assert_refused(put(tmp_path, suffix, {f"{n}": b"" for n in range(30)}), tmp_path, "30 files", Budget(n_files=29))


def test_a_member_larger_than_its_entry_says_is_refused(tmp_path: Path) -> None:
    data = bytearray(make_zip({"liar": b"x" * 5000}))
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = data.index(signature) + at
        data[start : start + 4] = (10).to_bytes(4, "little")
    path = tmp_path / "all.zip"
    path.write_bytes(data)
    assert_refused(path, tmp_path, "larger than|cannot be unpacked")
    assert sum(map(len, content(tmp_path / "out").values())) <= 10


def test_no_reader_can_write_more_than_its_entry_says(tmp_path: Path) -> None:
    writer = MemberWriter(tmp_path / "all.7z", tmp_path / "out" / "liar", Member("liar", 3), Budget(n_bytes=100))
    writer.write(b"123")
    with pytest.raises(Refused, match="larger than its entry"):
        writer.write(b"4")
    writer.close()


def test_archives_inside_go_where_people_expect_them(tmp_path: Path, suffix: str) -> None:
    wrapped = MAKERS[suffix]({"train/1.jpg": b"1", "train/2.jpg": b"2"})
    bare = MAKERS[suffix]({"1.jpg": b"3", "2.jpg": b"4"})
    table = make_zip({"labels.csv": b"id\n"})
    outer = {f"train{suffix}": wrapped, f"test{suffix}": bare, "labels.csv.zip": table}
    unpack(put(tmp_path, ".zip", outer), tmp_path / "out")
    expected = {"train/1.jpg": b"1", "train/2.jpg": b"2", "test/1.jpg": b"3", "test/2.jpg": b"4", "labels.csv": b"id\n"}
    assert content(tmp_path / "out") == expected


def test_an_archive_inside_overwrites_nothing(tmp_path: Path) -> None:
    outer = {"train/1.jpg": b"1", "train.zip": make_zip({"train/1.jpg": b"other"})}
    assert_refused(put(tmp_path, ".zip", outer), tmp_path, "overwrite")


def test_archives_are_not_followed_for_ever(tmp_path: Path) -> None:
    data = make_zip({"x": b"x"})
    for _ in range(6):
        data = make_zip({"inner.zip": data})
    (tmp_path / "all.zip").write_bytes(data)
    assert_refused(tmp_path / "all.zip", tmp_path, "deep")


@pytest.mark.parametrize("name", ["A.txt", "a.txt"])
def test_a_name_that_is_there_twice_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "all.tar.gz"
    path.write_bytes(make_tar({"a.txt": b"1", "b": b"2"}))
    with pytest.raises(Refused, match="twice"):
        check_members(path, [Member("a.txt", 1), Member(name, 1)], Budget())


@pytest.mark.parametrize("cut", [10, 200])
def test_a_torn_archive_is_one_line(tmp_path: Path, suffix: str, cut: int) -> None:
    path = put(tmp_path, suffix, FILES)
    path.write_bytes(path.read_bytes()[:-cut])
    assert_refused(path, tmp_path, "cannot be unpacked")


def test_no_archive_is_one_line(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"all{suffix}"
    path.write_bytes(b"<html>please log in</html>")
    assert_refused(path, tmp_path, "cannot be unpacked")


@given(st.text(min_size=1))
def test_no_name_ever_leads_out(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    base = tmp_path_factory.getbasetemp()
    (base / "any.zip").write_bytes(b"x")
    try:
        path = check_members(base / "any.zip", [Member(name, 0)], Budget())[0]
    except Refused:
        return
    folder = (base / "out").absolute()
    assert (folder / path).is_relative_to(folder) and ".." not in path.parts


def test_archives_are_known_by_name() -> None:
    assert is_archive(Path("a.ZIP")) and is_archive(Path("a.tar.gz")) and is_archive(Path("a.7z"))
    assert not is_archive(Path("a.csv"))
