"""Downloaded archives to files, trusting none of them: nothing outside the folder, no links, no bombs, archives inside too.

An archive is judged by its table of contents before a byte is written, and by its bytes while they are: a member that is
larger than its entry says is refused as well. Zip, tar (plain, gz, bz2, xz) and 7z come under the same rules.
"""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from comp.errors import NoSpace, Refused
from comp.store import disk_full_is_one_line

BLOCK = 1 << 20
SUFFIXES = (".zip", ".7z", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
DEEPEST = 3
LONGEST_NAME = 1024
# What the standard library and py7zr raise at an archive that is torn, altered, encrypted or none.
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
)


@dataclass
class Budget:
    """What an archive, with all archives inside it, may still take; unpacking uses it up.

    Attributes:
        n_bytes: Bytes on disk; None takes what the disk has free, but for a gigabyte.
        n_files: Files.
        ratio: How much larger than its archive the content may be, once it is over `ratio_from` bytes.
    """

    n_bytes: int | None = None
    n_files: int = 5_000_000
    ratio: float = 200.0
    ratio_from: int = 64 << 20


@dataclass(frozen=True)
class Member:
    """One entry of an archive: its name as it stands there, its size, what it is."""

    name: str
    n_bytes: int
    kind: str = "file"  # file, folder, or what it is instead
    source: Any = field(default=None, repr=False)


def is_archive(path: Path) -> bool:
    """Return whether a file's name is that of an archive that can be unpacked."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(
    archive: Path, folder: Path, budget: Budget | None = None, note: Callable[[str], None] | None = None
) -> None:
    """Unpack an archive into a folder, and the archives inside it; those inside are removed once they are unpacked.

    An archive inside goes to a folder of its own name, unless all it holds is in such a folder already.

    Args:
        folder: Where its files go; what is there already is never overwritten.
        note: Takes a line for each archive inside.

    Raises:
        Refused: If it is torn, or anything in it leaves the folder, is a link, collides, or breaks the budget. What was
            unpacked before lies there still: the caller throws the folder away.
        NoSpace: If the disk cannot hold it.
    """
    budget = budget or Budget()
    folder.mkdir(parents=True, exist_ok=True)
    if budget.n_bytes is None:
        budget.n_bytes = max(0, shutil.disk_usage(folder).free - (1 << 30))
    _unpack(archive, folder, budget, note or (lambda line: None), 0)


def _unpack(archive: Path, folder: Path, budget: Budget, note: Callable[[str], None], depth: int) -> None:
    if depth > DEEPEST:
        raise Refused(f"archive {archive.name}: archives inside archives are {depth} deep, expected {DEEPEST} at most")
    with disk_full_is_one_line(folder):
        written = _extract(archive, folder, budget)
    for path in written:
        if is_archive(path):
            note(f"unpacking {path.name}")
            inner = path.with_name(path.name + ".inside")
            inner.mkdir()
            _unpack(path, inner, budget, note, depth + 1)
            path.unlink()
            _settle(inner, path)


def _settle(inner: Path, archive: Path) -> None:
    """Move what was unpacked of an inner archive to where people expect it."""
    stem = archive.name[: -len(next(end for end in SUFFIXES if archive.name.lower().endswith(end)))]
    entries = list(inner.iterdir())
    is_wrapped = len(entries) == 1 and (entries[0].name == stem or entries[0].is_file())
    target = archive.parent / (entries[0].name if is_wrapped else stem)
    if target.exists():
        raise Refused(f"archive {archive.name}: it would overwrite {target.name}, which is there already")
    (entries[0] if is_wrapped else inner).rename(target)
    if is_wrapped:
        inner.rmdir()


def _extract(archive: Path, folder: Path, budget: Budget) -> list[Path]:
    name = archive.name.lower()
    opener = _zip if name.endswith(".zip") else _seven if name.endswith(".7z") else _tar
    try:
        return opener(archive, folder, budget)
    except _BROKEN as error:
        raise Refused(f"archive {archive.name} cannot be unpacked ({error}): fetch it again") from error


def check_members(archive: Path, members: Sequence[Member], budget: Budget) -> list[PurePosixPath]:
    """Return where each member goes, after judging all of them; nothing is written.

    Raises:
        Refused: At the first that leaves the folder, is a link or a device, or collides; or if all are too many or large.
        NoSpace: If the disk cannot hold them.
    """
    paths = [_safe_path(archive, member) for member in members]
    files = [path for path, member in zip(paths, members, strict=True) if member.kind == "file"]
    if len({str(path).casefold() for path in files}) < len(files):
        raise Refused(f"archive {archive.name}: it holds the same name twice; it cannot be unpacked as it is")
    n_bytes = sum(member.n_bytes for member in members)
    packed = archive.stat().st_size
    if len(files) > budget.n_files or (n_bytes > budget.ratio_from and n_bytes > budget.ratio * packed):
        raise Refused(
            f"archive {archive.name}: {len(files):,} files of {n_bytes:,} bytes out of {packed:,} look like a bomb; "
            "unpack it by hand if it is none"
        )
    if budget.n_bytes is not None and n_bytes > budget.n_bytes:
        raise NoSpace(
            f"archive {archive.name} holds {n_bytes:,} bytes, and {budget.n_bytes:,} may be used here: free some"
        )
    return paths


def _safe_path(archive: Path, member: Member) -> PurePosixPath:
    name = member.name
    path = PurePosixPath(name)
    wrong = ""
    if member.kind not in ("file", "folder"):
        wrong = f"is a {member.kind}"
    elif path.is_absolute() or "\\" in name or name[1:2] == ":":
        wrong = "has an absolute or foreign path"
    elif ".." in path.parts:
        wrong = "leaves the folder"
    elif "\0" in name or len(name) > LONGEST_NAME or (member.kind == "file" and not path.parts):
        wrong = "has no usable name"
    if wrong:
        raise Refused(f"archive {archive.name}: {name[:100]!r} {wrong}; nothing of it is used")
    return path


class MemberWriter:
    """Writes one member, no byte more than its entry says, and takes what it writes off the budget."""

    def __init__(self, archive: Path, path: Path, member: Member, budget: Budget) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self._archive, self._left, self._budget = path, archive, member.n_bytes, budget
        try:
            self._file = path.open("xb")
        except FileExistsError:
            raise Refused(f"archive {archive.name}: it would overwrite {path.name}, which is there already") from None
        budget.n_files -= 1

    def write(self, block: bytes | bytearray) -> int:
        """Write a block and return its size.

        Raises:
            Refused: If the member grows over its entry's size, or over the budget.
        """
        self._left -= len(block)
        self._budget.n_bytes = (self._budget.n_bytes or 0) - len(block)
        if self._left < 0 or self._budget.n_bytes < 0:
            raise Refused(f"archive {self._archive.name}: {self.path.name} is larger than its entry says; refused")
        return self._file.write(block)

    def copy(self, stream: IO[bytes]) -> Path:
        """Write all that a stream gives, and return the file's path."""
        with self._file:
            while block := stream.read(BLOCK):
                self.write(block)
        return self.path

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _zip(archive: Path, folder: Path, budget: Budget) -> list[Path]:
    with zipfile.ZipFile(archive) as opened:
        members = [Member(info.filename, info.file_size, _zip_kind(info), info) for info in opened.infolist()]
        paths = check_members(archive, members, budget)
        written = []
        for member, path in _files(members, paths, folder):
            with opened.open(member.source) as stream:
                written.append(MemberWriter(archive, path, member, budget).copy(stream))
    return written


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if info.is_dir():
        return "folder"
    is_plain = not stat.S_IFMT(mode) or stat.S_ISREG(mode)
    return "file" if is_plain else "link" if stat.S_ISLNK(mode) else "device"


