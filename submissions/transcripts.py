"""Frames of finished runs to texts: put together, decoded, and the decoding chosen on the rows of other folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from comp.ctc import beam, greedy, log_probability, logs_of
from comp.lexicon import Lexicon, read_list
from comp.text_metrics import text_metric
from folds.dataset import Dataset
from folds.frames import Frames, are_equally_long, in_order, mean_of
from folds.oof import Predictions
from folds.runs import lexicon_path

BEAM = 16  # texts that a row's frames are searched for
NEAR = 2  # edits: known words so near to what was read are candidates too
SURE = 0.95  # a known word that is read so surely needs no others beside it


@dataclass(frozen=True)
class Decoder:
    """One way from frames to a text.

    Attributes:
        kind: `greedy`; `beam`: the likeliest of the candidates; `edits`: the one with the fewest edits to be expected.
        prior: How much a word's usual frequency weighs against what was read; 0 knows no words.
    """

    kind: str = "greedy"
    prior: float = 0.0

    @property
    def name(self) -> str:
        """Return what tables call it."""
        kind = "fewest edits" if self.kind == "edits" else self.kind
        return f"{kind}, lexicon {self.prior:g}" if self.prior else kind


AUTO, NO = "auto", "no"  # of LEXICON: words of the transcripts that the fold does not hold, or none
PRIORS = (0.0, 0.25, 0.5, 1.0, 1.5)
DECODERS = (Decoder(), *(Decoder(kind, prior) for kind in ("beam", "edits") for prior in PRIORS))


@dataclass(frozen=True, eq=False)
class Row:
    """What may stand in one picture.

    Attributes:
        greedy: (R,) the likeliest paths' texts, one a reader.
        texts: (n,) candidates.
        logs: (R, n) log-probability of each candidate by each reader.
        priors: (n,) logarithm of how usual each is.
        is_read: (n,) whether frames alone led to it; the others are known words nearby.
    """

    greedy: list[str]
    texts: list[str]
    logs: np.ndarray
    priors: np.ndarray
    is_read: np.ndarray

    def told(self, decoder: Decoder) -> str:
        """Return the text; several readers vote for the one with the fewest edits to be expected."""
        if decoder.kind == "greedy":
            return fewest_edits(self.greedy, np.ones(len(self.greedy)))
        scores = np.logaddexp.reduce(self.logs, axis=0) + decoder.prior * self.priors
        if not decoder.prior:
            scores = np.where(self.is_read, scores, -np.inf)
        if len(self.logs) == 1 and decoder.kind == "beam":
            return self.texts[int(scores.argmax())]
        return fewest_edits(self.texts, np.exp(scores - scores.max()))


def fewest_edits(texts: Sequence[str], shares: np.ndarray) -> str:
    """Return the text with the fewest edits to be expected, were the truth one of the texts with these shares.

    Of equals the first; a text without a share is never the answer.

    Args:
        shares: (n,) 0 or more, not all 0; their sum does not matter.

    Source: Mangu, Brill and Stolcke 2000, "Finding consensus in speech recognition", with letters for words.
    """
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    possible = np.flatnonzero(shares)
    offered: list[str] = [texts[place] for place in possible.tolist()]
    costs = cdist(offered, offered, scorer=Levenshtein.distance, dtype=np.int32) @ shares[possible]
    return offered[int(np.argmin(costs))]


def row_of(readers: Sequence[np.ndarray], alphabet: Sequence[str], lexicon: Lexicon) -> Row:
    """Return what may stand in a picture, from the frames (T, A) of each reader."""
    found = [dict(beam(frames, alphabet, BEAM)) for frames in readers]
    read = list(dict.fromkeys(text for texts in found for text in texts))
    bests = [max(texts, key=texts.__getitem__) for texts in found]  # of each reader
    is_sure = len(readers) == 1 and bests[0] in lexicon.counts and found[0][bests[0]] > np.log(SURE)
    known = [] if is_sure else [word for best in dict.fromkeys(bests) for word in lexicon.near(best, NEAR)]
    near = [word for word in dict.fromkeys(known) if word not in read]
    texts = [*read, *near]
    logs = [_logs(frames, by_beam, texts, alphabet) for frames, by_beam in zip(readers, found, strict=True)]
    return Row(
        [greedy(frames, alphabet) for frames in readers],
        texts,
        np.array(logs),
        np.array([lexicon.log_prior(text) for text in texts]),
        np.arange(len(texts)) < len(read),
    )


def _logs(frames: np.ndarray, found: Mapping[str, float], texts: Sequence[str], alphabet: Sequence[str]) -> list[float]:
    logs = logs_of(frames)
    return [found[text] if text in found else log_probability(logs, text, alphabet) for text in texts]


@dataclass(frozen=True, eq=False)
class Readers:
    """Several runs' frames of the same rows: averaged to one where they are equally long, else side by side.

    Attributes:
        frames: One or more, all of the rows of `ids` in their order.
    """

    frames: list[Frames]

    @property
    def ids(self) -> list[str]:
        """Return the rows' ids."""
        return self.frames[0].ids

    @property
    def method(self) -> str:
        """Return how several become one answer."""
        return "vote" if len(self.frames) > 1 else "frames"

    def rows(self, lexicons: Sequence[Lexicon]) -> list[Row]:
        """Return what may stand in each picture.

        Args:
            lexicons: (N,) what is known of words, for each row.
        """
        alphabet = self.frames[0].alphabet
        return [
            row_of([frames.of(row) for frames in self.frames], alphabet, lexicon)
            for row, lexicon in enumerate(lexicons)
        ]


