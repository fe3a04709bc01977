"""What would work towards Kaggle and what not, asked without sending anything: credentials, network, rules, limits."""

from __future__ import annotations

import os
from collections.abc import Callable
from urllib.parse import urlsplit

from comp.console import say
from comp.errors import FoldboardError, NoCredentials
from comp.kaggle_client import Kaggle
from comp.kaggle_credentials import find_credentials, permission_warning
from comp.patience import Patience
from comp.spec import Competition
from submissions.upload import check_competition, limits_words

SHORT = Patience(connect=5, read=15, tries=2)


def examine(competition: Competition | None, patience: Patience = SHORT) -> FoldboardError | None:
    """Print a line for each thing that an upload needs, `ok` or what to do; return the first failure, or None.

    Nothing is sent but questions, and what a failure makes pointless is not asked.

    Args:
        competition: Asked about too, where one is given and it is on Kaggle.
    """
    try:
        _credentials()
        kaggle = Kaggle(patience)
        _line("ok", "address", _address(kaggle.endpoint))
        _step("account", kaggle.whoami)
        if competition is not None:
            _competition(competition, kaggle)
    except FoldboardError as failure:
        return failure
    return None


def _step(name: str, question: Callable[[], str]) -> str:
    try:
        answer = question()
    except FoldboardError as failure:
        _line("not", name, str(failure))
        raise
    _line("ok", name, answer)
    return answer


def _line(verdict: str, name: str, words: str) -> None:
    say(f"{verdict:>4}  {name}: {words}")


def _credentials() -> None:
    found = None

    def source() -> str:
        nonlocal found
        found = find_credentials()
        return f"found in {found.source}"

    _step("credentials", source)
    if found is None:
        raise NoCredentials("no credentials")
    warning = permission_warning(found)
    if warning:
        _line("mind", "permissions", warning)


def _address(endpoint: str) -> str:
    """Return where calls go, and through which proxy, without a password that its address may hold."""
    proxies = [os.environ.get(name) for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY")]
    proxy = next((value for value in proxies if value), None)
    if proxy is None:
        return f"{endpoint}, no proxy"
    parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    return f"{endpoint}, through the proxy {parts.hostname}{f':{parts.port}' if parts.port else ''}"


def _competition(competition: Competition, kaggle: Kaggle) -> None:
    slug = competition.slug
    if not slug:
        _line("ok", competition.name, "it has no slug, so it is not on Kaggle and there is nothing to upload")
        return
    facts = None

    def ask() -> str:
        nonlocal facts
        facts = kaggle.competition(slug)
        check_competition(facts, slug)
        return f"{slug} takes CSVs of this account, its rules are accepted"

    _step("competition", ask)
    _step("limits", lambda: limits_words(kaggle.limits(slug), facts))
    _step("data", lambda: f"{len(kaggle.files(slug))} files can be listed")
