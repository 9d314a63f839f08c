"""A listening program and those who connect to it: well-behaved, slow, silent, many."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from protocol.control.connect import connect
from protocol.control.connection import Connection
from protocol.control.limits import Limits
from protocol.control.listening import open_sockets
from protocol.errors import NoPeerError, ResourceError, UsageError
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Interleaved, Request, Response
from tests.support import certificates
from tests.support.control import Listening, eventually, listener

OPTIONS = Request("OPTIONS", "*", Headers.of(("CSeq", "1")))
QUICK = Limits(first_byte=0.2, request=0.3, idle=0.4, look=0.05)


@pytest.fixture
def server_tls(tmp_path: Path) -> ssl.SSLContext:
    pair = certificates.self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def client_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.mark.parametrize("over_tls", [False, True])
def test_a_request_its_answer_and_media_on_one_port(over_tls: bool, server_tls: ssl.SSLContext) -> None:
    async def run() -> None:
        server, client = Listening(), Listening()
        async with listener(server, tls=server_tls) as listening:
            connection = await connect("127.0.0.1", listening.ports[0], client, tls=client_tls() if over_tls else None)
            connection.send(OPTIONS)
            await client.until(lambda: bool(client.heard))
            assert client.heard == [Response(200, OPTIONS.headers)]
            assert (connection.tls, server.connections[0].tls) == (over_tls, over_tls)
            assert server.connections[0].peer == connection.local
            assert server.connections[0].local == connection.peer == ("127.0.0.1", listening.ports[0])
            assert server.connections[0].send_interleaved(2, [b"first", b"second"]) == 2
            await client.until(lambda: len(client.heard) == 3)
            assert client.heard[1:] == [Interleaved(2, b"first"), Interleaved(2, b"second")]
            connection.close()
            await server.until(lambda: bool(server.ends))
        assert (server.ends, client.ends) == (["the other end closed it"], ["closed here"])

    asyncio.run(run())


def test_openssl_is_answered(server_tls: ssl.SSLContext) -> None:
    """The handshake of another program, TLS 1.2 and 1.3."""

    def ask(port: int, version: str) -> str:
        return subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", version, "-quiet", "-ign_eof"],
            input="OPTIONS * RTSP/1.0\r\nCSeq: 7\r\nConnection: close\r\n\r\n",
            capture_output=True, text=True, timeout=10, check=False,
        ).stdout  # fmt: skip

    def answer(connection: Connection, request: Request) -> Response:
        asyncio.get_running_loop().call_soon(connection.close)
        return Response(200, request.headers)

    async def run() -> None:
        async with listener(Listening(answer), tls=server_tls) as listening:
            for version in ("-tls1_2", "-tls1_3"):
                said = await asyncio.to_thread(ask, listening.ports[0], version)
                assert said.startswith("RTSP/1.0 200 OK\nCSeq: 7\n")

    asyncio.run(run())


def test_tls_is_refused_where_there_is_no_certificate() -> None:
    async def run() -> None:
        server = Listening()
        async with listener(server) as listening:
            with pytest.raises((ssl.SSLError, NoPeerError)):
                await connect("127.0.0.1", listening.ports[0], Listening(), tls=client_tls())
        assert server.connections == []

    asyncio.run(run())


def test_what_is_no_rtsp_gets_400_and_the_door() -> None:
    async def run() -> None:
        server = Listening()
        async with listener(server) as listening:
            reader, writer = await asyncio.open_connection("127.0.0.1", listening.ports[0])
            writer.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\nGET / HTTP/1.1\r\nHost: here\r\n\r\n")
            async with asyncio.timeout(5):
                said = await reader.read()
            writer.close()
            await server.until(lambda: bool(server.ends))
        assert said.startswith(b"RTSP/1.0 200 OK\r\n")
        assert b"RTSP/1.0 400 Bad Request\r\n" in said
        assert server.ends[0].startswith("what came is no RTSP (rtsp_")

    asyncio.run(run())


def told(what: bytes, limits: Limits, tls: ssl.SSLContext | None = None, every: float = 0.0) -> tuple[float, int, int]:
    """Say this, a byte each so many seconds if that is not 0 → (s until the connection was closed, how many were
    counted as silent and as idle)."""

    async def run() -> tuple[float, int, int]:
        loop = asyncio.get_running_loop()
        async with listener(Listening(), tls=tls, limits=limits) as listening:
            reader, writer = await asyncio.open_connection("127.0.0.1", listening.ports[0])
            begin = loop.time()

            async def drip() -> None:
                for byte in what:
                    writer.write(bytes([byte]))
                    await asyncio.sleep(every)

            talking = asyncio.create_task(drip())
            async with asyncio.timeout(8):
                with_answer = await reader.read()
            talking.cancel()
            writer.close()
            await asyncio.sleep(0.05)
            counts = listening.counts
            assert listening._admission.open == 0
            assert not with_answer or with_answer.startswith(b"RTSP/1.0 200")
            return loop.time() - begin, counts.silent + counts.tls_failed, counts.idle

    return asyncio.run(run())


def test_silence_is_not_waited_for(server_tls: ssl.SSLContext) -> None:
    for what, tls in ((b"", None), (b"OPT", None), (b"\x16\x03\x01", server_tls)):
        lasted, silent, idle = told(what, QUICK, tls)
        assert (silent, idle) == (1, 0)
        assert lasted < 1.5


def test_a_drop_now_and_then_is_silence_too() -> None:
    """Slow loris: bytes keep coming, no request does."""
    lasted, silent, _ = told(b"OPTIONS * RTSP/1.0\r\n" + b"X: y\r\n" * 1000, QUICK, every=0.02)
    assert silent == 1
    assert lasted < 1.5


def test_the_second_request_may_not_drip_either() -> None:
    request = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"

    async def run() -> None:
        server = Listening()
        async with listener(server, limits=Limits(request=0.3, look=0.05)) as listening:
            reader, writer = await asyncio.open_connection("127.0.0.1", listening.ports[0])
            writer.write(request + request[:9])
            async with asyncio.timeout(5):
                assert (await reader.read()).count(b"200 OK") == 1
            writer.close()
        assert server.ends == ["no whole request came"]

    asyncio.run(run())


def test_idle_connections_end_unless_they_are_kept() -> None:
    lasted, silent, idle = told(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", QUICK)
    assert (silent, idle) == (0, 1)
    assert 0.4 < lasted < 1.5

    async def kept() -> None:
        server = Listening()
        async with listener(server, limits=QUICK) as listening:
            connection = await connect("127.0.0.1", listening.ports[0], Listening())
            connection.send(OPTIONS)
            await server.until(lambda: bool(server.heard))
            server.connections[0].kept = True
            await asyncio.sleep(0.8)
            assert not connection.closed

    asyncio.run(kept())


def test_five_hundred_idle_connections_leave_room_again() -> None:
    """As many as there may be stand and say nothing; the next is closed at once; a moment later all is free."""

    async def run() -> None:
        server = Listening()
        limits = Limits(connections=50, first_byte=0.5, look=0.05)
        async with listener(server, limits=limits) as listening:
            port = listening.ports[0]
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(50)]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.timeout(5):
                assert await reader.read() == b""
            writer.close()
            assert listening.counts.refused == {"full": 1}
            await eventually(lambda: listening.counts.silent == 50, "closing the silent ones")
            connection = await connect("127.0.0.1", port, Listening())
            connection.send(OPTIONS)
            await server.until(lambda: bool(server.heard))
            for _, other in silent:
                other.close()

    asyncio.run(run())


def test_more_than_a_second_may_bring_wait_in_the_systems_queue() -> None:
    async def run() -> None:
        server = Listening()
        async with listener(server, limits=Limits(accepts=5, accept_rate=10)) as listening:
            connections = [await connect("127.0.0.1", listening.ports[0], Listening()) for _ in range(12)]
            for connection in connections:
                connection.send(OPTIONS)
            await server.until(lambda: len(server.heard) >= 5)
            assert 5 <= len(server.heard) < 8
            await server.until(lambda: len(server.heard) == 12)

    asyncio.run(run())


def test_handshakes_have_a_rate_of_their_own(server_tls: ssl.SSLContext) -> None:
    """They are what a stranger can make us work for; who speaks plainly does not wait for them."""

    async def run() -> None:
        server = Listening()
        limits = Limits(handshakes=3, handshake_rate=10.0)
        async with listener(server, tls=server_tls, limits=limits) as listening:
            port, loop = listening.ports[0], asyncio.get_running_loop()
            begin = loop.time()
            greeting = [
                asyncio.create_task(connect("127.0.0.1", port, Listening(), tls=client_tls())) for _ in range(8)
            ]
            while not any(task.done() for task in greeting):
                await asyncio.sleep(0.01)
            plain = await connect("127.0.0.1", port, Listening())
            plain.send(OPTIONS)
            await server.until(lambda: bool(server.heard))
            assert not all(task.done() for task in greeting)
            connections = await asyncio.gather(*greeting)
            assert loop.time() - begin >= 0.4
            assert listening.counts.accepted == 9
            for connection in (plain, *connections):
                connection.close()
            await server.until(lambda: len(server.ends) == 9)

    asyncio.run(run())


def test_media_that_nobody_reads_are_dropped_whole_and_counted() -> None:
    async def run() -> None:
        server = Listening()
        async with listener(server) as listening:
            reader, writer = await asyncio.open_connection("127.0.0.1", listening.ports[0], limit=1)
            writer.transport.pause_reading()
            writer.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
            await server.until(lambda: bool(server.heard))
            connection = server.connections[0]
            sent = 0
            for number in range(20_000):
                sent += connection.send_interleaved(0, [number.to_bytes(2) * 600])
                await asyncio.sleep(0)
            assert connection.waiting <= connection.media_buffer
            assert connection.dropped == 20_000 - sent > 1000
            connection.close()
            writer.transport.resume_reading()
            async with asyncio.timeout(5):
                said = await reader.read()
            writer.close()
        _, _, media = said.partition(b"\r\n\r\n")
        assert len(media) == sent * 1204  # nothing is cut

    asyncio.run(run())


def test_answers_nobody_reads_end_the_connection() -> None:
    async def run() -> None:
        server = Listening(lambda _, request: Response(200, request.headers, b"x" * 60_000))
        async with listener(server) as listening:
            _, writer = await asyncio.open_connection("127.0.0.1", listening.ports[0], limit=1)
            writer.transport.pause_reading()
            writer.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" * 90)
            await server.until(lambda: bool(server.ends))
            assert server.ends == ["it does not read what it asked for"]
            writer.close()

    asyncio.run(run())


def test_nobody_there(free_port: Callable[[], int]) -> None:
    with pytest.raises(NoPeerError, match=r"^nobody listens on TCP port \d+ of localhost$"):
        asyncio.run(connect("localhost", free_port(), Listening))
    with pytest.raises(UsageError, match=r"^no such host: nowhere\.invalid; check the name or give its address$"):
        asyncio.run(connect("nowhere.invalid", 1, Listening))


def test_a_host_that_says_nothing_is_not_waited_for() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]

        async def run() -> None:
            for _ in range(4):  # the queue holds a few
                await connect("127.0.0.1", port, Listening(), tls=client_tls(), timeout=0.3)

        with pytest.raises(NoPeerError, match="no answer from TCP port"):
            asyncio.run(run())


def test_a_port_in_use_names_the_way_out() -> None:
    (sock,) = open_sockets("127.0.0.1", 0, "")
    with sock, pytest.raises(ResourceError, match=r"^TCP port \d+ is in use: stop the other program, or say --port N$"):
        open_sockets("127.0.0.1", sock.getsockname()[1], "say --port N")
    with pytest.raises(UsageError, match=r"^192\.0\.2\.1 is not an address of this machine"):
        open_sockets("192.0.2.1", 0, "")


def test_without_an_address_both_families_are_heard() -> None:
    async def run() -> None:
        for sock in (sockets := open_sockets(None, 0, "")):
            port = sock.getsockname()[1]
        server = Listening()
        from protocol.control.listening import Listener

        listening = Listener(sockets, server)
        listening.start()
        for host in ("127.0.0.1", "::1"):
            connection = await connect(host, port, Listening())
            connection.send(OPTIONS)
            await server.until(lambda host=host: bool(server.connections) and server.connections[-1].peer[0] == host)
        listening.close()
        await asyncio.sleep(0.05)

    asyncio.run(run())


@pytest.fixture
def free_port() -> Callable[[], int]:
    def find() -> int:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            return int(sock.getsockname()[1])

    return find
