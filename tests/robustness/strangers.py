"""Connections that nobody should make to an RTSP server, each kind from a process of its own:
`python -m tests.robustness.strangers KIND PORT SECONDS` prints what it did."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping

LOCAL = "127.0.0.1"
_NO_TRACE = struct.pack("ii", 1, 0)
"""Ends at once: thousands of ports in TIME-WAIT would be in other tests' way."""
CLIENT_HELLO = bytes.fromhex("1603010200010001fc0303")
"""the beginning of one."""

done: Counter[str] = Counter()


class Stranger:
    """One connection, to be made again and again."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cseq = itertools.count(1)

    @contextlib.asynccontextmanager
    async def connected(self) -> Iterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:  # type: ignore[misc]
        """Ends quietly however the connection does."""
        try:
            reader, writer = await asyncio.open_connection(LOCAL, self.port)
            done["connections"] += 1
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_TRACE)
            try:
                yield reader, writer
            finally:
                writer.transport.abort()
        except OSError:
            done["broken off"] += 1
            await asyncio.sleep(0.02)

    def request(self, method: str, *headers: str, path: str = "live", body: bytes = b"") -> bytes:
        lines = [f"{method} rtsp://{LOCAL}:{self.port}/{path} RTSP/1.0", f"CSeq: {next(self.cseq)}", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        done["requests"] += 1
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode() + body


async def silent(stranger: Stranger) -> None:
    async with stranger.connected() as (reader, _):
        await reader.read()


async def half_a_hello(stranger: Stranger) -> None:
    async with stranger.connected() as (reader, writer):
        writer.write(CLIENT_HELLO)
        await reader.read()


async def dripping(stranger: Stranger) -> None:
    """Slow loris."""
    async with stranger.connected() as (_, writer):
        writer.write(b"DESCRIBE rtsp://h/live RTSP/1.0\r\n")
        while not writer.is_closing():
            writer.write(b"X: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.1)


async def long_lines(stranger: Stranger) -> None:
    async with stranger.connected() as (reader, writer):
        writer.write(b"DESCRIBE rtsp://h/live RTSP/1.0\r\nX: " + b"x" * 1_000_000)
        await writer.drain()
        await reader.read()


async def coming_and_going(stranger: Stranger) -> None:
    async with stranger.connected():
        await asyncio.sleep(0.03)


async def asking(stranger: Stranger) -> None:
    """As fast as it is answered, twenty at once."""
    async with stranger.connected() as (reader, writer):
        while not reader.at_eof():
            writer.write(b"".join(stranger.request("DESCRIBE") for _ in range(20)))
            await writer.drain()
            await reader.read(1 << 16)


async def deaf(stranger: Stranger) -> None:
    """Asks and does not read."""
    async with stranger.connected() as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        while not writer.is_closing():
            writer.write(stranger.request("DESCRIBE") * 20)
            await writer.drain()
            await asyncio.sleep(0.01)


async def packets(stranger: Stranger) -> None:
    """Interleaved ones, of no session, as fast as they are taken."""
    async with stranger.connected() as (_, writer):
        while not writer.is_closing():
            writer.write((b"$\x00\x00\x0c" + bytes(12)) * 2000)
            writer.write(b"$\x00\x04\xb0" + bytes(1200))
            await writer.drain()
            await asyncio.sleep(0)


async def bodies(stranger: Stranger) -> None:
    """All of a large one but its last octet."""
    async with stranger.connected() as (reader, writer):
        writer.write(stranger.request("SET_PARAMETER", body=bytes(65_536))[:-1])
        await writer.drain()
        await reader.read()


async def hoarding(stranger: Stranger) -> None:
    """Sets up session after session, and plays none."""
    async with stranger.connected() as (reader, writer):
        while not reader.at_eof():
            offer = f"Transport: RTP/AVP;unicast;client_port={40000 + 2 * (next(stranger.cseq) % 9000)}-9"
            writer.write(stranger.request("SETUP", offer, path="live/track1"))
            await writer.drain()
            await reader.read(1 << 16)


async def announcing(stranger: Stranger) -> None:
    """Descriptions as long as they may be, first with too many lines, then with as many as may be."""
    async with stranger.connected() as (reader, writer):
        for lines in (1000, 480, 480, 480, 480):
            description = b"v=0\r\nm=video 0 RTP/AVP 26\r\n" + b"a=rtpmap:26 JPEG/90000\n" * lines
            writer.write(stranger.request("ANNOUNCE", "Content-Type: application/sdp", body=description))
            await writer.drain()
            await reader.read(1 << 16)
        await reader.read()


async def pushing(stranger: Stranger) -> None:
    """Announces and sets up, and never sends."""
    async with stranger.connected() as (reader, writer):
        description = b"v=0\r\nm=video 0 RTP/AVP 26\r\na=control:track1\r\n"
        while not reader.at_eof():
            name = f"stranger{next(stranger.cseq)}of{id(stranger)}"
            writer.write(stranger.request("ANNOUNCE", "Content-Type: application/sdp", path=name, body=description))
            offer = "Transport: RTP/AVP;unicast;client_port=40000-40001;mode=record"
            writer.write(stranger.request("SETUP", offer, path=f"{name}/track1"))
            await writer.drain()
            await reader.read(1 << 16)


KINDS: Mapping[str, tuple[Callable[[Stranger], Awaitable[None]], int]] = {
    "silent": (silent, 500),
    "half_a_hello": (half_a_hello, 200),
    "dripping": (dripping, 200),
    "long_lines": (long_lines, 20),
    "coming_and_going": (coming_and_going, 40),
    "asking": (asking, 8),
    "deaf": (deaf, 20),
    "packets": (packets, 4),
    "bodies": (bodies, 300),
    "hoarding": (hoarding, 50),
    "announcing": (announcing, 50),
    "pushing": (pushing, 50),
}
"""with how many of them there are at once."""


async def _again(act: Callable[[Stranger], Awaitable[None]], stranger: Stranger) -> None:
    while True:
        await act(stranger)


async def _all(kind: str, port: int, seconds: float) -> None:
    act, number = KINDS[kind]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_again(act, Stranger(port))) for _ in range(number)]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(_all(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
    print(dict(done))
