"""One reader of transcripts fitted for one fold with CTC, and the frames it answers: the middle of such a fold's job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from comp.backend import forward_of_any_width, step_of_any_width
from comp.candidates import check_reads
from comp.engine import Report
from comp.errors import BadInput, Refused
from comp.registry import load_backbone
from comp.spec import Candidate, Recipe
from comp.store import read_marker, replacing
from comp.text_metrics import composed
from folds.batches import softmax
from folds.dataset import alphabet_of
from folds.fit import Answer, Fold, model_seed, save_model
from folds.frames import BLANK
from folds.loop import train_network
from folds.model import refuse_narrow_strides
from folds.runs import MODEL, fold_dir
from folds.strips import StripBatches, StripInputs, in_widths, padded

PREDICTED_AT_ONCE = 32  # fixed, because a result may depend on it
COLUMNS = 1024  # pixels that are no stride's remainder, to ask a network for its stride


def answer_text(fold: Fold, report: Report) -> Answer:
    """Fit the fold's reader on the texts of its train rows and return the frames of the rows asked about.

    The alphabet is that of the fold's own train rows; characters of valid rows that are not in it are counted, and frames
    give them zero.
    """
    inputs = strip_inputs(fold)
    texts = fold.dataset.train["label"].tolist()
    alphabet = alphabet_of([texts[row] for row in fold.train_rows])
    network = fresh_reader(fold, alphabet)
    batches = StripBatches(
        inputs,
        fold.dataset.train["sha"].iloc[fold.train_rows].tolist(),
        as_labels([texts[row] for row in fold.train_rows], alphabet),
        batch_size=fold.recipe.batch_size,
        seed=model_seed(fold),
        stride=stride_of(network),
    )
    history = train_network(
        network, fold.recipe, batches, fold.folder, report, loss=keras.losses.CTC(), fit=_fit_strips
    )
    network.trainable = False
    tables, lengths = {}, {}
    read = Reader(network, inputs)
    for name in fold.asked:
        frames, lengths[name] = read(fold.to_predict(name, "sha").tolist())
        tables[name] = in_columns(frames, alphabet, fold.dataset.classes)
    save_model(network, fold.folder)
    unknown = unknown_characters([texts[row] for row in fold.valid_rows], alphabet)
    facts = {"alphabet": alphabet, "unknown_characters": unknown}
    return Answer(tables, history, network.count_params(), [MODEL], lengths, facts)


def strip_inputs(fold: Fold) -> StripInputs:
    """Return the fold's strips.

    Raises:
        BadInput: If the competition's pictures have no free width.
    """
    if not isinstance(fold.inputs, StripInputs):
        raise BadInput(f"candidate {fold.candidate}: a transcript is read from strips; expected resize='height'")
    return fold.inputs


def fresh_reader(fold: Fold, alphabet: Sequence[str]) -> keras.Model:
    """Return the reader as it is before training; what this process did before does not matter."""
    keras.utils.clear_session(free_memory=False)
    keras.config.set_dtype_policy(fold.plan.fit_precision)
    keras.utils.set_random_seed(model_seed(fold))
    return make_reader(fold.candidate, fold.recipe, len(alphabet), fold.plan.facts["channels"])


def make_reader(candidate: Candidate, recipe: Recipe, n_characters: int, channels: int) -> keras.Model:
    """Return the network from strips (B, H, W, channels) uint8 and widths (B,) int32 to (B, T, n_characters) float32 logits.

    Beyond the end of a strip the logits are certain of the blank, column 0.

    Raises:
        BadInput: If the backbone takes no strips of free width, or has a convolution that is refused.
    """
    from comp.strip_layers import CertainBlank

    backbone = load_backbone(candidate.backbone)
    check_reads(candidate)
    options = {name: getattr(recipe, name) for name in backbone.options}
    variant = candidate.variant or backbone.default_variant
    body = backbone.build(recipe.pixels, variant, None, channels=channels, has_widths=True, **options)
    refuse_narrow_strides(body)
    strips, widths = body.inputs
    x = keras.layers.Dropout(recipe.dropout, name="head_dropout")(body.output)
    logits = keras.layers.Dense(n_characters, dtype="float32", name="logits")(x)
    stride = COLUMNS // body.compute_output_shape([(1, recipe.pixels, COLUMNS, channels), (1,)])[1]
    certain = CertainBlank(dtype="float32", name="certain")(logits, (widths + (stride - 1)) // stride)
    return keras.Model([strips, widths], certain, name=candidate.backbone)


def stride_of(reader: keras.Model) -> int:
    """Return how many columns of pixels make one frame."""
    _, height, _, channels = reader.inputs[0].shape
    return int(COLUMNS // reader.compute_output_shape([(1, height, COLUMNS, channels), (1,)])[1])


def _fit_strips(trainer: keras.Model, batches: StripBatches, first_epoch: int, loop: Any) -> None:
    """Take the trainer through its epochs: what `fit` does, with one trace for all widths."""
    step = step_of_any_width(trainer, trainer.inputs[0].shape[-1], batches.labels.shape[1])
    loop.set_model(trainer)
    for epoch in range(first_epoch, loop.recipe.epochs):
        loop.on_epoch_begin(epoch)
        losses = []
        for batch in range(len(batches)):
            losses.append(step(*batches[batch]))
            loop.on_train_batch_end(batch)
        loop.on_epoch_end(epoch, {"loss": float(np.mean(losses))})
    trainer.optimizer.finalize_variable_values(trainer.trainable_variables)


class Reader:
    """A network that is trained, and asked about strips; a row's frames do not depend on the rows beside it."""

    def __init__(self, network: keras.Model, inputs: StripInputs) -> None:
        self.inputs, self.stride, self.n_characters = inputs, stride_of(network), int(network.output_shape[-1])
        self._forward = forward_of_any_width(network, inputs.store.spec.channels)

    def __call__(self, shas: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return (sum T, A) float32 probabilities of strips in the order asked, and (N,) frames of each."""
        widths = self.inputs.widths(shas)
        lengths = -(-widths // self.stride)
        ends = np.cumsum([0, *lengths])
        values = np.empty((int(ends[-1]), self.n_characters), np.float32)
        for rows in in_widths(widths, PREDICTED_AT_ONCE):
            logits = self._forward(padded(self.inputs.seen([shas[row] for row in rows])))
            for row, told in zip(rows.tolist(), logits, strict=True):
                values[ends[row] : ends[row + 1]] = softmax(told[: lengths[row]])
        return values, lengths


def as_labels(texts: Sequence[str], alphabet: Sequence[str]) -> np.ndarray:
    """Return (N, L) int32 places of the characters in the alphabet, 0 behind the end; characters not in it are left out."""
    place = {character: index for index, character in enumerate(alphabet) if character != BLANK}
    rows = [[place[character] for character in composed(text) if character in place] for text in texts]
    labels = np.zeros((len(rows), max(1, *map(len, rows))), np.int32)
    for row, found in enumerate(rows):
        labels[row, : len(found)] = found
    return labels


def unknown_characters(texts: Sequence[str], alphabet: Sequence[str]) -> dict[str, int]:
    """Return how often each character that is not in the alphabet stands in texts."""
    known = set(alphabet)
    counts: dict[str, int] = {}
    for character in "".join(composed(text) for text in texts):
        if character not in known:
            counts[character] = counts.get(character, 0) + 1
    return dict(sorted(counts.items()))


def in_columns(frames: np.ndarray, have: Sequence[str], want: Sequence[str]) -> np.ndarray:
    """Return frames whose columns are those of another alphabet, by character; characters that they do not know are 0.

    Args:
        frames: (sum T, len(have)).
    """
    position = {character: column for column, character in enumerate(want)}
    found = np.zeros((len(frames), len(want)), np.float32)
    found[:, [position[character] for character in have]] = frames
    return found


def read_new(report: Report, run: str, fold: int, shas: list[str], cache_dir: str, out: str) -> str:
    """Ask the reader of one fold about strips in the image cache; return the file of their frames and lengths.

    Raises:
        Refused: If the fold is not finished.
    """
    from folds.train import gather

    marker = read_marker(fold_dir(Path(run), fold))
    if marker is None:
        raise Refused(f"{fold_dir(Path(run), fold)} is not a finished fold; run the command that makes it again")
    found = gather(Path(run), fold, Path(cache_dir), "")
    network = fresh_reader(found, marker["alphabet"])
    network.load_weights(found.folder / MODEL)
    frames, lengths = Reader(network, strip_inputs(found))(shas)
    with replacing(Path(out)) as temporary, temporary.open("wb") as file:
        np.savez(file, frames=in_columns(frames, marker["alphabet"], found.dataset.classes), lengths=lengths)
    return out
