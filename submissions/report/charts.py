"""What plots show: each function paints numbers into an empty figure, knowing nothing of where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from submissions.report.theme import INK, LINE, PAPER, SERIES, SOFT, colour, label, marker

MOST_POINTS = 200  # of one curve; the eye sees no more
MOST_SERIES = 8  # that a legend names; what is beyond is one more, `others`
NAMED = 5  # points of a cloud that are named
CELL_TEXT = 12  # rows of a matrix up to which each cell tells its number


def thinned(n: int, most: int = MOST_POINTS) -> np.ndarray:
    """Return at most `most` places of a curve of n points, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)) if n else np.empty(0, int)


def series_of(values: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return the names of at most nine series, the largest first, and (N,) which one each value belongs to."""
    names, counts = np.unique(np.asarray(values, dtype=object).astype(str), return_counts=True)
    order = [str(name) for name in names[np.argsort(-counts, kind="stable")]]
    shown = order[:MOST_SERIES]
    position = {name: index for index, name in enumerate(shown)}
    of_value = np.array([position.get(str(value), len(shown)) for value in values], dtype=int)
    return [*shown, *(["others"] if len(order) > len(shown) else [])], of_value


def family_sizes(figure: Any, counts: Sequence[int], series: Sequence[str], unit: str) -> None:
    """Paint one line a family, the largest first: how many photos it has, in the colour of its phylum."""
    axes = figure.add_subplot()
    names, which = series_of(series)
    order = np.argsort(-np.asarray(counts), kind="stable")
    for index, name in enumerate(names):
        places = np.flatnonzero(which[order] == index)
        heights = np.asarray(counts)[order][places]
        axes.vlines(places + 1, 0, heights, color=colour(index), lw=max(0.6, min(3.0, 240 / len(counts))))
        axes.plot([], [], color=colour(index), lw=3, label=label(name))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel=f"{unit}, the largest first", ylabel="train photos", ylim=(0, None))
    if len(names) > 1:
        axes.legend()


def photo_sizes(figure: Any, widths: np.ndarray, heights: np.ndarray) -> None:
    """Paint how wide and how high photos are, each pair once, larger where it is frequent."""
    axes = figure.add_subplot()
    pairs, counts = np.unique(np.stack([widths, heights], axis=1), axis=0, return_counts=True)
    largest = np.argsort(-counts, kind="stable")[:800]
    axes.scatter(
        pairs[largest, 0], pairs[largest, 1], s=10 + 120 * counts[largest] / counts.max(), color=SERIES[0], alpha=0.4
    )
    axes.set(xlabel="width, pixels", ylabel="height, pixels")


def fold_bars(figure: Any, folds: Sequence[str], parts: Mapping[str, Sequence[int]]) -> None:
    """Paint how many rows each fold has, stacked by phylum."""
    axes = figure.add_subplot()
    below = np.zeros(len(folds))
    for index, (name, sizes) in enumerate(parts.items()):
        axes.barh(folds, sizes, left=below, color=colour(index), edgecolor=PAPER, height=0.7, label=label(name))
        below += np.asarray(sizes)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set(xlabel="train photos")
    if len(parts) > 1:
        figure.legend(loc="outside upper center", ncols=3)


def curves(figure: Any, by_fold: Mapping[int, Sequence[float]], inner: Mapping[int, Sequence[float]]) -> None:
    """Paint the loss of each fold by epoch, the loss on inner rows broken where there is one; long curves are thinned."""
    axes = figure.add_subplot()
    for kind, values in (("-", by_fold), (":", inner)):
        for k, losses in values.items():
            at = thinned(len(losses))
            named = f"fold {k}" if kind == "-" else None
            axes.plot(at + 1, np.asarray(losses, float)[at], kind, color=colour(k), lw=1.4, label=named)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="epoch", ylabel="loss")
    if len(by_fold) <= MOST_SERIES:
        axes.legend(ncols=2)


def scores(figure: Any, names: Sequence[str], values: np.ndarray, low: np.ndarray, high: np.ndarray, axis: str) -> None:
    """Paint a score with its interval for each name, the first on top."""
    axes = figure.add_subplot()
    places = np.arange(len(names))
    reach = np.stack([values - low, high - values])
    axes.errorbar(values, places, xerr=np.maximum(reach, 0), fmt="o", color=SERIES[0], ecolor=SOFT, capsize=3)
    axes.set_yticks(places, [label(name, 36, end=9) for name in names], size=8.5)
    axes.set(xlabel=axis, ylim=(len(names) - 0.5, -0.5))
    axes.grid(axis="y", visible=False)


def cloud(figure: Any, x: np.ndarray, y: np.ndarray, series: Sequence[str], names: Sequence[str], axis: str) -> None:
    """Paint F1 against number of photos, a mark for each family, those named that are lowest."""
    axes = figure.add_subplot()
    groups, which = series_of(series)
    for index, group in enumerate(groups):
        inside = which == index
        look = {"color": colour(index), "marker": marker(index), "alpha": 0.75, "s": 26, "linewidths": 0}
        axes.scatter(x[inside], y[inside], label=label(group), **look)
    for place in apart(np.log(np.maximum(x, 1)), y)[:NAMED]:
        is_right = x[place] > np.sqrt(x.min() * x.max())
        offset, side = ((-6, 0), "right") if is_right else ((6, 0), "left")
        axes.annotate(
            label(names[place], 18),
            (x[place], y[place]),
            offset,
            textcoords="offset points",
            ha=side,
            va="center",
            size=8,
        )
    axes.set_xscale("log")
    axes.set_xticks(round_numbers(float(x.min()), float(x.max())))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.minorticks_off()
    axes.set(xlabel=axis, ylabel="F1", ylim=(-0.04, 1.04))
    if len(groups) > 1:
        figure.legend(loc="outside upper center", ncols=3)


def apart(x: np.ndarray, y: np.ndarray) -> list[int]:
    """Return the points from the lowest up whose names would not cover one another."""
    room = max(float(np.ptp(x)) / 3, 1e-9)
    kept: list[int] = []
    for place in np.argsort(y, kind="stable").tolist():
        if all(abs(x[place] - x[other]) > room or abs(y[place] - y[other]) > 0.05 for other in kept):
            kept.append(place)
        if len(kept) == NAMED:
            break
    return kept


def round_numbers(low: float, high: float) -> list[float]:
    """Return 1, 2, 5, 10, 20 and so on from the last one up to `low` to the first one from `high` on."""
    steps = [digit * 10.0**power for power in range(9) for digit in (1, 2, 5)]
    first = max((step for step in steps if step <= low), default=steps[0])
    last = min((step for step in steps if step >= high), default=steps[-1])
    return [step for step in steps if first <= step <= last]


def matrix(figure: Any, counts: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Paint a confusion matrix: the darker a cell, the larger its share of its row (truth); numbers are photos."""
    axes = figure.add_subplot()
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    for i, j in zip(*np.nonzero(counts), strict=True):
        cell = (j - 0.5, i - 0.5)
        shade = SERIES[0] if i == j else SERIES[1]
        axes.add_patch(_square(cell, shade, 0.08 + 0.5 * float(shares[i, j])))
        if max(counts.shape) <= CELL_TEXT:
            axes.text(j, i, f"{counts[i, j]:.0f}", ha="center", va="center", size=8)
    axes.set_xticks(range(len(columns)), [label(name, 16) for name in columns], rotation=55, ha="right", size=8)
    axes.set_yticks(range(len(rows)), [label(name, 16) for name in rows], size=8)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5), xlabel="answered", ylabel="truth")
    axes.grid(visible=False)


