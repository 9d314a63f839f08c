"""Whether a host is sent to in the open."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from protocol.control.trust.certificate import Identity, identity
from protocol.control.trust.context import server_context
from protocol.control.trust.known_hosts import KnownHosts
from protocol.errors import NoPeerError, Untrusted
from sender.config import SenderConfig, Target
from sender.push import encrypting
from tests.support import certificates
from tests.support.rtsp_recorder import Recorder

HOST = "127.0.0.1"


@pytest.fixture
def closed_port() -> int:
    with closing(socket.socket()) as opened:
        opened.bind((HOST, 0))
        return int(opened.getsockname()[1])


@pytest.fixture
def shown(tmp_path: Path) -> Identity:
    pair = certificates.self_signed(tmp_path)
    return identity(str(pair.certificate), str(pair.key))


@pytest.fixture
def receiver(shown: Identity) -> Iterator[Recorder]:
    with Recorder(tls=server_context(shown)) as running:
        yield running


def ask(port: int, lines: list[str], *, must: bool = False) -> Target:
    """What becomes of one target."""
    target = Target(HOST, port, encryption="must" if must else "try")
    return encrypting.ask(SenderConfig((target,)), lines.append).targets[0]


def test_a_receiver_that_takes_it(receiver: Recorder) -> None:
    lines: list[str] = []
    url = ask(receiver.port, lines).url
    assert url is not None
    assert (url.scheme, url.host, url.port) == ("rtsps", HOST, receiver.port)
    assert receiver.requests == ["OPTIONS"]
    assert lines == []
    assert not KnownHosts().trusted_before(HOST, receiver.port), "it was only asked"


def test_two_of_ours_never_take_the_same_name(receiver: Recorder) -> None:
    assert ask(receiver.port, []).url != ask(receiver.port, []).url


def test_a_stranger_without_is_sent_to_in_the_open_at_once(closed_port: int) -> None:
    lines: list[str] = []
    began = time.monotonic()
    assert ask(closed_port, lines).url is None
    assert time.monotonic() - began < 0.5
    (line,) = lines
    assert "takes no encryption (nobody listens" in line
    assert "in the open" in line


def test_a_stranger_that_speaks_no_tls() -> None:
    lines: list[str] = []
    with Recorder() as open_one:
        assert ask(open_one.port, lines).url is None
    assert "takes no encryption" in lines[0]


def test_who_must_be_spoken_with_in_secret(closed_port: int) -> None:
    with pytest.raises(NoPeerError, match="takes no encryption"):
        ask(closed_port, [], must=True)


def test_who_is_known_is_not_sent_to_in_the_open(closed_port: int, shown: Identity) -> None:
    KnownHosts().remember(HOST, closed_port, shown.fingerprint)
    with pytest.raises(NoPeerError, match="trusted before"):
        ask(closed_port, [])
    with Recorder() as open_one:
        KnownHosts().remember(HOST, open_one.port, shown.fingerprint)
        with pytest.raises(Untrusted, match="somebody may be in between"):
            ask(open_one.port, [])


def test_who_is_known_by_another_certificate_is_not_sent_to_at_all(receiver: Recorder) -> None:
    KnownHosts().remember(HOST, receiver.port, ":".join(["AB"] * 32))
    with pytest.raises(Untrusted, match="another certificate than before"):
        ask(receiver.port, [])


def test_who_was_not_to_be_asked_is_not(receiver: Recorder) -> None:
    target = Target(HOST, receiver.port)
    assert encrypting.ask(SenderConfig((target,)), print).targets == (target,)
    assert receiver.requests == []
