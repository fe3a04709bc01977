"""Tables of a Markdown file, each written by a command between two marks of its own: what stands between them is nobody's to edit."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from comp.errors import BadInput
from comp.store import write_text


@dataclass(frozen=True)
class Marks:
    """The two comments that a table stands between."""

    start: str
    end: str

    def check(self, file: Path) -> str:
        """Return the text of a file that has both marks, in their order.

        Raises:
            BadInput: If there is no such file, or it lacks them.
        """
        if not file.is_file():
            raise BadInput(f"{file}: no such file; expected a Markdown file with the marks {self.start} and {self.end}")
        text = file.read_text()
        if self.start not in text or self.end not in text.partition(self.start)[2]:
            raise BadInput(f"{file}: the marks {self.start} and {self.end} are not both there")
        return text

    def rows(self, file: Path, columns: Sequence[str]) -> list[list[str]]:
        """Return the rows of the table that stands between the marks; none where it has other columns.

        Raises:
            BadInput: If the file lacks the marks.
        """
        lines = self.between(file).splitlines()
        heading = f"| {' | '.join(columns)} |"
        if heading not in lines:
            return []
        body = itertools.takewhile(lambda line: line.startswith("| "), lines[lines.index(heading) + 2 :])
        return [[cell.strip() for cell in line[1:-1].split("|")] for line in body]

    def between(self, file: Path) -> str:
        """Return what stands between the marks of a file.

        Raises:
            BadInput: If the file lacks the marks.
        """
        return self.check(file).partition(self.start)[2].partition(self.end)[0]

    def write(self, file: Path, content: str) -> Path:
        """Put text between the marks of a file, in place of what stood there, and return the file's path.

        Raises:
            BadInput: If the file lacks the marks.
        """
        before, _, rest = self.check(file).partition(self.start)
        after = rest.partition(self.end)[2]
        write_text(file, f"{before}{self.start}\n{content}\n{self.end}{after}")
        return file


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [" | ".join(columns), " | ".join("---" for _ in columns), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)