def _square(corner: tuple[float, float], shade: str, strength: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, 1, 1, facecolor=shade, alpha=strength, linewidth=0)


def reliability(figure: Any, confidence: np.ndarray, accuracy: np.ndarray, shares: np.ndarray) -> None:
    """Paint how often answers of a confidence are right, against that confidence; the broken line is honest."""
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], "--", color=SOFT, lw=1)
    above.plot(confidence, accuracy, "o-", color=SERIES[0])
    above.set(ylabel="share right", ylim=(0, 1.03), xlim=(0, 1.02))
    below.bar(confidence, shares, width=0.06, color=SERIES[0])
    below.set(xlabel="confidence of the answer", ylabel="photos", ylim=(0, None))
    below.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")


def gains(figure: Any, names: Sequence[str], values: np.ndarray, low: np.ndarray, high: np.ndarray, axis: str) -> None:
    """Paint gains with their intervals against the line of no gain."""
    scores(figure, names, values, low, high, axis)
    figure.axes[0].axvline(0, color=INK, lw=1)


def naive_and_nested(figure: Any, names: Sequence[str], naive: np.ndarray, nested: np.ndarray, axis: str) -> None:
    """Paint for each method its score with and without knowing the answers; the line between them is the gap."""
    axes = figure.add_subplot()
    places = np.arange(len(names))
    axes.hlines(places, nested, naive, color=LINE, lw=4)
    axes.plot(naive, places, "o", mfc="none", color=SERIES[1], label="naive: fitted and scored on the same rows")
    axes.plot(nested, places, "s", color=SERIES[0], label="nested: fitted on other rows")
    axes.set_yticks(places, [label(name) for name in names])
    axes.set(xlabel=axis, ylim=(len(names) - 0.5, -0.5))
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside upper center")


