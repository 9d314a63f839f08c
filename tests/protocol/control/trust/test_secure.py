"""Whom a client trusts: TLS servers of openssl, with every kind of certificate."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from protocol.control.trust.certificate import identity
from protocol.control.trust.context import server_context
from protocol.control.trust.known_hosts import Known, KnownHosts
from protocol.control.trust.secure import Trust, connect_securely
from protocol.errors import FatalError, NoPeerError, ResourceError, Untrusted
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Request, Response
from tests.support import certificates, peers
from tests.support.control import Listening, listener


class Client:
    """Somebody who connects again and again, to the same port of localhost."""

    def __init__(self, folder: Path) -> None:
        self.known = KnownHosts(folder / "known_hosts")
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        self.said: list[str] = []
        self._folder = folder

    @contextmanager
    def server(self, pair: certificates.Pair, *options: str) -> Iterator[None]:
        peers.need("openssl")
        place = ("-accept", f"127.0.0.1:{self.port}", "-cert", pair.certificate, "-key", pair.key)
        command = ["openssl", "s_server", *place, "-quiet", *options]
        with peers.Process(command, self._folder, "openssl", pipe=True) as process:
            self._wait_for_port()
            yield
            assert process.process.poll() is None, process.log
            assert process.process.stdin is not None
            process.process.stdin.close()

    def connect(self, fingerprint: str | None = None, authority: Path | None = None) -> Listening:
        """Raises what `connect_securely` does."""
        trust = Trust(self.known, fingerprint, None if authority is None else str(authority))
        handler = Listening()

        async def run() -> None:
            connection = await connect_securely("localhost", self.port, handler, trust, self.said.append, family=4)
            assert connection.tls
            assert handler.connections == [connection]
            connection.close()
            await handler.until(lambda: bool(handler.ends))

        asyncio.run(run())
        return handler

    def refused(self, fingerprint: str | None = None, authority: Path | None = None) -> str:
        """The line that says why; the handler has not even heard of the connection."""
        before = self.known.path.read_text() if self.known.path.exists() else None
        with pytest.raises(Untrusted) as refusal:
            self.connect(fingerprint, authority)
        assert before == (self.known.path.read_text() if self.known.path.exists() else None)
        return str(refusal.value).replace(f"localhost:{self.port}", "HOST")

    def found(self) -> Known | None:
        return self.known.find("localhost", self.port)

    def _wait_for_port(self) -> None:
        for _ in range(500):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise AssertionError("openssl does not listen")


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path)


def test_a_new_host_is_trusted_once_and_known_then(client: Client, tmp_path: Path) -> None:
    pair = certificates.self_signed(tmp_path)
    with client.server(pair):
        client.connect()
        line = f"localhost:{client.port} is new here and trusted from now on, by its fingerprint {pair.fingerprint}"
        assert client.said == [line]
        client.connect()
    assert client.said == [line]
    assert client.found() == Known(pair.fingerprint)


def test_one_that_shows_another_certificate_is_refused(client: Client, tmp_path: Path) -> None:
    first, second = certificates.self_signed(tmp_path, "first"), certificates.self_signed(tmp_path, "second")
    with client.server(first):
        client.connect()
    with client.server(second):
        assert client.refused() == (
            "HOST shows another certificate than before: somebody may be in between; if you know that it has a new one"
            f" ({second.fingerprint}), delete its line in {client.known.path}"
        )
        client.known.path.unlink()
        client.connect()
    assert client.found() == Known(second.fingerprint)


def test_the_fingerprint_that_is_given_counts_alone(client: Client, tmp_path: Path) -> None:
    first, second = certificates.self_signed(tmp_path, "first"), certificates.self_signed(tmp_path, "second", days=-1)
    with client.server(second):
        told = client.refused(fingerprint=first.fingerprint)
        assert told == f"HOST shows another certificate than --fingerprint says: {second.fingerprint}"
        client.connect(fingerprint=second.fingerprint)
    assert client.said == []
    assert client.found() == Known(second.fingerprint)


def test_an_authority(client: Client, tmp_path: Path) -> None:
    """The one that is given, and no other; a host it once vouched for is trusted with its word only."""
    good, other = certificates.authority(tmp_path, "good"), certificates.authority(tmp_path, "other")
    signed, plain = certificates.signed(tmp_path, good), certificates.self_signed(tmp_path)
    with client.server(signed):
        told = client.refused(authority=other.certificate)
        assert told.startswith("--ca: HOST shows a certificate that will not do: ")
        client.connect(authority=good.certificate)
        assert client.found() == Known(None)
        assert client.refused() == (
            "no authority vouches for HOST any more (unable to get local issuer certificate): somebody may be in"
            f" between; if you know why, delete its line in {client.known.path}"
        )
    with client.server(plain):
        assert client.refused().startswith("no authority vouches for HOST any more (self-signed certificate)")


def test_an_authoritys_word_for_another_name_or_time(client: Client, tmp_path: Path) -> None:
    good = certificates.authority(tmp_path, "good")
    for name, names, days, why in (
        ("elsewhere", "DNS:elsewhere.example", 30, "Hostname mismatch"),
        ("old", "DNS:localhost", -1, "certificate has expired"),
    ):
        with client.server(certificates.signed(tmp_path, good, name, names, days)):
            assert why in client.refused(authority=good.certificate)


def test_a_new_certificate_an_authority_vouches_for(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE is where OpenSSL looks for the system's authorities."""
    good = certificates.authority(tmp_path, "good")
    with client.server(certificates.self_signed(tmp_path)):
        client.connect()
    monkeypatch.setenv("SSL_CERT_FILE", str(good.certificate))
    with client.server(certificates.signed(tmp_path, good)):
        client.connect()
        client.connect()
    assert client.said[1:] == [f"localhost:{client.port} has a new certificate, and an authority vouches for it"]
    assert client.found() == Known(None)


