"""What a person sees: calm lines, tables and progress bars on standard output, errors as one line on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from comp.engine import Event, Job, Listener
from comp.errors import BadInput, FoldboardError
from comp.store import disk_full_is_one_line, key_of

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_OFF_TERMINAL = 120  # rich would wrap at 80
STOPPED = "stopped; the same command goes on from here"
INTERRUPTED = 130  # the exit status of what Ctrl-C ended, as shells have it


def console() -> Console:
    """Return the console on standard output; off a terminal it is wide and plain."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _WIDTH_OFF_TERMINAL
    return Console(highlight=False, width=width, markup=False)


def say(line: str = "") -> None:
    """Print a line as it is: never wrapped, never coloured."""
    print(line, flush=True)


def warn(line: str) -> None:
    """Print a line beside what was asked for, on standard error: what another program reads there stays whole."""
    print(line, file=sys.stderr, flush=True)


def last_line(path: Path) -> None:
    """Print the path of what was made, plain and alone: the last line of all output."""
    sys.stderr.flush()
    print(relative(path), flush=True)


def relative(path: Path) -> str:
    """Return a path relative to the current folder where it lies below it, else as it is."""
    try:
        return path.resolve().relative_to(Path.cwd().resolve()).as_posix()
    except ValueError:
        return str(path)


def show_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], n_left: int = 1, whole: int | None = None
) -> None:
    """Print a table: the first `n_left` columns to the left, the others to the right; lines of the column `whole` stay whole."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        justify: Literal["left", "right"] = "left" if index < n_left else "right"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=index == whole)
    for row in rows:
        table.add_row(*row)
    console().print(table)


def show_facts(title: str, facts: Sequence[tuple[str, str]]) -> None:
    """Print names and what they are, one a line; long values go on under themselves."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(name, value)
    out = console()
    out.print(title, style="bold")
    out.print(grid)


def duration(seconds: float) -> str:
    """Return a duration as a person says it: `40 s`, `12 min`, `1.6 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def progress(label: str, total: float, unit: str = "") -> Iterator[Listener]:
    """Show a bar with an ETA while jobs run; off a terminal, a line as each tenth is passed.

    Args:
        label: What is being done.
        total: Sum of the jobs' sizes.
        unit: What sizes count, shown behind the numbers; the empty string shows a percentage.

    Yields:
        The listener to run the jobs with.
    """
    if sys.stdout.isatty():
        with _bar(label, total, unit) as listener:
            yield listener
    else:
        yield _tenths(label, total)


@contextmanager
def _bar(label: str, total: float, unit: str) -> Iterator[Listener]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    count = [MofNCompleteColumn(), TextColumn(unit)] if unit else [TaskProgressColumn()]
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        *count,
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=console()) as bars:
        task = bars.add_task(label, total=total)
        yield _summing(lambda done: bars.update(task, completed=done), bars.console.print)


def _tenths(label: str, total: float) -> Listener:
    passed = [0]

    def show(done: float) -> None:
        tenth = int(10 * done / total) if total else 10
        if tenth > passed[0]:
            passed[0] = tenth
            say(f"{label}: {tenth * 10} %")

    return _summing(show, say)


def _summing(show: Callable[[float], None], note: Callable[[str], None]) -> Listener:
    """Return a listener that adds up what each job has done of its size."""
    shares: dict[str, float] = {}

    def listen(event: Event) -> None:
        if event.kind == "note":
            note(event.value)
            return
        share = 1.0 if event.kind == "done" else float(event.value)
        job = event.job
        shares[key_of([job.function, dict(job.arguments)])] = share * job.size  # labels may repeat: seeds, banks
        show(sum(shares.values()))

    return listen


@contextmanager
def share_bar(label: str) -> Iterator[Callable[[float], None]]:
    """Show a bar for one thing that is moved; what is yielded takes the share that is there, 0 to 1."""
    job = Job(function="", arguments={}, label=label)
    with progress(label, 1.0) as listener:
        yield lambda share: listener(Event(job, "progress", share))


def run(app: Callable[[], None]) -> None:
    """Run a command line; a failure, and Ctrl-C, end as one line on standard error and an exit status that is not 0.

    What the system refuses (a folder that may not be written, a disk that is full or gone) is such a failure too; a mistake in
    the program keeps its traceback.
    """
    try:
        with disk_full_is_one_line(Path.cwd()):
            _with_usage_in_one_line(app)()
    except FoldboardError as error:
        _fail(f"error: {error}", error.exit_status)
    except KeyboardInterrupt:
        _fail(STOPPED, INTERRUPTED)
    except SystemExit as end:  # typer 0.29 makes this of Ctrl-C, without a word
        if end.code != INTERRUPTED:
            raise
        _fail(STOPPED, INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        _fail(f"error: {_said_by_the_system(error)}", FoldboardError.exit_status)


def _said_by_the_system(error: OSError) -> str:
    paths = [str(path) for path in (error.filename, error.filename2) if path is not None]
    what = f"{error.strerror or error}" or type(error).__name__
    place = f": {' -> '.join(paths)}" if paths else ""
    return f"{type(error).__name__}, {what}{place}; what was finished is kept, mend this and run the same command again"


def _with_usage_in_one_line(app: Callable[[], None]) -> Callable[[], None]:
    """Return a command line that refuses words it cannot take with BadInput, where typer itself prints a panel; others as they are."""
    from typer import Abort, Typer, TyperException

    if not isinstance(app, Typer):
        return app

    def run_it() -> None:
        try:
            sys.exit(app(standalone_mode=False) or 0)  # what comes back is the status of typer.Exit, or None
        except TyperException as error:
            said, context = error.format_message(), getattr(error, "ctx", None)
            if not said:  # no words at all: the help was shown
                sys.exit(error.exit_code)
            # typer 0.29 leaves out what was given
            told: list[Any] = getattr(error.__cause__, "errors", list)()
            given = f" (given: {told[0]['input']!r})" if told else ""
            where = f"; `{context.command_path} --help` shows what is expected" if context else ""
            raise BadInput(f"{said.rstrip('.')}{given}{where}") from error
        except Abort as error:  # a question that nobody answered
            raise BadInput("no answer, so nothing was done; give it, or YES=1") from error

    return run_it


def _fail(line: str, exit_status: int) -> None:
    with suppress(OSError):  # standard output may be a file on the disk that is full
        sys.stdout.flush()
    print(" ".join(line.split()), file=sys.stderr)
    sys.exit(exit_status)