def boards(
    figure: Any, cv: np.ndarray, cv_reach: np.ndarray, lb: np.ndarray, lb_reach: np.ndarray, names: Sequence[str]
) -> None:
    """Paint CV against the public score of each submission, with 95 % intervals; on the broken line both are equal."""
    axes = figure.add_subplot()
    ends = [min(cv.min(), lb.min()), max(cv.max(), lb.max())]
    axes.plot(ends, ends, "--", color=SOFT, lw=1)
    axes.errorbar(cv, lb, xerr=cv_reach, yerr=lb_reach, fmt="o", color=SERIES[0], ecolor=SOFT)
    for place, name in enumerate(names):
        axes.annotate(label(name), (cv[place], lb[place]), (5, 5), textcoords="offset points", size=8)
    axes.set(xlabel="CV", ylabel="public score")


def history(figure: Any, trials: Sequence[int], values: np.ndarray, best: np.ndarray, axis: str) -> None:
    """Paint the score of each complete trial and the best so far."""
    axes = figure.add_subplot()
    at = thinned(len(trials))
    axes.plot(np.asarray(trials)[at], values[at], "o", color=SERIES[0], alpha=0.7, label="complete trial")
    axes.plot(np.asarray(trials)[at], best[at], "-", color=SERIES[1], drawstyle="steps-post", label="best so far")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="trial", ylabel=axis)
    axes.legend()


def slices(figure: Any, values: np.ndarray, knobs: Mapping[str, Sequence[Any]], axis: str) -> None:
    """Paint the score against each knob that was tuned, one small plot a knob; names are put at whole numbers."""
    n_rows = -(-len(knobs) // 2)
    grid = figure.subplots(n_rows, 2, sharey=True, squeeze=False)
    for place, (name, settings) in zip(grid.flat, knobs.items(), strict=False):
        place.plot(*_placed(place, settings, values), "o", color=SERIES[0], alpha=0.7, ms=4)
        place.set_title(label(name))
    for place in grid.flat[len(knobs) :]:
        place.set_axis_off()
    figure.supylabel(axis, size=10)


def _placed(place: Any, settings: Sequence[Any], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = np.array([each is not None for each in settings])
    kept = [each for each in settings if each is not None]
    if all(isinstance(each, int | float) and not isinstance(each, bool) for each in kept):
        place.locator_params(axis="x", nbins=3)
        return np.array(kept, float), values[known]
    names = sorted({str(each) for each in kept})
    place.set_xticks(range(len(names)), [label(name, 10) for name in names])
    return np.array([names.index(str(each)) for each in kept], float), values[known]


def bars(figure: Any, names: Sequence[str], values: np.ndarray, axis: str) -> None:
    """Paint one bar a name, the first on top."""
    axes = figure.add_subplot()
    axes.barh([label(name) for name in names], values, color=SERIES[0])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set(xlabel=axis)