def test_an_expired_certificate(client: Client, tmp_path: Path) -> None:
    """At first, and of one that is known; only its fingerprint makes it do."""
    pair = certificates.self_signed(tmp_path, days=-1)
    expected = "the certificate of HOST expired on [0-9-]{10}; have it renewed there, or accept it: --fingerprint "
    with client.server(pair):
        for _ in range(2):
            assert re.fullmatch(expected + pair.fingerprint, client.refused())
            client.known.remember("localhost", client.port, pair.fingerprint)
        client.connect(fingerprint=pair.fingerprint)


@pytest.mark.parametrize("options", [("-tls1_2",), ("-tls1_3",)])
def test_both_versions_of_tls(client: Client, tmp_path: Path, options: tuple[str, ...]) -> None:
    with client.server(certificates.self_signed(tmp_path), *options):
        client.connect()


def test_an_older_tls_will_not_do(client: Client, tmp_path: Path) -> None:
    weak = ("-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0")
    with client.server(certificates.self_signed(tmp_path), *weak), pytest.raises(FatalError) as refusal:
        client.connect()
    assert "no TLS newer than 1.1" in str(refusal.value)
    assert not isinstance(refusal.value, NoPeerError)


def test_no_tls_at_all_is_nobody(client: Client) -> None:
    """What a sender may fall back to RTP for, where nobody was trusted before."""

    async def run() -> None:
        trust = Trust(client.known)
        async with listener(Listening()) as plain:
            await connect_securely("127.0.0.1", plain.ports[0], Listening(), trust, client.said.append)

    with pytest.raises(NoPeerError, match=r"speaks no TLS|broke the connection off"):
        asyncio.run(run())

    async def answering() -> None:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"RTSP/1.0 400 Bad Request\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", client.port):
            await connect_securely("localhost", client.port, Listening(), Trust(client.known), print)

    with pytest.raises(NoPeerError, match=r"^localhost:\d+ speaks no TLS: without encryption it would be rtsp://$"):
        asyncio.run(answering())
    assert not client.known.trusted_before("localhost", client.port)


def test_our_own_two_ends(tmp_path: Path) -> None:
    own = identity(folder=tmp_path)
    said: list[str] = []

    async def run() -> None:
        server, client = Listening(), Listening()
        trust = Trust(KnownHosts(tmp_path / "known_hosts"))
        async with listener(server, tls=server_context(own)) as listening:
            for _ in range(2):
                connection = await connect_securely("127.0.0.1", listening.ports[0], client, trust, said.append)
                connection.send(Request("OPTIONS", "*", Headers.of(("CSeq", "1"))))
                await client.until(lambda: bool(client.heard))
                assert client.heard.pop() == Response(200, Headers.of(("CSeq", "1")))
                connection.close()
            await server.until(lambda: len(server.ends) == 2)

    asyncio.run(run())
    assert len(said) == 1
    assert said[0].endswith(own.fingerprint)


def test_a_key_that_does_not_belong_to_the_certificate(tmp_path: Path) -> None:
    first, second = certificates.self_signed(tmp_path, "first"), certificates.self_signed(tmp_path, "second")
    given = identity(str(first.certificate), str(second.key))
    with pytest.raises(ResourceError, match=r"second\.key is no key for the certificate in .*first\.pem"):
        server_context(given)


def test_a_key_with_a_passphrase_is_not_asked_for(tmp_path: Path) -> None:
    pair = certificates.self_signed(tmp_path)
    locked = tmp_path / "locked.key"
    certificates._run("openssl", "ec", "-in", pair.key, "-aes256", "-passout", "pass:word", "-out", locked)
    locked.chmod(0o600)
    with pytest.raises(ResourceError, match="the key needs a passphrase: give one without"):
        server_context(identity(str(pair.certificate), str(locked)))


def test_openssl_sees_our_certificate_and_can_pin_it(tmp_path: Path) -> None:
    own = identity(folder=tmp_path)

    def look(port: int) -> str:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", own.certificate]
        command += ["-verify_return_error", "-verify_ip", "127.0.0.1"]
        return subprocess.run(
            list(map(str, command)), input="", capture_output=True, text=True, timeout=10, check=False
        ).stdout

    async def run() -> str:
        async with listener(Listening(), tls=server_context(own)) as listening:
            return await asyncio.to_thread(look, listening.ports[0])

    said = asyncio.run(run())
    assert "Verify return code: 0 (ok)" in said or "Verification: OK" in said
