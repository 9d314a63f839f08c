"""Known senders have queues of their own, over loopback."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from protocol.datagram import Batch
from receiver.config import Listen
from receiver.sockets import LINUX
from receiver.steering import MOST
from receiver.transport import Transport, UdpPath, open_transport
from tests.robustness.junk import rtp

pytestmark = pytest.mark.skipif(not LINUX, reason="steering is Linux's")

SECOND = 1_000_000_000
KNOWN, STRANGE = 0x8000_0001, 0x8000_0002

Families = pytest.mark.parametrize(
    ("listens", "address"), [("127.0.0.1", "127.0.0.1"), (None, "127.0.0.1"), ("::1", "::1"), (None, "::1")]
)


@pytest.fixture
def transport() -> Iterator[Transport]:
    with open_transport(Listen("127.0.0.1", (0,))) as opened:
        yield opened


def peer(address: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 0))
    return sock


def number(n: int, ssrc: int = KNOWN, size: int = 100) -> bytes:
    return rtp(ssrc, n, n, 96, bytes(size))


def read(transport: Transport, count: int) -> list[Batch]:
    """Until `count` datagrams have come, or 2 s have passed. Their buffers are copied."""
    end = time.monotonic_ns() + 2 * SECOND
    found: list[Batch] = []
    while sum(map(len, found)) < count and time.monotonic_ns() < end:
        found += [_copied(batch) for batch in transport.receive(end)]
    return found


def _copied(batch: Batch) -> Batch:
    return Batch(
        batch.buffer.copy(), batch.offsets, batch.lengths, batch.arrival_times, batch.path, batch.kernel_drops,
        batch.drops_exact, batch.steered,
    )  # fmt: skip


def found(batches: list[Batch], *, steered: bool) -> list[bytes]:
    return [batch.datagram(i) for batch in batches if batch.steered == steered for i in range(len(batch))]


def path(transport: Transport, sock: socket.socket) -> UdpPath:
    """As the transport itself has it."""
    sock.sendto(b"who", (sock.getsockname()[0], transport.ports[0]))
    (batch,) = read(transport, 1)
    assert isinstance(batch.path, UdpPath)
    return batch.path


@Families
def test_what_comes_from_a_known_address_is_steered_and_nothing_else(listens: str | None, address: str) -> None:
    with open_transport(Listen(listens, (0,))) as transport, peer(address) as friend, peer(address) as other:
        transport.steer({path(transport, friend)})
        to = (address, transport.ports[0])
        good = [number(1), b"", bytes(9000), number(2)]
        for datagram in good:
            friend.sendto(datagram, to)
            other.sendto(datagram, to)
        batches = read(transport, 2 * len(good))
        assert found(batches, steered=True) == found(batches, steered=False) == good


def test_nothing_is_read_out_of_order_when_a_stream_becomes_known(transport: Transport) -> None:
    with peer() as friend:
        way, to = path(transport, friend), ("127.0.0.1", transport.ports[0])
        for n in range(1000):  # several reads' worth
            friend.sendto(number(n), to)
        transport.steer({way})
        for n in range(1000, 1200):
            friend.sendto(number(n), to)
        batches = read(transport, 1200)
    order = [batch.datagram(i)[2:4] for batch in batches for i in range(len(batch))]
    assert order == [n.to_bytes(2) for n in range(1200)]
    assert len(found(batches, steered=True)) == 200


def test_a_flood_fills_another_queue_than_a_known_streams(transport: Transport) -> None:
    with peer() as friend, peer() as enemy:
        way, to = path(transport, friend), ("127.0.0.1", transport.ports[0])
        transport.steer({way})
        for n in range(20_000):
            enemy.sendto(number(n, STRANGE, 1000), to)
            if n % 100 == 0:
                friend.sendto(number(n), to)
        dropped = transport.kernel_drops_total()
        assert dropped
        batches = read(transport, 20_200 - dropped)
    assert found(batches, steered=True) == [number(n) for n in range(0, 20_000, 100)]
    assert sum(batch.kernel_drops for batch in batches if batch.steered) == 0
    last = transport.kernel_drops_total()
    assert last == dropped


def test_a_port_of_ours_stays_taken(transport: Transport) -> None:
    with peer() as friend:
        transport.steer({path(transport, friend)})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as another, pytest.raises(OSError, match="in use"):
        another.bind(("127.0.0.1", transport.ports[0]))


def test_of_a_broadcast_one_copy_comes() -> None:
    with open_transport(Listen("0.0.0.0", (0,))) as transport, peer() as friend:
        transport.steer({path(transport, friend)})
        friend.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        try:
            friend.sendto(number(1), ("127.255.255.255", transport.ports[0]))
        except OSError as error:
            pytest.skip(f"no broadcast on the loopback interface here: {error}")
        friend.sendto(number(2), ("127.0.0.1", transport.ports[0]))
        batches = read(transport, 2)
        assert sorted(found(batches, steered=False) + found(batches, steered=True)) == [number(1), number(2)]
        assert not sum(map(len, transport.receive(time.monotonic_ns() + SECOND // 20)))


def test_known_senders_are_as_many_as_there_are_queues(transport: Transport) -> None:
    friends = [peer() for _ in range(MOST + 10)]
    try:
        transport.steer({path(transport, friend) for friend in friends})
        for n, friend in enumerate(friends):
            friend.sendto(number(n), ("127.0.0.1", transport.ports[0]))
        batches = read(transport, len(friends))
    finally:
        for friend in friends:
            friend.close()
    assert len(found(batches, steered=True)) == MOST
    assert len(found(batches, steered=False)) == 10


def test_one_that_is_known_no_longer_comes_through_the_common_queue(transport: Transport) -> None:
    with peer() as friend:
        transport.steer({path(transport, friend)})
        transport.steer(set())
        friend.sendto(number(1), ("127.0.0.1", transport.ports[0]))
        assert found(read(transport, 1), steered=False) == [number(1)]
