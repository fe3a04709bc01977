"""What texts are usual: a prior from known transcripts, words by how often they were written, others by their letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from comp.errors import BadInput
from comp.text_metrics import composed

END = "\n"
LETTERS = 3  # a letter is judged by the two before it


class Lexicon:
    """A prior over texts, learnt from transcripts; or of a list of words, of which transcripts tell how much it lacks.

    A text is one that was seen, by its share, or a new one: then by its letters, each after the two before it. The share of new
    texts is that of texts that were seen once (Good 1953, "The population frequencies of species and the estimation of
    population parameters", Biometrika 40); beside a list, that of texts it lacks.

    Args:
        texts: Transcripts.
        listed: Words with how often each is written; None takes the transcripts themselves.
    """

    def __init__(self, texts: Iterable[str], listed: Mapping[str, int] | None = None) -> None:
        seen = Counter(composed(text) for text in texts)
        self.counts = seen if listed is None else Counter(listed)
        self.total = self.counts.total()
        n_new = sum(count for text, count in seen.items() if (count == 1 if listed is None else text not in listed))
        self.share_of_new = (n_new + 1) / (seen.total() + 2)

    @cached_property
    def words(self) -> list[str]:
        """Return the texts that were seen, sorted."""
        return sorted(self.counts)

    @cached_property
    def _letters(self) -> dict[str, Counter[str]]:
        after: dict[str, Counter[str]] = {}
        for word, count in self.counts.items():
            for context, letter in _in_context(word):
                for length in range(LETTERS):
                    after.setdefault(context[len(context) - length :], Counter())[letter] += count
        return after

    @cached_property
    def _n_letters(self) -> int:
        return len({letter for word in self.counts for letter in word}) + 1

    def log_prior(self, text: str) -> float:
        """Return the natural logarithm of a text's share, finite for every text."""
        known = self.counts.get(text, 0) / self.total if self.total else 0.0
        return float(np.log((1 - self.share_of_new) * known + self.share_of_new * np.exp(self._log_spelling(text))))

    def _log_spelling(self, text: str) -> float:
        """Return the log-probability of a text's letters; each context is mixed with the shorter one by how often it was seen.

        Source: Witten and Bell 1991, "The zero-frequency problem", IEEE Transactions on Information Theory 37.
        """
        total = 0.0
        for context, letter in _in_context(text):
            share = 1 / self._n_letters
            for length in range(LETTERS):
                seen = self._letters.get(context[len(context) - length :])
                if seen is None:
                    break
                n_seen, n_kinds = sum(seen.values()), len(seen)
                share = (seen[letter] + n_kinds * share) / (n_seen + n_kinds)
            total += np.log(share)
        return float(total)

    def near(self, text: str, distance: int, limit: int = 12) -> list[str]:
        """Return the known texts within so many edits of a text, the nearest first, at most `limit`."""
        from rapidfuzz import process
        from rapidfuzz.distance import Levenshtein

        found = process.extract(text, self.words, scorer=Levenshtein.distance, score_cutoff=distance, limit=limit)
        return [word for word, _, _ in found]


def _in_context(text: str) -> list[tuple[str, str]]:
    """Return each letter of a text, and its end, with the two letters before it."""
    padded = END * (LETTERS - 1) + text + END
    return [(padded[i : i + LETTERS - 1], padded[i + LETTERS - 1]) for i in range(len(text) + 1)]


def read_list(path: Path) -> dict[str, int]:
    """Return the words of a list, one a line: each as usual as the others, or with a tab and how often it is written.

    Raises:
        BadInput: If there is no such file, it holds no word, or what stands behind a tab is no count.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"LEXICON={path}: expected auto, no, or a file of words, one a line ({error})") from error
    words: Counter[str] = Counter()
    for number, line in enumerate(lines, start=1):
        word, _, count = (part.strip() for part in line.partition("\t"))
        if count and not (count.isdecimal() and int(count)):
            raise BadInput(f"LEXICON={path} line {number}: {count!r} behind the tab, expected a whole number from 1 on")
        if word:
            words[composed(word)] += int(count or 1)
    if not words:
        raise BadInput(f"LEXICON={path}: it holds no word, expected one a line")
    return dict(words)
