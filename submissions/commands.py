"""What a person might type next, as commands that go on from the one that has ended."""

from __future__ import annotations

from comp.console import say
from comp.typed import submit_line
from submissions.plan import Plan, Settings

BETTER = {"quick": "standard", "standard": "best"}


def show_next(plan: Plan) -> None:
    """Print what to try next, each line a command that goes on from the one that has ended."""
    base = base_command(plan.settings)
    say()
    say("what to try next:")
    if plan.settings.preset in BETTER:
        say(f"  {base} PRESET={BETTER[plan.settings.preset]}    longer training")
    if len(plan.seeds) == 1:
        say(f"  {base}{_preset(plan.settings)} SEEDS=3    how much of a difference is luck")
    if plan.settings.competition == "specimens":
        say("  make submit COMP=rare_species DATA=folder    the same on real photos")
    say()


def base_command(settings: Settings) -> str:
    """Return the `make submit` that names the same competition, data, candidates and weights."""
    return submit_line(settings, settings.backbones)


def _preset(settings: Settings) -> str:
    return f" PRESET={settings.preset}" if settings.preset != "standard" else ""
