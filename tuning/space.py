"""Which settings are tuned, and how far: the knobs of each fit as data, made concrete for one candidate, and never trained here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from comp.errors import BadInput
from comp.registry import did_you_mean
from comp.spec import Competition, Fit, Recipe
from folds.by_rule import RULE

if TYPE_CHECKING:
    import optuna

Kind = Literal["float", "log", "int", "choice"]


@dataclass(frozen=True, kw_only=True)
class Knob:
    """One setting of a recipe and the values that a trial may give it.

    Attributes:
        name: Field of Recipe.
        kind: `float` and `log` (even on a logarithmic scale) are ranges, `int` one of whole numbers, `choice` a few values.
        low, high: Ends of the range, both included.
        choices: The values of a `choice`.
        is_factor: Whether the numbers multiply what the preset says, because what is sensible depends on it.
    """

    name: str
    kind: Kind
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Any, ...] = ()
    is_factor: bool = False

    def __str__(self) -> str:
        if self.kind == "choice":
            return " or ".join(f"{value:.3g}" if isinstance(value, float) else str(value) for value in self.choices)
        return f"{self.low:g} to {self.high:g}" + (", logarithmic" if self.kind == "log" else "")


# Features are computed for a view, and a view belongs to one strength: a few levels let trials share them.
_LEVELS = Knob(name="strength", kind="choice", choices=(0.0, 1 / 3, 2 / 3, 1.0))
_STRENGTH = Knob(name="strength", kind="float", low=0.0, high=1.0)
_SMOOTHING = Knob(name="label_smoothing", kind="float", low=0.0, high=0.2)
_MIXUP = Knob(name="mixup", kind="choice", choices=(0.0, 0.1, 0.2, 0.4))
_DECAY = Knob(name="weight_decay", kind="log", low=1e-3, high=0.3)
_DROPOUT = Knob(name="dropout", kind="float", low=0.0, high=0.7)
_DEPTH = Knob(name="depth_decay", kind="float", low=0.6, high=1.0)
# Longer fits nearly always score a little more: a search that may buy them finds the price, not the recipe. A larger PRESET buys.
_EPOCHS = Knob(name="epochs", kind="int", low=0.5, high=1.0, is_factor=True)


def _rate(span: float, name: str = "learning_rate") -> Knob:
    return Knob(name=name, kind="log", low=1 / span, high=span, is_factor=True)


SPACES: Mapping[Fit, tuple[Knob, ...]] = {
    "scratch": (
        _STRENGTH,
        _rate(5),
        _DECAY,
        _DROPOUT,
        _SMOOTHING,
        _MIXUP,
        _EPOCHS,
        Knob(name="width", kind="choice", choices=(0.5, 1.0, 1.5), is_factor=True),
    ),
    "probe": (_LEVELS, _rate(8), _DECAY, _DROPOUT, _SMOOTHING, _MIXUP, _EPOCHS),
    "tail": (
        _LEVELS,
        _rate(5),
        _rate(5, "head_learning_rate"),  # of the epochs in which the head alone is trained, where the preset has some
        _DEPTH,
        _DECAY,
        _DROPOUT,
        _SMOOTHING,
        _MIXUP,
        _EPOCHS,
        Knob(name="cut", kind="choice"),  # its values are the backbone's cuts whose banks fit on the disk
    ),
    "full": (_STRENGTH, _rate(5), _DEPTH, _DECAY, _DROPOUT, _SMOOTHING, _MIXUP, _EPOCHS),
}


@dataclass(frozen=True)
class Space:
    """The knobs of one candidate with the values that its trials may take."""

    knobs: tuple[Knob, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the space as plain JSON values: two studies belong together only where these are equal."""
        return {knob.name: _plain(knob) for knob in self.knobs}

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Return a value for each knob, as the trial's sampler draws them; numbers are cut to three digits that count."""
        return {knob.name: _suggest(knob, trial) for knob in self.knobs}

    def nearest(self, recipe: Recipe) -> dict[str, Any]:
        """Return what a recipe says for each knob, moved to the nearest value that the space has."""
        return {knob.name: _nearest(knob, getattr(recipe, knob.name)) for knob in self.knobs}


def space_of(fit: Fit, default: Recipe, competition: Competition, options: Sequence[str], cuts: Sequence[str]) -> Space:
    """Return the space of a candidate: the fit's knobs around its default recipe, as far as the competition leaves them.

    Args:
        default: What the preset gives the candidate.
        options: Recipe fields that its backbone takes: a width is tuned only where the backbone has one.
        cuts: Cuts whose banks fit on the disk.

    Raises:
        BadInput: If the competition narrows a knob that does not exist, or to values that it does not have.
    """
    check_names(competition)
    found = []
    for knob in SPACES[fit]:
        if _is_idle(knob, default, options):
            continue
        concrete = _around(replace(knob, choices=tuple(cuts)) if knob.name == "cut" else knob, default)
        found.append(_narrowed(concrete, competition))
    return Space(tuple(found))


