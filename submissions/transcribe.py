"""The main job of a competition that asks for transcripts: from finished runs to a checked CSV, shown and written down."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from comp.console import say, show_table
from comp.errors import BadInput
from comp.lexicon import read_list
from comp.spec import Competition
from comp.store import read_marker, sha256_of, write_bytes
from folds.dataset import Dataset
from folds.oof import Predictions, text_score
from folds.runs import fold_dir, lexicon_path, run_dir
from submissions.commands import show_next
from submissions.plan import Plan, Settings
from submissions.submit import Line, manifest_facts, run_seconds, seconds_in_all, show_results, test_scores
from submissions.transcripts import AUTO, NO, Transcripts, transcribe
from submissions.write import copy_to, facts_of_format, make_text_submission, write_submission


def check_settings(settings: Settings, competition: Competition) -> None:
    """Do nothing if no more is asked for than transcripts have.

    Raises:
        BadInput: If outside predictions, bags, a cut or repeats are asked for, or LEXICON names no list of words.
    """
    if settings.lexicon not in (AUTO, NO):
        read_list(Path(settings.lexicon))
    asked = {"WITH": settings.with_runs, "BAGS": settings.bags, "CUT": settings.cut}
    asked |= {"REPEATS": settings.repeats if settings.repeats > 1 else 0}
    for name, value in asked.items():
        if value:
            raise BadInput(
                f"{name}={value}: {competition.name} asks for transcripts, and these have none; leave it out"
            )


def kept_lexicon(dataset: Dataset, asked: str) -> str:
    """Return what LEXICON means, a file's words kept beside the runs: the same CSV is made from them whatever becomes of the file."""
    if asked in (AUTO, NO):
        return asked
    words = Path(asked).read_bytes()
    sha8 = sha256_of(words)[:8]
    write_bytes(lexicon_path(dataset.folder, sha8), words)
    return sha8


def read_together(
    plan: Plan, dataset: Dataset, predictions: Mapping[str, Predictions]
) -> tuple[Transcripts, list[Line]]:
    """Return the texts of all runs together, and a line for each run and for the ensemble, which comes last."""
    metrics = (plan.competition.metric, *plan.competition.also)
    lexicon = kept_lexicon(dataset, plan.settings.lexicon)
    together = transcribe(dataset, predictions, metrics[0], lexicon=lexicon)
    lines = []
    for run in plan.runs(dataset.data8):
        alone = together
        if len(predictions) > 1:
            alone = transcribe(dataset, {run.name: predictions[run.name]}, metrics[0], lexicon=lexicon)
        name = f"{run.candidate} seed {run.seed}" if len(plan.seeds) > 1 else f"{run.candidate}"
        scores = {name: text_score(dataset, alone.oof, name) for name in metrics}
        lines.append(Line(name, scores, run_seconds(dataset, run), run))
    scores = {name: text_score(dataset, together.oof, name) for name in metrics}
    return together, [*lines, Line(f"ensemble ({together.name})", scores, sum(line.seconds for line in lines))]


def show_transcripts(plan: Plan, dataset: Dataset, together: Transcripts) -> None:
    """Print how each decoding scores, which one each fold takes and why, and what characters no model could know."""
    metrics = (plan.competition.metric, *plan.competition.also)
    rows = [
        [one.decoder.name, *(f"{text_score(dataset, one.texts, name).value:.4f}" for name in metrics)]
        for one in together.judged
    ]
    show_table("decodings, each over all rows", ["decoding", *metrics], rows)
    chosen = sorted({decoder.name for decoder in together.by_fold.values()})
    whose = "; its words are theirs too" if together.lexicon == AUTO else ""
    say(f"each fold's rows are decoded as is best on the other folds: {' or '.join(chosen)}{whose}")
    say(f"test rows: {together.decoder.name}, frames of the {dataset.n_folds} models of a run averaged")
    if together.method == "vote":
        say("runs have frames of different lengths: they vote, for the text with the fewest edits to be expected")
    unknown = unknown_characters(plan, dataset)
    if unknown:
        told = ", ".join(f"{character!r} {n}" for character, n in sorted(unknown.items()))
        say(f"characters that stand in one fold only, and that no model which reads it knows: {told}")


def unknown_characters(plan: Plan, dataset: Dataset) -> dict[str, int]:
    """Return how often characters stand in train rows whose own model has never seen them."""
    run = run_dir(dataset.folder, plan.runs(dataset.data8)[0])
    counts: dict[str, int] = {}
    for fold in range(dataset.n_folds):
        for character, n in (read_marker(fold_dir(run, fold)) or {}).get("unknown_characters", {}).items():
            counts[character] = counts.get(character, 0) + n
    return counts


def submit_transcripts(plan: Plan, dataset: Dataset, predictions: Mapping[str, Predictions], began: float) -> Path:
    """Do the rest of the main job and return the path of the CSV.

    Args:
        began: When the command began, on the monotonic clock.
    """
    together, lines = read_together(plan, dataset, predictions)
    show_results(plan, lines)
    show_transcripts(plan, dataset, together)
    frame = make_text_submission(plan.tables, dataset, together.test)
    facts = {
        "ensemble": together.facts(),
        "format": facts_of_format(plan.competition),
        "test": test_scores(plan, dataset, frame, lines[-1]),
        "command_seconds": seconds_in_all(plan, dataset, lines, time.monotonic() - began),
    }
    path = write_submission(frame, dataset, plan.competition, {**manifest_facts(plan, dataset, lines), **facts})
    show_next(plan)
    return copy_to(path, plan.settings.out) if plan.settings.out else path


def train_transcripts(plan: Plan, dataset: Dataset, predictions: Mapping[str, Predictions]) -> None:
    """Show what `make train` has to show of transcripts."""
    together, lines = read_together(plan, dataset, predictions)
    show_results(plan, lines)
    show_transcripts(plan, dataset, together)
