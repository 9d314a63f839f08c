"""The receiver's sockets, over loopback."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from protocol.datagram import Batch, Transmission
from protocol.errors import ResourceError, UsageError
from receiver import reading
from receiver.config import Listen
from receiver.sockets import LINUX
from receiver.transport import Transport, buffer_warning, open_transport

SECOND = 1_000_000_000
UDP_SEGMENT = 103


@pytest.fixture(autouse=True, params=["many", "plain"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds with recvmmsg and without."""
    if request.param == "plain":
        monkeypatch.setattr(reading, "_RECVMMSG", None)


@pytest.fixture
def transport() -> Iterator[Transport]:
    with open_transport(Listen("127.0.0.1", (0,))) as opened:
        yield opened


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(2)
        yield sock


def to(transport: Transport) -> tuple[str, int]:
    return "127.0.0.1", transport.ports[0]


def datagrams(batches: list[Batch]) -> list[bytes]:
    return [batch.datagram(i) for batch in batches for i in range(len(batch))]


def receive(transport: Transport, count: int) -> list[bytes]:
    """Datagrams until there are `count`, or 2 s have passed."""
    end = time.monotonic_ns() + 2 * SECOND
    found: list[bytes] = []
    while len(found) < count and time.monotonic_ns() < end:
        found += datagrams(transport.receive(end))
    return found


def test_datagrams_of_every_size_come_whole_and_in_order(transport: Transport, peer: socket.socket) -> None:
    sent = [bytes([n & 255]) * n for n in (0, 1, 12, 1200, 1472, 9000, 60_000)]
    for datagram in sent:
        peer.sendto(datagram, to(transport))
    assert receive(transport, len(sent)) == sent


@pytest.mark.skipif(not LINUX, reason="UDP_SEGMENT is Linux's")
@pytest.mark.parametrize("gro", [True, False])
def test_aggregates_are_split_into_the_datagrams_that_were_sent(peer: socket.socket, gro: bool) -> None:
    with open_transport(Listen("127.0.0.1", (0,)), gro=gro) as transport:
        sent: list[bytes] = []
        for size, count, rest in ((1000, 8, 500), (1200, 40, 0), (300, 1, 0), (999, 3, 1)):
            parts = [bytes([i + 1]) * size for i in range(count)] + ([b"r" * rest] if rest else [])
            control = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", size))] if len(parts) > 1 else []
            peer.sendmsg(parts, control, 0, to(transport))
            peer.sendto(b"single", to(transport))
            sent += [*parts, b"single"]
        assert receive(transport, len(sent)) == sent


def test_arrival_stamps_are_the_kernels_on_the_monotonic_clock(transport: Transport, peer: socket.socket) -> None:
    before = time.monotonic_ns()
    peer.sendto(b"x", to(transport))
    after = time.monotonic_ns()
    if LINUX:
        time.sleep(0.05)
    (batch,) = transport.receive(after + SECOND)
    arrival = int(batch.arrival_times[0])
    assert before - 1_000_000 <= arrival <= after + 1_000_000 or not LINUX
    assert arrival <= time.monotonic_ns()


