"""What Kaggle's refusals mean, each as its own failure with what to do next; and what an error tells of a call's fate."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

from comp.errors import Closed, CredentialsWrong, NotThere, RemoteError, RulesNotAccepted

WEB = "https://www.kaggle.com/competitions"
_CLOSED_WORDS = ("deadline", "has ended", "closed", "no longer accept", "not accepting", "submissions are disabled")


def refusal(status: int, said: str, about: str, source: str) -> RemoteError:
    """Return the failure that a 4xx status stands for, with what to do next."""
    if any(word in said.lower() for word in _CLOSED_WORDS) and status in (400, 403):
        return Closed(f"{about}: Kaggle takes no submissions any more ({said}); see {WEB}/{about}")
    if status == 401:
        return CredentialsWrong(
            f"Kaggle does not take the credentials from {source} (401, {said}): make a new token on "
            "https://www.kaggle.com/settings and put it there"
        )
    if status == 403:
        return RulesNotAccepted(
            f"{about}: Kaggle denies access (403, {said}): accept the rules on {WEB}/{about}/rules while logged in, "
            "then run the same command again"
        )
    if status == 404:
        return NotThere(f"{about}: Kaggle has no such thing (404, {said}): check the name on {WEB}")
    return RemoteError(f"{about}: Kaggle refuses ({status}, {said})")


def is_never_sent(error: Exception) -> bool:
    """Return whether a connection never stood, so that the server cannot have got the request."""
    from requests.exceptions import ConnectTimeout
    from urllib3.exceptions import NewConnectionError

    if isinstance(error, ConnectTimeout):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    # urllib3 2.8 calls any broken connection through a proxy a proxy error, even after the request was sent
    return isinstance(getattr(reason, "original_error", reason), NewConnectionError)


def status_of(reply: Any) -> int:
    """Return the status of an error; Kaggle may hide it in the body of a reply that is 200 outside."""
    status = int(reply.status_code)
    return status if status >= 400 else int(_body(reply).get("code", 500))


def message_of(reply: Any) -> str:
    return str(_body(reply).get("message", ""))


def _body(reply: Any) -> dict[str, Any]:
    with closing(reply):
        try:
            found = json.loads(reply.text)
        except (ValueError, OSError, RuntimeError):
            return {}
    return found if isinstance(found, dict) else {}
