"""One measured figure and what it is held to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A figure: its value, and the least or the most that it may be (None: shown without a target).

    Attributes:
        is_gain: Whether it is a difference, which is shown with its sign.
    """

    name: str
    value: float
    unit: str
    how: str
    at_least: float | None = None
    at_most: float | None = None
    is_gain: bool = False

    @property
    def shown(self) -> str:
        """Return the value with its unit."""
        return f"{self.value:{'+' if self.is_gain else ''}.2f} {self.unit}".strip()

    @property
    def target(self) -> str:
        """Return the target in words."""
        if self.at_least is not None:
            return f">= {self.at_least}"
        return f"<= {self.at_most}" if self.at_most is not None else "none"

    @property
    def verdict(self) -> str:
        """Return `met`, `missed`, or nothing where there is no target."""
        if self.at_least is not None:
            return "met" if self.value >= self.at_least else "missed"
        if self.at_most is not None:
            return "met" if self.value <= self.at_most else "missed"
        return ""