def _tar(archive: Path, folder: Path, budget: Budget) -> list[Path]:
    with tarfile.open(archive) as opened:
        members = list(_tar_members(opened, budget, archive.stat().st_size))
        paths = check_members(archive, members, budget)
        written = []
        for member, path in _files(members, paths, folder):
            stream = opened.extractfile(member.source)
            if stream is not None:
                written.append(MemberWriter(archive, path, member, budget).copy(stream))
        while opened.fileobj is not None and opened.fileobj.read(BLOCK):
            pass  # to the very end, where gzip keeps the sum that tells a torn file
    return written


def _tar_members(opened: tarfile.TarFile, budget: Budget, packed: int) -> Iterator[Member]:
    """Yield the entries, and stop where they are too many or too large already: reading on would unpack a bomb."""
    n_bytes = 0
    for n_files, info in enumerate(opened):
        if n_files > budget.n_files or n_bytes > max(budget.ratio_from, budget.ratio * packed):
            return
        n_bytes += info.size if info.isreg() else 0
        yield Member(info.name, info.size if info.isreg() else 0, _tar_kind(info), info)


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.isdir():
        return "folder"
    return "file" if info.isreg() else "link" if info.issym() or info.islnk() else "device"


def _seven(archive: Path, folder: Path, budget: Budget) -> list[Path]:
    import py7zr
    from py7zr.exceptions import ArchiveError
    from py7zr.io import Py7zIO, WriterFactory

    class Sink(Py7zIO):  # type: ignore[misc]
        def __init__(self, writer: MemberWriter) -> None:
            self.writer, self.n_bytes = writer, 0

        def write(self, s: bytes | bytearray) -> int:
            self.n_bytes += len(s)
            return self.writer.write(s)

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return offset

        def flush(self) -> None:
            """Have nothing to do."""

        def size(self) -> int:
            return self.n_bytes

        def close(self) -> None:
            self.writer.close()

    class Factory(WriterFactory):  # type: ignore[misc]
        def create(self, filename: str) -> Py7zIO:
            member, path = wanted[filename]
            return Sink(MemberWriter(archive, path, member, budget))

    try:
        with py7zr.SevenZipFile(archive) as opened:
            entries = opened.list()
            members = [Member(entry.filename, entry.uncompressed, _seven_kind(entry), entry) for entry in entries]
            paths = check_members(archive, members, budget)
            wanted = {member.name: (member, path) for member, path in _files(members, paths, folder)}
            opened.extractall(factory=Factory())
    except (ArchiveError, OSError, KeyError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise Refused(f"archive {archive.name} cannot be unpacked ({error}): fetch it again") from error
    return [path for _, path in wanted.values()]


def _seven_kind(entry: Any) -> str:
    if entry.is_directory:
        return "folder"
    return "link" if entry.is_symlink else "file" if entry.is_file else "device"


def _files(members: Sequence[Member], paths: Sequence[PurePosixPath], folder: Path) -> Iterator[tuple[Member, Path]]:
    for member, path in zip(members, paths, strict=True):
        if member.kind == "file":
            yield member, folder / path
