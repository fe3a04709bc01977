"""Plots in the page's dress: drawn once, written as PNG and SVG, and put into the page with colours that follow light and dark."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from comp.store import replacing

INK, SOFT, LINE, PAPER = "#1b2733", "#55616d", "#d3d9df", "#fefefd"
SERIES = ("#0b62a4", "#b4530a", "#1a7f4b", "#7c3aad", "#b3261e", "#0e7490", "#7a5c1e", "#b0307a")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")  # colour is never the only sign
WIDTH, HEIGHT = 4.8, 3.0  # inches: a phone's width at the size that text is read in
DOTS_PER_INCH = 160
LONGEST_LABEL = 24
WIDE, WIDE_IN_PAGE = 72 * WIDTH, 34  # points of a plot, and how many rem of the page they take at most
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: sharp, small, found by a search
    "text.parse_math": False,  # a family called `$x$` is that, and no formula
    "font.family": ["sans-serif"],
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": LINE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "savefig.facecolor": PAPER,
}
VARIABLES = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    LINE: "var(--line)",
    PAPER: "none",
    **{colour: f"var(--s{index})" for index, colour in enumerate(SERIES)},
}


@dataclass(frozen=True)
class Plot:
    """One plot in the page.

    Attributes:
        svg: Ready for the page: its colours are the page's variables, its ids its own.
        caption: What to see in it, in a sentence.
    """

    name: str
    svg: Markup
    caption: str


def colour(index: int) -> str:
    """Return the colour of a series; after the eighth they begin anew."""
    return SERIES[index % len(SERIES)]


def marker(index: int) -> str:
    """Return the mark of a series."""
    return MARKERS[index % len(MARKERS)]


def label(text: str, longest: int = LONGEST_LABEL, end: int = 0) -> str:
    """Return a name of the data as it may stand in a plot: what no font or no XML has is a dot, and it is not too long.

    Args:
        end: How many of the last signs stay where it is cut: runs differ there.
    """
    plain = "".join(sign if sign.isprintable() else "·" for sign in text)
    if len(plain) <= longest:
        return plain
    return plain[: longest - 1 - end] + "…" + plain[len(plain) - end :]


@dataclass(frozen=True)
class Plots:
    """Draws plots and keeps them: `folder` gets NAME.png and NAME.svg of each, `made` the page's."""

    folder: Path
    made: dict[str, Plot] = field(default_factory=dict)

    def draw(
        self,
        name: str,
        alt: str,
        caption: str,
        paint: Callable[[Any], None],
        size: tuple[float, float] = (WIDTH, HEIGHT),
    ) -> Plot:
        """Draw a plot, write it as PNG and SVG, and return it for the page.

        Args:
            alt: What it shows, for who cannot see it.
            paint: Draws into an empty matplotlib figure.
            size: Inches; text has the same size in all plots, so a tall plot has room, no large letters.
        """
        with _styled(name):
            from matplotlib.figure import Figure

            figure = Figure(figsize=size, layout="constrained")
            paint(figure)
            text = _written(figure, self.folder / name)
        plot = Plot(name, in_page(text, name, alt), caption)
        self.made[name] = plot
        return plot


@contextmanager
def _styled(name: str) -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Glyph"
        )  # a name in a script that the font lacks: the SVG shows it all the same
        yield


def _written(figure: Any, stem: Path) -> str:
    """Write a figure as PNG and SVG and return the SVG."""
    none = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with replacing(stem.with_suffix(".png")) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH)
    with replacing(stem.with_suffix(".svg")) as temporary:
        figure.savefig(temporary, format="svg", metadata=none)
    return stem.with_suffix(".svg").read_text(encoding="utf-8")


def in_page(svg: str, name: str, alt: str) -> Markup:
    """Return an SVG as a part of an HTML page: one picture with its description, page colours, ids of its own."""
    body = svg[svg.index("<svg") :]
    head, _, rest = body.partition(">")
    box = re.search(r'viewBox="([^"]*)"', head)
    assert box is not None
    rest = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', rest)
    rest = re.sub(r"url\(#([^)]*)\)", rf"url(#{name}-\1)", rest)
    rest = re.sub(r'href="#([^"]*)"', rf'href="#{name}-\1"', rest)
    for sign, variable in VARIABLES.items():
        rest = rest.replace(f": {sign}", f": {variable}")
    width = float(box[1].split()[2]) / WIDE * WIDE_IN_PAGE  # text is of one size in narrow and wide plots
    shape = f'viewBox="{box[1]}" style="max-width: {width:.1f}rem"'
    return Markup(f'<svg class="plot" role="img" aria-label="{escape(alt)}" {shape}>{rest}')
