"""Packets of TCP connections on their way to the network thread, and sockets that come and go while it runs."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from protocol.datagram import Batch, Transmission
from receiver import lanes
from receiver.config import Listen
from receiver.queue import UdpPath
from receiver.sockets import open_socket
from receiver.transport import Transport, open_transport

PEER = ("192.0.2.1", 40_000)
NOW = 7_000_000_000


@pytest.fixture
def transport() -> Iterator[Transport]:
    with open_transport(Listen(ports=())) as opened:
        yield opened


def contents(batches: list[Batch]) -> list[bytes]:
    return [batch.datagram(i) for batch in batches for i in range(len(batch))]


def ignore(packets: Sequence[bytes]) -> None:
    """Nobody asked for answers."""


def soon() -> int:
    return time.monotonic_ns() + 2_000_000_000


def test_packets_come_with_their_path_and_the_moment_they_were_read(transport: Transport) -> None:
    path = transport.lanes.open(PEER, ignore)
    transport.lanes.put(path, [b"one", b"two"], NOW)
    transport.lanes.put(path, [b"three"], NOW + 5)
    (batch,) = transport.lanes.take()
    assert contents([batch]) == [b"one", b"two", b"three"]
    assert batch.arrival_times.tolist() == [NOW, NOW, NOW + 5]
    assert batch.path == path


def test_a_packet_wakes_whoever_waits(transport: Transport) -> None:
    path = transport.lanes.open(PEER, ignore)
    timer = threading.Timer(0.1, transport.lanes.put, (path, [b"late"], NOW))
    timer.start()
    found: list[Batch] = []
    end = soon()
    while not found and time.monotonic_ns() < end:
        transport.receive(end)
        found = transport.lanes.take()
    timer.join()
    assert contents(found) == [b"late"]


def test_what_comes_after_a_command_is_taken_after_it(transport: Transport) -> None:
    given = 0
    transport.lanes.commands = lambda: given
    path = transport.lanes.open(PEER, ignore)
    transport.lanes.put(path, [b"before"], NOW)
    given = 1
    transport.lanes.put(path, [b"between"], NOW)
    given = 2
    transport.lanes.put(path, [b"after"], NOW)
    assert contents(transport.lanes.take(0)) == [b"before"]
    assert contents(transport.lanes.take(0)) == []
    assert contents(transport.lanes.take(2)) == [b"between", b"after"]


def test_a_full_lane_drops_what_comes_and_says_where(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "ROOM", 10)
    path, other = (transport.lanes.open(PEER, ignore) for _ in range(2))
    transport.lanes.put(path, [b"12345", b"12345"], NOW)
    transport.lanes.put(path, [b"x", b"y"], NOW)
    transport.lanes.put(other, [b"z"], NOW)
    first, rest, third = transport.lanes.take()
    assert (contents([first]), first.kernel_drops) == ([b"12345", b"12345"], 0)
    assert (contents([rest]), rest.kernel_drops, rest.drops_exact) == ([], 2, True)
    assert (contents([third]), third.kernel_drops) == ([b"z"], 0)
    assert transport.kernel_drops_total() == 2
    transport.lanes.put(path, [b"again"], NOW)
    assert contents(transport.lanes.take()) == [b"again"]


def test_all_lanes_together_are_bounded(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "ROOM_OF_ALL", 10)
    paths = [transport.lanes.open(PEER, ignore) for _ in range(3)]
    for path in paths:
        transport.lanes.put(path, [b"12345"], NOW)
    assert transport.lanes.dropped == 1
    transport.lanes.close(paths[0])
    transport.lanes.put(paths[2], [b"12345"], NOW)
    assert transport.lanes.dropped == 1
    assert len(contents(transport.lanes.take())) == 2


def test_answers_go_into_the_connection(transport: Transport) -> None:
    said: list[Sequence[bytes]] = []
    path = transport.lanes.open(PEER, said.append)
    assert transport.send(Transmission([b"report"], path)) == 1
    assert said == [[b"report"]]
    transport.lanes.close(path)
    assert transport.send(Transmission([b"report"], path)) == 0
    assert transport.not_sent == 1


def test_numbers_of_lanes_are_no_udp_ports_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    free = _free_port(lanes.FIRST)
    monkeypatch.setattr(lanes, "FIRST", free)
    monkeypatch.setattr(lanes, "LAST", free + 1)
    with open_transport(Listen("127.0.0.1", (free,))) as transport:
        transport.lanes._next = free
        assert transport.lanes.open(PEER, ignore).port == free + 1
        with pytest.raises(lanes.ResourceError):
            transport.lanes.open(PEER, ignore)


def _free_port(first: int) -> int:
    for port in range(first, 65_000):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def test_sockets_come_and_go(transport: Transport) -> None:
    sock = open_socket("127.0.0.1", 0, interface=None, family=0, gro=True)
    port = sock.getsockname()[1]
    transport.add(sock)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.sendto(b"hello", ("127.0.0.1", port))
        (batch,) = transport.receive(soon())
        assert contents([batch]) == [b"hello"]
        assert batch.path == UdpPath(port, peer.getsockname())
        transport.remove(port)
        assert sock.fileno() == -1
        assert transport.ports == ()
        transport.remove(port)
        assert transport.send(Transmission([b"too late"], batch.path)) == 0
        assert transport.receive(time.monotonic_ns()) == []


def test_more_open_files_than_select_can_wait_for(transport: Transport) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip("this system allows no more than 1024 open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    fill = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(1024)]
    try:
        sock = open_socket("127.0.0.1", 0, interface=None, family=0, gro=True)
        transport.add(sock)
        fill[0].sendto(b"hello", sock.getsockname())
        assert contents(transport.receive(soon())) == [b"hello"]
    finally:
        for one in fill:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
