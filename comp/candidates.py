"""What one asks for, parsed: `name[:variant][:fit][:Npx]`, the only parser of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from comp.errors import BadInput
from comp.registry import load_backbone
from comp.spec import FITS, Backbone, Candidate

_PIXELS = re.compile(r"([1-9][0-9]*)px")
SMALLEST, LARGEST = 8, 1024


def parse_candidate(text: str) -> Candidate:
    """Return the candidate that a text such as `mlp_mixer:S/16:scratch:64px` asks for.

    Raises:
        BadInput: With one line that names the part that is wrong and what it could have been.
    """
    name, *parts = text.split(":")
    backbone = load_backbone(name)
    if backbone.any_variant:
        parts = _with_preset_joined(parts)
    found: dict[str, str | int] = {}
    for part in parts:
        kind, value = _kind_of(text, part, backbone)
        if kind in found:
            raise BadInput(f"candidate {text!r}: {part!r} is a second {kind}, after {found[kind]!r}; name one")
        found[kind] = value
    if backbone.any_variant and "variant" not in found:
        raise BadInput(f"candidate {text!r}: names no preset, such as {name}:./my_preset or {name}:hf://owner/model")
    return Candidate(name, **found)  # type: ignore[arg-type]


def _with_preset_joined(parts: Sequence[str]) -> list[str]:
    """Return the parts, neighbours that are no fit and no size as one again: a preset may hold colons (`hf://owner/model`)."""
    joined: list[str] = []
    was_preset = False
    for part in parts:
        is_preset = part not in FITS and _PIXELS.fullmatch(part) is None
        if is_preset and was_preset:
            joined[-1] += f":{part}"
        else:
            joined.append(part)
        was_preset = is_preset
    return joined


def _kind_of(text: str, part: str, backbone: Backbone) -> tuple[str, str | int]:
    variants, size = backbone.variants, _PIXELS.fullmatch(part)
    if part in FITS:
        return "fit", part
    if part in variants or (backbone.any_variant and part and size is None):
        return "variant", part
    if size is None:
        raise BadInput(
            f"candidate {text!r}: {part!r} is no variant ({', '.join(variants)}), no fit ({', '.join(FITS)}) and no size "
            "such as 64px"
        )
    if not SMALLEST <= int(size[1]) <= LARGEST:
        raise BadInput(f"candidate {text!r}: {part!r} is out of range, expected {SMALLEST}px to {LARGEST}px")
    return "pixels", int(size[1])


def parse_candidates(text: str) -> list[Candidate]:
    """Return the candidates of a list separated by spaces or commas, each once, in the order given.

    Raises:
        BadInput: If one cannot be parsed, or none is named.
    """
    words = text.replace(",", " ").split()
    if not words:
        raise BadInput('BACKBONES is empty: name candidates, such as BACKBONES="scratch_cnn"')
    return list(dict.fromkeys(parse_candidate(word) for word in words))


def check_reads(candidate: Candidate) -> None:
    """Do nothing if a candidate can read transcripts: its backbone takes strips of free width, trained from scratch.

    Raises:
        BadInput: If it cannot.
    """
    if not load_backbone(candidate.backbone).takes_widths or candidate.fit not in (None, "scratch"):
        raise BadInput(f"candidate {candidate}: it reads no transcripts; name one that does: BACKBONES=crnn")
