"""Facts to one HTML file: templates with everything escaped that comes from data, no script, nothing from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from submissions.report.results import spread

FOLDER = Path(__file__).parent / "page"


def render(facts: dict[str, Any]) -> str:
    """Return the page; a fact that a template asks for and does not get is an error, never a gap."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        score=lambda value: f"{value:.4f}",
        n=lambda value: f"{value:,}",
        pct=lambda value: f"{100 * value:.1f} %",
        spread=spread,
        sentence=lambda text: text[:1].upper() + text[1:],
    )
    style = Markup((FOLDER / "style.css").read_text(encoding="utf-8"))
    return environment.get_template("report.html").render(style=style, **facts)
