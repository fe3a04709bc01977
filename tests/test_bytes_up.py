"""Bytes up to a storage that takes them resumably: told as they go, never twice, never from a wrong place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from comp.fetch import UploadExpired, upload
from comp.patience import Patience
from tests.kaggle_server import Fault, KaggleServer

QUICK = Patience(connect=1, read=0.3, tries=3, first_pause=0.02, longest_pause=2)
CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with KaggleServer() as running:
        running.state.blobs["blob"], running.state.sizes["blob"] = bytearray(), len(CONTENT)
        yield running


def send(server: KaggleServer, is_begun: bool = False) -> list[float]:
    """Send the content and return the shares that were told."""
    told: list[float] = []
    upload(f"{server.url}/upload/blob", CONTENT, QUICK, print, told.append, is_begun)
    assert bytes(server.state.blobs["blob"]) == CONTENT
    return told


def test_the_share_that_is_there_is_told_from_the_first_block_to_the_last(server: KaggleServer) -> None:
    told = send(server)
    assert len(told) > 5 and told == sorted(told) and 0 < told[0] < 0.2 and told[-1] == 1.0


def test_going_on_tells_of_the_whole_file_too(server: KaggleServer) -> None:
    server.state.blobs["blob"] += CONTENT[:200_000]
    told = send(server, is_begun=True)
    assert told[0] > 200_000 / len(CONTENT)
    assert server.state.requests[-1][1]["range"] == f"bytes 200000-{len(CONTENT) - 1}/{len(CONTENT)}"


def test_what_is_there_already_is_not_sent_again(server: KaggleServer) -> None:
    server.state.blobs["blob"] += CONTENT
    assert send(server, is_begun=True) == [1.0]
    assert server.called("PUT") == 1


@pytest.mark.parametrize(
    "fault", [Fault("reset", after=100_000), Fault("lost"), Fault("silence"), Fault("status", 503)]
)
def test_a_connection_that_breaks_is_gone_on_with(server: KaggleServer, fault: Fault) -> None:
    server.fail("PUT", fault)
    assert send(server)[-1] == 1.0


def test_an_upload_that_the_server_forgot_is_told(server: KaggleServer) -> None:
    server.fail("PUT", Fault("status", 410))
    with pytest.raises(UploadExpired):
        send(server)
