"""A study drawn: history, slices, parallel coordinates and importance as PNG, and all of it as one HTML that needs nothing else."""

from __future__ import annotations

import base64
import html
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comp.errors import BadInput
from comp.store import replacing, write_text
from tuning.show import facts_of, trial_line
from tuning.storage import quiet_optuna
from tuning.study import complete_trials
from tuning.tuned import in_words

if TYPE_CHECKING:
    import optuna

LEAST_TRIALS = 2
DOTS_PER_INCH = 110
STYLE = "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}img{max-width:100%}"


def write_report(study: optuna.Study, folder: Path) -> Path:
    """Draw a study into a folder and return the path of the HTML.

    Raises:
        BadInput: If fewer than two trials are complete: there is nothing to draw yet.
    """
    n_complete = len(complete_trials(study))
    if n_complete < LEAST_TRIALS:
        raise BadInput(
            f"study {study.study_name}: {n_complete} complete trials, a report needs {LEAST_TRIALS}; tune on"
        )
    drawn = [(name, _draw(study, plot, folder / f"{name}.png")) for name, plot in _plots().items()]
    path = folder / "report.html"
    write_text(path, _page(study, [(name, png) for name, png in drawn if png]))
    return path


def _plots() -> dict[str, Callable[[Any], Any]]:
    with quiet_optuna() as optuna:
        plots = optuna.visualization.matplotlib
        return {
            "history": plots.plot_optimization_history,
            "slice": plots.plot_slice,
            "parallel-coordinate": plots.plot_parallel_coordinate,
            "importance": plots.plot_param_importances,
        }


def _draw(study: optuna.Study, plot: Callable[[Any], Any], path: Path) -> Path | None:
    """Draw one plot; return None where the study is too small or too uniform for it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    try:
        with quiet_optuna(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of layouts that are tight
            axes = plot(study)
            figure = (axes.ravel()[0] if hasattr(axes, "ravel") else axes).figure
            figure.set_size_inches(max(10.0, figure.get_size_inches()[0]), 5.5)
            with replacing(path) as temporary:
                figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH, bbox_inches="tight")
    except (ValueError, RuntimeError):  # all trials are equal, so nothing has an importance
        path.unlink(missing_ok=True)
        return None
    finally:
        pyplot.close("all")
    return path


def _page(study: optuna.Study, drawn: list[tuple[str, Path]]) -> str:
    facts, name = facts_of(study), html.escape(study.study_name)
    best = facts["best"]
    counts = ", ".join(f"{facts[state]} {state}" for state in ("complete", "pruned", "failed", "running"))
    found = in_words(best["changes"]) or "the default recipe"
    lines = [
        f"<p>{counts} trials; {facts['folds_run']} of {facts['folds_without_pruning']} folds run.</p>",
        f"<p>Best in the search (which flatters it): {best['score']:.4f}, trial {best['trial']}, {html.escape(found)}.</p>",
        *(f"<h2>{title}</h2>\n<img alt='{title}' src='{_embedded(path)}'>" for title, path in drawn),
        "<h2>trials</h2>",
        "<ol start='0'>",
        *(
            f"<li>{html.escape(trial_line(each))}</li>"
            for each in study.get_trials(deepcopy=False)
            if each.state.is_finished()
        ),
        "</ol>",
    ]
    head = (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{name}</title><style>{STYLE}</style></head>"
    )
    return "\n".join([head, f"<body><h1>{name}</h1>", *lines, "</body></html>", ""])


def _embedded(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
