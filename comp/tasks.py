"""What a competition asks for, classes or transcripts, and what follows for commands: its metric, and what it cannot have."""

from __future__ import annotations

from comp.errors import BadInput
from comp.metrics import Metric, metric
from comp.spec import Competition
from comp.text_metrics import TextMetric, text_metric


def metric_of(competition: Competition) -> Metric | TextMetric:
    """Return the metric that a competition ranks by.

    Raises:
        BadInput: If its task has no metric of that name.
    """
    return (text_metric if competition.task == "transcribe" else metric)(competition.metric)


def refuse_transcripts(competition: Competition, what: str) -> None:
    """Do nothing if a competition asks for classes: for commands that work on their probabilities.

    Args:
        what: The command.

    Raises:
        BadInput: If it asks for transcripts.
    """
    if competition.task == "transcribe":
        raise BadInput(
            f"{what}: {competition.name} asks for transcripts, and this works on probabilities of classes; "
            f"make leaderboard COMP={competition.name} shows what there is"
        )