def readers_of(several: Sequence[Frames], ids: Sequence[str]) -> Readers:
    """Return the frames of several runs, their rows in the order of `ids`.

    Raises:
        Refused: If a run lacks a row, or has another alphabet.
    """
    ordered = [in_order(frames, ids, "frames") for frames in several]
    return Readers([mean_of(ordered)] if are_equally_long(ordered) else ordered)


@dataclass(frozen=True, eq=False)
class Judged:
    """A decoding over all rows that were read out of fold: its texts, and its score by fold and in all."""

    decoder: Decoder
    texts: list[str]
    score: float


@dataclass(frozen=True, eq=False)
class Transcripts:
    """What is handed in, and how it was chosen.

    Attributes:
        names: The runs.
        method: `frames` (averaged) or `vote`.
        judged: Every decoding, over all rows.
        by_fold: The decoding that is best on the rows of all other folds, by fold.
        decoder: The one that is best on all: that of the test rows.
        oof: (N,) texts of the rows of `dataset.in_folds`, each decoded as its fold's others chose.
        test: Text of each test row by id; rows that cannot be read are in it too.
        lexicon: `auto`, `no`, or which list of words.
    """

    names: list[str]
    method: str
    judged: list[Judged]
    by_fold: dict[int, Decoder]
    decoder: Decoder
    oof: list[str]
    test: dict[str, str]
    lexicon: str = AUTO

    @cached_property
    def name(self) -> str:
        """Return what the result table calls it."""
        return f"{self.method}, {self.decoder.name}" if len(self.names) > 1 else self.decoder.name

    def facts(self) -> dict[str, Any]:
        """Return what the manifest records: enough to make the same CSV and the same nested score again."""
        return {
            "method": self.method,
            "decoder": asdict(self.decoder),
            "by_fold": {str(fold): asdict(decoder) for fold, decoder in self.by_fold.items()},
            "judged": [{"decoder": one.decoder.name, "score": one.score} for one in self.judged],
            "lexicon": self.lexicon,
        }


def lexicon_of(dataset: Dataset, kind: str, without: int | None = None) -> Lexicon:
    """Return what texts tell of words, those of one fold left out, or a list of words that is kept beside the runs."""
    rows = dataset.in_folds
    listed = None if kind in (AUTO, NO) else read_list(lexicon_path(dataset.folder, kind))
    return Lexicon(rows["label"][rows["fold"] != without].tolist(), listed)


def lexicons_of(dataset: Dataset, kind: str = AUTO) -> dict[int, Lexicon]:
    """Return for each fold what the texts of all other folds tell of words: none of it stands in the fold itself."""
    return {fold: lexicon_of(dataset, kind, fold) for fold in range(dataset.n_folds)}


