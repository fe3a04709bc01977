"""The report's first minute: how good is it, where does it fail, can I trust it; every number from the tables below."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from comp.metrics import metric
from comp.spec import Competition
from folds.oof import Score
from submissions.leaderboard import medal_of
from submissions.outside import read_outside
from submissions.report.judge import Judge
from submissions.standing import NORMAL_95
from submissions.stored import OUTSIDE, is_outside

POOR = 0.5  # F1 under which a class counts as told poorly
FEW_SHARE = 0.25  # the rarest and the most frequent quarter of the classes


def summary_facts(
    judge: Judge, competition: Competition, results: dict[str, Any], mistakes: dict[str, Any]
) -> dict[str, Any]:
    """Return the answers to the three questions, as numbers for the template."""
    main = results["scores"][competition.metric]
    classes = pd.DataFrame(results["families"])
    chosen = metric(competition.metric)
    said = np.argsort(-judge.scored, axis=1, kind="stable")
    return {
        "main": main,
        "perfect": "1 is perfect" if chosen.direction == "higher" else "0 is perfect",
        "accuracy": float((said[:, 0] == judge.truth).mean()),
        "top5": float((said[:, :5] == judge.truth[:, None]).any(axis=1).mean()) if judge.scored.shape[1] > 5 else None,
        "guess": float(np.bincount(judge.truth).max() / len(judge.truth)),
        "medal": medal_of(competition.medals, main.value, chosen),
        "test": (judge.manifest or {}).get("test"),
        "classes": _classes(classes),
        "worst_phylum": _worst_phylum(results["phyla"], competition.metric, chosen.direction),
        "pairs": mistakes["pairs"][:3],
        "confidence": results["confidence"],
        "gap": results["ensemble"].get("gap"),
        "unverified": _unverified(judge),
        "is_even": _is_even(main),
        "fold_low": min(main.fold_scores),
        "fold_high": max(main.fold_scores),
        "n_folds": judge.dataset.n_folds,
        "group": judge.dataset.facts.get("group_column"),
        "n_twins": len(judge.dataset.facts["twins_joined"]),
        "looked_for_twins": judge.dataset.facts.get("twins", False),
        "boards": results["boards"],
    }


def _unverified(judge: Judge) -> list[str]:
    """Return the predictions of other tools in the judged table whose folds nobody declared."""
    outside = [run for run, weight in zip(judge.runs, judge.weights, strict=True) if weight and is_outside(run)]
    return [run.name.removeprefix(OUTSIDE) for run in outside if read_outside(run)[1] == "unverified"]


def _is_even(main: Score) -> bool:
    """Return whether folds differ by no more than rows drawn at random would make them."""
    if len(main.fold_scores) < 2:
        return True
    of_one_fold = (main.high - main.low) / (2 * NORMAL_95) * len(main.fold_scores) ** 0.5
    return bool(main.fold_deviation <= 2 * of_one_fold)


def _classes(classes: pd.DataFrame) -> dict[str, Any]:
    by_size = classes.sort_values(["rows", "class"], kind="stable")
    n_part = max(1, round(FEW_SHARE * len(by_size)))
    rare, frequent = by_size.head(n_part), by_size.tail(n_part)
    return {
        "n": len(classes),
        "n_poor": int((classes["f1"] < POOR).sum()),
        "poor": POOR,
        "n_never": int((classes["f1"] == 0).sum()),
        "worst": classes.head(3).to_dict("records"),
        "n_part": n_part,
        "rare_f1": float(rare["f1"].mean()),
        "rare_rows": int(rare["rows"].max()),
        "frequent_f1": float(frequent["f1"].mean()),
        "frequent_rows": int(frequent["rows"].min()),
    }


def _worst_phylum(phyla: dict[str, Any] | None, name: str, direction: str) -> dict[str, Any] | None:
    if phyla is None or len(phyla["rows"]) < 2:
        return None
    sign = 1 if direction == "higher" else -1
    worst = min(phyla["rows"], key=lambda row: sign * row[name])
    return {**worst, "word": phyla["word"], "value": worst[name]}
