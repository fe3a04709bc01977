"""`make upload` for tests that kill it: the same calls with little patience. FOLDER FILE, and words for its wishes."""

from __future__ import annotations

import sys
from pathlib import Path

from comp.console import run
from comp.kaggle_client import Kaggle
from comp.patience import Patience
from tests.uploads import PETS

QUICK = Patience(connect=2, read=1.0, tries=3, first_pause=0.02, longest_pause=2, lost=0.6, score=2, poll=0.05)


def main() -> None:
    """Hand in the CSV that is named."""
    from submissions.outgoing import prepare
    from submissions.upload import Wishes, hand_in

    file, *words = sys.argv[1:]
    outgoing = prepare(PETS, Path(file), template=Path("sample_submission.csv"))
    hand_in(outgoing, Kaggle(QUICK), Wishes(yes=True, again="again" in words, message="from a test"))


if __name__ == "__main__":
    run(main)