def transcribe(
    dataset: Dataset,
    runs: Mapping[str, Predictions],
    metric_name: str,
    fixed: Mapping[str, Any] | None = None,
    lexicon: str = AUTO,
) -> Transcripts:
    """Return the texts of runs together: decoded in every way, and for each fold in the way that is best on the others.

    Args:
        metric_name: What ways are compared by.
        fixed: The `facts` of transcripts made before: their ways of decoding are taken, and none is compared.
        lexicon: `auto`, `no`, or a list of words that is kept beside the runs; `fixed` knows its own.
    """
    lexicon = lexicon if fixed is None else fixed.get("lexicon", AUTO)
    chosen, truth = text_metric(metric_name), dataset.in_folds["label"].tolist()
    folds = dataset.in_folds["fold"].tolist()
    known = lexicons_of(dataset, lexicon)
    frames = [found.frames for found in runs.values()]
    readers = readers_of([oof for oof, _ in frames], dataset.in_folds["id"].tolist())
    rows = readers.rows([known[fold] for fold in folds])
    decoders = [one for one in DECODERS if lexicon != NO or not one.prior]
    by_fold, decoder, judged = _ways(rows, truth, folds, chosen, decoders) if fixed is None else (*_fixed(fixed), [])
    return Transcripts(
        names=list(runs),
        method=readers.method,
        judged=judged,
        by_fold=by_fold,
        decoder=decoder,
        oof=[row.told(by_fold[fold]) for row, fold in zip(rows, folds, strict=True)],
        test=_test_texts(dataset, [test for _, test in frames], decoder, lexicon),
        lexicon=lexicon,
    )


def _ways(
    rows: Sequence[Row], truth: Sequence[str], folds: Sequence[int], chosen: Any, decoders: Sequence[Decoder]
) -> tuple[dict[int, Decoder], Decoder, list[Judged]]:
    """Return the best decoding on all other folds for each fold, the best on all, and all of them with their scores."""
    of_fold = np.array(folds)
    told = {decoder: [row.told(decoder) for row in rows] for decoder in decoders}
    scores = {decoder: chosen.prepare(truth, texts) for decoder, texts in told.items()}

    def best(weights: np.ndarray) -> Decoder:
        values = [chosen.gain(scores[decoder](weights), 0.0) for decoder in decoders]
        return decoders[int(np.argmax(values))]  # of equals the simplest

    whole = np.ones(len(rows))
    judged = [Judged(decoder, told[decoder], scores[decoder](whole)) for decoder in decoders]
    by_fold = {fold: best((of_fold != fold).astype(np.float64)) for fold in sorted(set(folds))}
    return by_fold, best(whole), judged


def _fixed(facts: Mapping[str, Any]) -> tuple[dict[int, Decoder], Decoder]:
    return {int(fold): Decoder(**one) for fold, one in facts["by_fold"].items()}, Decoder(**facts["decoder"])


def _test_texts(dataset: Dataset, tests: Sequence[Frames], decoder: Decoder, lexicon: str) -> dict[str, str]:
    """Return the text of each test row; one that cannot be read gets the text that is written most often."""
    texts = dict.fromkeys(dataset.test["id"].tolist(), usual_text(dataset))
    return texts | read_new(dataset, tests, dataset.readable_test["id"].tolist(), decoder, lexicon)


def usual_text(dataset: Dataset) -> str:
    """Return the text that stands in most train rows, of equals the first: what is said of a picture that cannot be read."""
    counts = Lexicon(dataset.in_folds["label"].tolist()).counts
    return min(counts, key=lambda text: (-counts[text], text))


def read_new(
    dataset: Dataset, several: Sequence[Frames], ids: Sequence[str], decoder: Decoder, lexicon: str = AUTO
) -> dict[str, str]:
    """Return the text of each row that no fold holds, by id; every train row's text tells of words.

    Args:
        several: The frames of each run, all of the rows `ids`.
    """
    if not len(ids):
        return {}
    known, readers = lexicon_of(dataset, lexicon), readers_of(several, ids)
    rows = readers.rows([known] * len(readers.ids))
    return {row_id: row.told(decoder) for row_id, row in zip(readers.ids, rows, strict=True)}
