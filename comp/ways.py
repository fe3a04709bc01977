"""How a candidate comes to its weights, decided before anything is computed: on disk, to be fetched, or none and why."""

from __future__ import annotations

from dataclasses import dataclass, replace

from comp.backend import set_offline
from comp.errors import BadInput
from comp.spec import Candidate, Weights
from comp.weights import NONE, WeightsFile, facts_of, find_weights, may_download, not_to_be_had

LAST_RESORT = "scratch_cnn"  # what is trained where no candidate is left
Found = WeightsFile | Weights | None


@dataclass(frozen=True, kw_only=True)
class Ways:
    """How weights may be had: what WEIGHTS and OFFLINE say, and the precision asked for."""

    folder: str | None = None
    is_offline: bool = False
    precision: str | None = None


def weights_of(candidate: Candidate, ways: Ways, is_named: bool) -> tuple[Found, str]:
    """Return a candidate's weights, on disk or to be fetched, and why there are none although it could have some.

    Args:
        is_named: Whether the person asked for this very candidate: then weights of any size are fetched.

    Raises:
        BadInput: If its fit starts from weights that cannot be had; `full` does without where WEIGHTS=none says so.
    """
    set_offline(ways.is_offline)
    facts = facts_of(candidate)
    needs_them = candidate.fit in ("probe", "tail")
    if facts is None and candidate.fit not in (None, "scratch"):
        raise BadInput(
            f"candidate {candidate}: there are no published weights of it, and a {candidate.fit} fit starts from some; "
            f"ask for {candidate.backbone}:scratch"
        )
    if facts is None or candidate.fit == "scratch":
        return None, ""
    if ways.folder == NONE:
        if needs_them and is_named:
            raise BadInput(f"candidate {candidate}: a {candidate.fit} needs weights, and WEIGHTS=none forbids them")
        return None, "WEIGHTS=none" if candidate.fit else ""
    found = find_weights(facts, ways.folder)
    if found is not None:
        return found, ""
    why_not = _why_not(facts, ways, is_named)
    if not why_not:
        return facts, ""
    if is_named and (needs_them or candidate.fit == "full"):
        raise BadInput(not_to_be_had(candidate, facts, ways.folder, ways.is_offline))
    return None, f"its weights {facts.file} are not on disk, {why_not}"


def _why_not(facts: Weights, ways: Ways, is_named: bool) -> str:
    """Return why weights that are not on disk are not downloaded, or the empty string where they are; size is no reason
    where the candidate was asked for by name."""
    if is_named:
        facts = replace(facts, megabytes=0.0)
    return may_download(facts, ways.is_offline)