def _is_idle(knob: Knob, default: Recipe, options: Sequence[str]) -> bool:
    """Return whether turning a knob would change nothing, or has no scale to be turned on."""
    if knob.name == "width":
        return "width" not in options
    if knob.name == "head_learning_rate":
        return not default.head_epochs
    if knob.name in ("depth_decay", "weight_decay") and default.optimizer == RULE:
        return True  # plain SGD has neither
    return knob.kind == "log" and getattr(default, knob.name) <= 0


def check_names(competition: Competition) -> None:
    """Refuse a competition's `space` that names a knob there is none of.

    Raises:
        BadInput: With the knobs there are.
    """
    known = sorted({knob.name for knobs in SPACES.values() for knob in knobs})
    for name in competition.space:
        if name not in known:
            raise BadInput(
                f"competition {competition.name}: its space names a knob {name!r}{did_you_mean(name, known)}; "
                f"known: {', '.join(known)}"
            )


def _around(knob: Knob, default: Recipe) -> Knob:
    """Return the knob in absolute values; the default is always among those of a choice."""
    value = getattr(default, knob.name)
    if knob.is_factor:
        knob = replace(knob, low=knob.low * value, high=knob.high * value, is_factor=False)
        knob = replace(knob, choices=tuple(_like(value, factor * value) for factor in knob.choices))
    if knob.kind == "int":
        return replace(knob, low=max(1, round(knob.low)), high=max(1, round(knob.high)))
    if knob.kind == "choice":
        values = {*knob.choices, value}
        return replace(knob, choices=tuple(sorted(values)))
    return replace(knob, low=min(_short(knob.low), value), high=max(_short(knob.high), value))


def _like(value: Any, number: float) -> Any:
    return round(number) if isinstance(value, int) else number


def _narrowed(knob: Knob, competition: Competition) -> Knob:
    wanted = competition.space.get(knob.name)
    if wanted is None:
        return knob
    where = f"competition {competition.name}: its space has {knob.name}={wanted!r}"
    if not isinstance(wanted, (tuple, list)):
        raise BadInput(f"{where}, expected its two ends, the lower first, or a list of its values")
    if knob.kind == "choice" and any(isinstance(value, str) for value in knob.choices):
        return _with_choices(knob, [value for value in knob.choices if value in wanted], where)
    numbers = [value for value in wanted if isinstance(value, (int, float))]
    if len(numbers) != 2 or len(wanted) != 2 or not numbers[0] <= numbers[1]:
        raise BadInput(f"{where}, expected two numbers, the lower first")
    low, high = float(numbers[0]), float(numbers[1])
    if knob.kind == "choice":
        return _with_choices(knob, [value for value in knob.choices if low - 1e-9 <= value <= high + 1e-9], where)
    if low < knob.low - 1e-12 or high > knob.high + 1e-12:
        raise BadInput(f"{where}, expected a part of {knob}: a competition narrows a range, it does not widen it")
    return replace(knob, low=low, high=high)


def _with_choices(knob: Knob, choices: Sequence[Any], where: str) -> Knob:
    if not choices:
        raise BadInput(f"{where}, which leaves none of its values: {knob}")
    return replace(knob, choices=tuple(choices))


def _plain(knob: Knob) -> dict[str, Any]:
    facts = asdict(knob)
    names = ("kind", "choices") if knob.kind == "choice" else ("kind", "low", "high")
    return {name: list(facts[name]) if name == "choices" else facts[name] for name in names}


def _suggest(knob: Knob, trial: optuna.Trial) -> Any:
    if knob.kind == "choice":
        return trial.suggest_categorical(knob.name, knob.choices)
    if knob.kind == "int":
        return trial.suggest_int(knob.name, int(knob.low), int(knob.high))
    return _short(trial.suggest_float(knob.name, knob.low, knob.high, log=knob.kind == "log"))


def _short(number: float) -> float:
    return float(f"{number:.3g}")


def _nearest(knob: Knob, value: Any) -> Any:
    if knob.kind != "choice":
        return min(max(value, knob.low), knob.high) if knob.kind != "int" else int(min(max(value, knob.low), knob.high))
    if value in knob.choices:
        return value
    if isinstance(value, str):
        return knob.choices[0]
    return min(knob.choices, key=lambda choice: abs(choice - value))


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between two records of plain values, one phrase for each entry that does."""
    names = [*before, *(name for name in now if name not in before)]
    return [
        f"{name}: {_said(before.get(name))} then, {_said(now.get(name))} now"
        for name in names
        if before.get(name) != now.get(name)
    ]


def _said(value: Any) -> str:
    if isinstance(value, dict) and "choices" in value:
        return " or ".join(map(str, value["choices"]))
    if isinstance(value, dict) and "low" in value:
        return f"{value['low']:g} to {value['high']:g}"
    return "none" if value is None else str(value)
