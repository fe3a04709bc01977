"""Where an ensemble is good and where not: scores by family and by phylum, from its nested out-of-fold table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from comp.bootstrap import interval
from comp.console import say, show_table
from comp.metrics import Floats, Metric, metric
from comp.store import write_text
from submissions.stored import Rebuilt, read_manifest, rebuild

SHOWN = 10


def by_class(truth: np.ndarray, table: Floats, classes: list[str], condition: np.ndarray) -> pd.DataFrame:
    """Return one line a class: rows, precision, recall, F1, and the class that it is most often taken for.

    A class that no row is labelled with has precision 0. The worst F1 comes first.

    Args:
        truth: (N,) class index of the rows that are scored.
        table: (N, C) probabilities.
        condition: (N,) what is known of each row; a class is shown with its most frequent one.
    """
    labels = table.argmax(axis=1)
    rows = []
    for index, name in enumerate(classes):
        own, given = truth == index, labels == index
        n_hits = int((own & given).sum())
        wrong = Counter(labels[own & ~given].tolist()).most_common(1)
        known = Counter(condition[own].tolist()).most_common(1)
        rows.append(
            {
                "class": name,
                "condition": known[0][0] if known else "",
                "rows": int(own.sum()),
                "precision": n_hits / max(1, int(given.sum())),
                "recall": n_hits / max(1, int(own.sum())),
                "f1": 2 * n_hits / max(1, int(own.sum() + given.sum())),
                "taken_for": f"{classes[wrong[0][0]]} ({wrong[0][1]})" if wrong else "",
            }
        )
    return pd.DataFrame(rows).sort_values(["f1", "class"], kind="stable").reset_index(drop=True)


def by_condition(truth: np.ndarray, table: Floats, condition: np.ndarray, chosen: Metric) -> pd.DataFrame:
    """Return one line a phylum: rows, classes, and the metric over its rows with its interval.

    Scores of parts do not average to that of the whole: within a phylum only its own classes, and those that its rows are
    taken for, count.
    """
    rows = []
    for name in sorted(set(condition.tolist())):
        inside = condition == name
        low, high = interval(chosen, truth[inside], table[inside])
        value = chosen.function(truth[inside], table[inside])
        facts = {"condition": name or "(none)", "rows": int(inside.sum()), "classes": len(set(truth[inside].tolist()))}
        rows.append({**facts, chosen.name: value, "low": low, "high": high})
    return pd.DataFrame(rows)


def score_tables(file: Path) -> Path:
    """Print the tables of a CSV, write the one by family beside the runs, and return that path.

    Raises:
        BadInput, Refused: If it cannot be made again from its manifest.
    """
    made = rebuild(read_manifest(file), str(file))
    counted = made.matched.is_counted
    truth, table = made.matched.truth[counted], made.predictions.oof[counted]
    condition = made.matched.condition[counted]
    families = by_class(truth, table, made.matched.classes, condition)
    chosen = metric(made.manifest["metric"], made.matched.classes)
    _show(made, families, by_condition(truth, table, condition, chosen))
    path = made.dataset.folder / f"classes-{file.stem}.csv"  # not among the CSVs that may be handed in
    write_text(path, families.to_csv(index=False, float_format="%.4f", lineterminator="\n"))
    return path


def _show(made: Rebuilt, families: pd.DataFrame, phyla: pd.DataFrame) -> None:
    name = made.manifest["metric"]
    if len(phyla) > 1:
        rows = [
            [
                one["condition"],
                f"{one['rows']:,}",
                str(one["classes"]),
                f"{one[name]:.4f}",
                f"{one['low']:.4f} to {one['high']:.4f}",
            ]
            for one in phyla.to_dict("records")
        ]
        title = f"by {made.competition.condition_column}, out-of-fold"
        show_table(title, ["", "rows", "classes", name, "95 % interval"], rows)
    worst = [
        [
            one["class"],
            str(one["rows"]),
            f"{one['precision']:.2f}",
            f"{one['recall']:.2f}",
            f"{one['f1']:.2f}",
            one["taken_for"],
        ]
        for one in families.head(SHOWN).to_dict("records")
    ]
    title = f"the {len(worst)} of {len(families)} classes that are told worst"
    show_table(title, ["", "rows", "precision", "recall", "F1", "most often taken for"], worst)
    n_never = int((families["f1"] == 0).sum())
    if n_never:
        say(f"{n_never} classes are never told right")
