"""The one exception tree: every failure that a person can cause or mend ends as one clear line.

FoldboardError            exit status 1
|-- BadInput              exit status 2: what the person gave cannot be used
|-- Refused               exit status 3: a stored file no longer matches its fingerprint, or a check failed
|-- TrainingFailed        exit status 4: a fold could not be trained, after the retries
|-- NoSpace               exit status 5: the disk is full
`-- RemoteError           exit status 10: a server said no, in a way that has no name of its own
    |-- NoCredentials     exit status 11: none were found
    |-- CredentialsWrong  exit status 12: the server does not take them (401)
    |-- RulesNotAccepted  exit status 13: the competition's rules are not accepted, or access is denied (403)
    |-- Closed            exit status 14: the competition takes no submissions of this kind (any more)
    |-- NotThere          exit status 15: no such competition, data set or file (404)
    |-- NoNetwork         exit status 16: the server cannot be reached, or stays silent
    |-- ServerTrouble     exit status 17: the server is there and fails (429, 5xx, replies that make no sense)
    |-- LimitReached      exit status 18: no submissions are left for now
    `-- OutcomeUnknown    exit status 19: whether a submission was created is not known; it is never repeated unasked
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


class RemoteError(FoldboardError):
    """A server said no, in a way that has no name of its own."""

    exit_status = 10


class NoCredentials(RemoteError):
    """No credentials were found in any of the places that the stock client looks in."""

    exit_status = 11


class CredentialsWrong(RemoteError):
    """The server does not take the credentials (401)."""

    exit_status = 12


class RulesNotAccepted(RemoteError):
    """The competition's rules are not accepted by this account, or access is denied otherwise (403)."""

    exit_status = 13


class Closed(RemoteError):
    """The competition takes no submissions, or none of this kind."""

    exit_status = 14


class NotThere(RemoteError):
    """There is no such competition, data set or file (404)."""

    exit_status = 15


class NoNetwork(RemoteError):
    """The server cannot be reached, or stays silent for longer than the time-out."""

    exit_status = 16


class ServerTrouble(RemoteError):
    """The server is there and fails: too many requests, an error of its own, or a reply that makes no sense."""

    exit_status = 17


class LimitReached(RemoteError):
    """No submissions are left for now; nothing was sent."""

    exit_status = 18


class OutcomeUnknown(RemoteError):
    """Whether a submission was created is not known; it is never repeated unasked."""

    exit_status = 19
