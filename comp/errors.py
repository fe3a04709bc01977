"""The one exception tree: every failure that a person can cause or mend ends as one clear line.

FoldboardError            exit status 1
|-- BadInput              exit status 2: what the person gave cannot be used
|-- Refused               exit status 3: a stored file no longer matches its fingerprint, or a check failed
|-- TrainingFailed        exit status 4: a fold could not be trained, after the retries
`-- NoSpace               exit status 5: the disk is full
"""

from __future__ import annotations


class FoldboardError(Exception):
    """A failure whose message is the one line that the person reads: subject, expected, got, what to do."""

    exit_status = 1


class BadInput(FoldboardError):
    """What the person gave (a folder, a table, a name, an option) cannot be used."""

    exit_status = 2


class Refused(FoldboardError):
    """A stored file was edited or torn, or a file failed its check; nothing was changed."""

    exit_status = 3


class TrainingFailed(FoldboardError):
    """A fold could not be trained, after every retry that is allowed."""

    exit_status = 4


class NoSpace(FoldboardError):
    """The disk is full; what was finished before is kept."""

    exit_status = 5