def test_each_path_has_its_batch_and_answers_go_back_along_it(transport: Transport, peer: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        other.settimeout(2)
        for i in range(3):
            peer.sendto(b"p%d" % i, to(transport))
            other.sendto(b"o%d" % i, to(transport))
        time.sleep(0.02)
        batches = transport.receive(time.monotonic_ns() + SECOND)
        assert [datagrams([batch]) for batch in batches] == [[b"p0", b"p1", b"p2"], [b"o0", b"o1", b"o2"]]
        assert str(batches[1].path) == f"127.0.0.1:{other.getsockname()[1]}"
        assert transport.send(Transmission([b"back", b"again"], batches[1].path)) == 2
        assert other.recvfrom(100) == (b"back", to(transport))
        assert other.recv(100) == b"again"


def test_one_transport_hears_both_families_on_all_its_ports() -> None:
    with open_transport(Listen(None, (0, 0))) as transport:
        families = [(socket.AF_INET, "127.0.0.1")]
        if socket.has_ipv6 and ":" in str(transport.path_to("localhost", 9).address[0]):
            families.append((socket.AF_INET6, "::1"))
        for (family, host), port in itertools.product(families, transport.ports):
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.bind((host, 0))
                sock.settimeout(2)
                sock.sendto(b"ping", (host, port))
                (batch,) = transport.receive(time.monotonic_ns() + SECOND)
                assert batch.path.port == port  # type: ignore[attr-defined]
                transport.send(Transmission([b"pong"], batch.path))
                assert sock.recvfrom(10)[1][:2] == (host, port)


def test_answers_can_be_sent_to_a_named_place(transport: Transport, peer: socket.socket) -> None:
    transport.send(Transmission([b"report"], transport.path_to("127.0.0.1", peer.getsockname()[1])))
    assert peer.recv(100) == b"report"
    with pytest.raises(UsageError, match="no address found"):
        transport.path_to("no.such.host.invalid", 5004)


def test_it_waits_until_the_deadline_or_a_wake(transport: Transport) -> None:
    begin = time.monotonic_ns()
    assert transport.receive(begin + 30_000_000) == []
    assert time.monotonic_ns() >= begin + 30_000_000
    timer = threading.Timer(0.05, transport.wake)
    timer.start()
    assert transport.receive(None) == []
    timer.join()
    assert transport.receive(time.monotonic_ns()) == []


def test_many_wakes_never_block(transport: Transport) -> None:
    for _ in range(5000):
        transport.wake()
    assert transport.receive(None) == []


@pytest.mark.skipif(not LINUX, reason="SO_RXQ_OVFL is Linux's")
def test_drops_of_a_full_queue_are_counted_to_the_datagram(peer: socket.socket) -> None:
    with open_transport(Listen("127.0.0.1", (0,)), gro=False) as transport:
        sent = 2000
        for _ in range(sent):
            peer.sendto(bytes(30_000), to(transport))
        total = transport.kernel_drops_total()
        assert total is not None
        assert total > 0
        batches: list[Batch] = []
        count = drops = 0
        while batches := transport.receive(time.monotonic_ns()):
            count += sum(len(batch) for batch in batches)
            drops += sum(batch.kernel_drops for batch in batches)
        assert count + total == sent
        peer.sendto(b"after", to(transport))
        (batch,) = transport.receive(time.monotonic_ns() + SECOND)
        assert drops + batch.kernel_drops == total


def test_a_port_in_use_is_said_in_one_line(transport: Transport) -> None:
    port = transport.ports[0]
    message = f"UDP port {port} is in use; stop the other program or give another port"
    for host in ("127.0.0.1", None):
        with pytest.raises(ResourceError) as caught:
            open_transport(Listen(host, (port,)))
        assert str(caught.value) == message


@pytest.mark.parametrize(
    ("listen", "options", "message"),
    [
        (Listen("192.0.2.7", (0,)), {}, "192.0.2.7 is not an address of this machine"),
        (Listen("no.such.host.invalid", (0,)), {}, "no address found for no.such.host.invalid"),
        (Listen("127.0.0.1", (0,)), {"family": 6}, "no address found for 127.0.0.1"),
        (Listen(None, (0,)), {"interface": "nosuch0"}, "no network interface nosuch0; this machine has lo"),
    ],
)
def test_impossible_wishes_are_usage_errors(listen: Listen, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_transport(listen, **options)  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_interface_keeps_others_out(peer: socket.socket) -> None:
    try:
        transport = open_transport(Listen("127.0.0.1", (0,)), interface="lo")
    except (UsageError, ResourceError) as error:
        pytest.skip(str(error))
    with transport:
        peer.sendto(b"x", to(transport))
        assert receive(transport, 1) == [b"x"]


def multicast_sender(group: str, port: int) -> tuple[socket.socket, str]:
    """A socket that can send to the group, and through which interface: not every loopback has a route for IPv6's."""
    for index, name in socket.if_nameindex():
        kind = socket.AF_INET6 if ":" in group else socket.AF_INET
        sock = socket.socket(kind, socket.SOCK_DGRAM)
        try:
            if kind == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            else:
                member = socket.inet_aton(group) + socket.inet_aton("0.0.0.0") + struct.pack("@i", index)
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, member)
            sock.sendto(b"nobody listens yet", (group, port))
        except OSError:
            sock.close()
        else:
            return sock, name
    pytest.skip(f"no interface of this machine can send to {group}")


@pytest.mark.parametrize("group", ["239.255.77.7", "ff11::7707"])
def test_multicast_is_joined_on_the_interface(group: str) -> None:
    """TTL 1, and for IPv6 a scope that ends at this host (ff11, RFC 4291 §2.7)."""
    with open_transport(Listen(None, (0,))) as any_port:
        port = any_port.ports[0]
    sock, interface = multicast_sender(group, port)
    with (
        sock,
        open_transport(Listen(group, (port,)), interface=interface) as first,
        open_transport(Listen(group, (port,)), interface=interface) as second,
    ):
        sock.sendto(b"to all", (group, port))
        assert receive(first, 1) == [b"to all"]
        assert receive(second, 1) == [b"to all"]


def test_less_buffer_than_wanted_is_said(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(transport), "receive_buffer", 212_992)
    assert buffer_warning(transport) == (
        "receive buffer of 212 kB instead of 4000: raise net.core.rmem_max, or bursts get lost here"
    )
    monkeypatch.setattr(type(transport), "receive_buffer", 4_000_000)
    assert buffer_warning(transport) is None
