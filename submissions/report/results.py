"""The report's third section: leaderboard, learning curves, families, confidence, the phylum, the ensemble, CV against LB."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from comp.errors import BadInput
from comp.metrics import metric
from comp.spec import Competition
from comp.store import read_json
from folds.dataset import Dataset
from folds.oof import Score, score
from folds.runs import fold_dir
from submissions.ablate import BASE, ablate
from submissions.leaderboard import SHOWN, Entry, leaderboard, marks_line
from submissions.ledger import last_events, read
from submissions.report import charts
from submissions.report.judge import Judge
from submissions.report.theme import Plot, Plots
from submissions.report.words import condition_name
from submissions.standing import NORMAL_95, Standing, standings
from submissions.stored import is_outside
from submissions.tables import by_class, by_condition

MOST_ENTRIES = 24
BINS = 10


def result_facts(judge: Judge, competition: Competition, ledger: Path, plots: Plots) -> dict[str, Any]:
    """Return what the template tells of the scores, its plots drawn."""
    entries = leaderboard(judge.dataset, competition, ledger)
    scores = {name: score(judge.dataset, judge.table, name) for name in (competition.metric, *competition.also)}
    classes = by_class(judge.truth, judge.scored, judge.dataset.classes, judge.condition)
    classes = classes[classes["rows"] > 0].reset_index(drop=True)
    return {
        "judge": judge.name,
        "notes": judge.notes,
        "scores": scores,
        "leaderboard": _leaderboard(entries, competition, plots),
        "families": classes.to_dict("records"),
        "family_plot": _family_plot(classes, competition, plots),
        "phyla": _phyla(judge, competition),
        "confidence": confidence(judge, plots),
        "ablation": ablation(judge.dataset, competition, plots),
        "ensemble": ensemble(judge, competition, plots),
        "boards": boards(competition, ledger, plots),
    }


def _leaderboard(entries: Sequence[Entry], competition: Competition, plots: Plots) -> dict[str, Any]:
    shown = list(entries[:MOST_ENTRIES])
    values, low, high = (np.array([getattr(one, name) for one in shown]) for name in ("cv", "low", "high"))
    alt = f"{competition.metric} with 95 % intervals: " + "; ".join(
        f"{one.name} {one.cv:.4f} ({one.low:.4f} to {one.high:.4f})" for one in shown
    )
    plot = plots.draw(
        "leaderboard", alt, "Out-of-fold score of each run and CSV, with 95 % intervals over rows.",
        lambda figure: charts.scores(figure, [one.name for one in shown], values, low, high, competition.metric),
        (4.8, 0.8 + 0.3 * len(shown)),
    )  # fmt: skip
    found = {
        "": ["= " * one.is_tied + one.name for one in shown],
        competition.metric: [f"{one.cv:.4f}" for one in shown],
    }
    found["95 % interval"] = [f"{one.low:.4f} to {one.high:.4f}" for one in shown]
    found |= {name: [tell(one) for one in shown] for name, tell in SHOWN.items()}
    found = {name or "run or CSV": values for name, values in found.items() if any(values)}
    rows = list(zip(*found.values(), strict=True))
    n_more = len(entries) - len(shown)
    return {"columns": list(found), "rows": rows, "n_more": n_more, "plot": plot, "marks": marks_line(entries)}


def curves(dataset: Dataset, runs: list[Path], plots: Plots) -> list[Plot]:
    """Return a plot of the learning curves of every fold for each run of ours that kept some."""
    found = []
    for run in runs:
        histories = {k: _history(run, k) for k in range(dataset.n_folds)}
        losses = {k: history["loss"] for k, history in histories.items() if history.get("loss")}
        if is_outside(run) or not losses:
            continue
        inner = {k: histories[k]["inner_loss"] for k in losses if histories[k].get("inner_loss")}
        ends = ", ".join(f"fold {k} {values[-1]:.3f}" for k, values in losses.items())
        n_epochs = max(len(values) for values in losses.values())
        alt = f"Training loss of {run.name} over {n_epochs} epochs; last values: {ends}."
        paint = partial(charts.curves, by_fold=losses, inner=inner)
        found.append(plots.draw(f"curves-{run.name}", alt, f"{run.name}: training loss of every fold.", paint))
    return found


def _history(run: Path, fold: int) -> dict[str, list[float]]:
    path = fold_dir(run, fold) / "history.json"
    found: dict[str, list[float]] = read_json(path) if path.is_file() else {}
    return found


def _family_plot(classes: Any, competition: Competition, plots: Plots) -> Plot:
    n_low = int((classes["f1"] < 0.5).sum())
    worst = classes.head(charts.NAMED)
    names = ", ".join(f"{one['class']} {one['f1']:.2f}" for one in worst.to_dict("records"))
    return plots.draw(
        "f1-by-family",
        f"F1 of {len(classes)} classes against their number of photos; {n_low} are below 0.5, the lowest: {names}.",
        "F1 of each class against how many photos it has; some of the lowest are named.",
        lambda figure: charts.cloud(
            figure, classes["rows"].to_numpy(), classes["f1"].to_numpy(), classes["condition"].tolist(),
            classes["class"].tolist(), "scored photos of the class",
        ),
        (4.8, 3.6),
    )  # fmt: skip


def _phyla(judge: Judge, competition: Competition) -> dict[str, Any] | None:
    """Return the score within each phylum, or None where there is none."""
    if set(judge.condition) <= {""}:
        return None
    table = by_condition(judge.truth, judge.scored, judge.condition, judge.metric)
    rows = table.sort_values("rows", ascending=False).to_dict("records")
    return {"word": condition_name(competition), "rows": rows}


def confidence(judge: Judge, plots: Plots) -> dict[str, Any]:
    """Return how far confidences can be believed: the curve, its mean distance from honest, and how the surest answers do.

    Source: Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017): expected calibration error, equal-width bins.
    """
    said = judge.scored.max(axis=1).astype(np.float64)
    is_right = judge.scored.argmax(axis=1) == judge.truth
    which = np.minimum((said * BINS).astype(int), BINS - 1)
    filled = np.unique(which)
    mean = np.array([said[which == b].mean() for b in filled])
    right = np.array([is_right[which == b].mean() for b in filled])
    shares = np.array([(which == b).mean() for b in filled])
    error = float((shares * np.abs(mean - right)).sum())
    alt = "Share of right answers by confidence: " + ", ".join(
        f"at {m:.2f} {r:.2f} right" for m, r in zip(mean, right, strict=True)
    )
    plot = plots.draw(
        "reliability", alt + ".", "How often an answer is right, by how sure it is; on the broken line confidence is honest.",
        lambda figure: charts.reliability(figure, mean, right, shares), (4.8, 3.8),
    )  # fmt: skip
    sure = said >= 0.9
    return {
        "plot": plot,
        "error": error,
        "mean_said": float(said.mean()),
        "mean_right": float(is_right.mean()),
        "sure_share": float(sure.mean()),
        "sure_right": float(is_right[sure].mean()) if sure.any() else None,
    }


def ablation(dataset: Dataset, competition: Competition, plots: Plots) -> dict[str, Any]:
    """Return what the phylum is worth to each run, or why that cannot be told."""
    if competition.condition_column is None:
        return {}
    try:
        found = ablate(dataset, competition)
    except BadInput as error:
        return {"why_not": str(error)}
    ways = [(run, way) for run, each in found.items() for way in each if way.name != BASE]
    names = [f"{way.name}: {run.rsplit('-', 2)[0]}" for run, way in ways]
    values, low, high = (np.array([getattr(way, end) for _, way in ways]) for end in ("gain", "gain_low", "gain_high"))
    if not ways:
        return {"why_not": "every run uses it in training, and none does without"}
    alt = "Gain by run and way: " + "; ".join(f"{name} {value:+.4f}" for name, value in zip(names, values, strict=True))
    word = condition_name(competition)
    plot = plots.draw(
        "phylum-ablation", alt, f"What knowing the {word} is worth, against the same run without it; paired 95 % intervals.",
        lambda figure: charts.gains(figure, names, values, low, high, f"gain in {competition.metric}"),
        (4.8, 0.9 + 0.36 * len(ways)),
    )  # fmt: skip
    return {"runs": found, "base": BASE, "plot": plot, "word": word, "best": max((way.gain for _, way in ways))}


def ensemble(judge: Judge, competition: Competition, plots: Plots) -> dict[str, Any]:
    """Return how the CSV was put together and what each method gained by knowing the answers; empty for a single run."""
    if judge.manifest is None:
        return {}
    facts = judge.manifest["ensemble"]
    judged = facts.get("judged", [])
    weights = sorted(zip(facts["weights"], (run.name for run in judge.runs), strict=True), reverse=True)
    chosen = next((one for one in judged if one["method"] == facts["method"]), None)
    found = {"method": facts["method"], "reason": facts.get("reason", ""), "judged": judged, "weights": weights}
    found |= {"tried": facts.get("tried", []), "gap": chosen["gap"] if chosen else None}
    if len(judged) < 2:
        return found
    naive, nested = (np.array([one[name] for one in judged]) for name in ("naive", "nested"))
    names = [one["method"] for one in judged]
    alt = "; ".join(f"{one['method']}: naive {one['naive']:.4f}, nested {one['nested']:.4f}" for one in judged)
    found["plot"] = plots.draw(
        "ensemble", alt, "Ways to combine the runs; the grey line is the gap between knowing the answers and not.",
        lambda figure: charts.naive_and_nested(figure, names, naive, nested, competition.metric),
        (4.8, 1.3 + 0.32 * len(judged)),
    )  # fmt: skip
    return found


def boards(competition: Competition, ledger: Path, plots: Plots) -> dict[str, Any]:
    """Return the submissions that the ledger knows, and a plot where some have both scores."""
    if not ledger.is_file():
        return {"rows": [], "why_not": "there is no ledger: nothing was uploaded from here yet"}
    events = last_events(read(ledger), competition.name)
    found = standings(events, metric(competition.metric).direction)
    if not found:
        return {"rows": [], "why_not": f"the ledger has no submission of {competition.name} yet"}
    both = [one for one in found if one.cv is not None and one.public is not None]
    return {"rows": found, "plot": _board_plot(both, plots) if both else None}


def _board_plot(both: list[Standing], plots: Plots) -> Plot:
    cv, lb = np.array([one.cv for one in both], float), np.array([one.public for one in both], float)
    reach = [np.array([NORMAL_95 * (getattr(one, name) or 0.0) for one in both]) for name in ("cv_se", "lb_se")]
    names = [one.event.reference for one in both]
    alt = "; ".join(f"submission {name}: CV {x:.4f}, public {y:.4f}" for name, x, y in zip(names, cv, lb, strict=True))
    return plots.draw(
        "cv-and-lb", alt, "CV against the public score, with 95 % intervals; on the broken line both are equal.",
        lambda figure: charts.boards(figure, cv, reach[0], lb, reach[1], names), (4.8, 3.6),
    )  # fmt: skip


def spread(found: Score) -> str:
    """Return mean and deviation of a score over folds."""
    if len(found.fold_scores) < 2:
        return f"{found.fold_mean:.4f}"
    return f"{found.fold_mean:.4f} ± {found.fold_deviation:.4f}"
