"""Looks up the size of a variant: the one line that a mistyped variant ends in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from comp.errors import BadInput

Size = TypeVar("Size")


def size_of(backbone: str, sizes: Mapping[str, Size], variant: str) -> Size:
    """Return the size of a variant.

    Raises:
        BadInput: If the backbone has no such variant.
    """
    if variant not in sizes:
        raise BadInput(f"{backbone}: no variant {variant!r}, expected one of {', '.join(sizes)}")
    return sizes[variant]
