"""The sender's sockets over loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from protocol.datagram import Transmission
from protocol.errors import ResourceError, UsageError
from sender.config import SenderConfig, Target
from sender.transport import Transport

SECOND = 1_000_000_000


@contextmanager
def listening(host: str = "127.0.0.1", port: int = 0) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_DGRAM)) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        try:
            opened.bind((host, port))
        except OSError as error:
            pytest.skip(f"cannot bind to {host}: {error}")
        opened.settimeout(2)
        yield opened


@contextmanager
def sending(*targets: Target, **options: object) -> Iterator[Transport]:
    with closing(Transport(SenderConfig(targets, **options))) as transport:  # type: ignore[arg-type]
        yield transport


def port_of(opened: socket.socket) -> int:
    return int(opened.getsockname()[1])


def free_port() -> int:
    with listening() as opened:
        return port_of(opened)


def free_block() -> int:
    """The first of four ports that are free now."""
    for _ in range(50):
        first = free_port()
        with ExitStack() as stack:
            try:
                for offset in range(4):
                    probe = stack.enter_context(closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
                    probe.bind(("127.0.0.1", first + offset))
            except (OSError, OverflowError):
                continue
            return first
    pytest.skip("no four free ports in a row")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_datagrams_arrive_whole_and_in_order(host: str) -> None:
    with listening(host) as peer, sending(Target(host, port_of(peer))) as transport:
        datagrams = [bytes([n]) * size for n, size in enumerate([1200, 1200, 700, 1200, 1, 1100, 1100])]
        assert transport.send(Transmission(datagrams, transport.targets[0].rtp("video"))) == []
        assert [peer.recv(2048) for _ in datagrams] == datagrams


def test_large_batches_at_a_high_rate_arrive_as_separate_datagrams() -> None:
    with listening() as peer, sending(Target("127.0.0.1", port_of(peer))) as transport:
        path = transport.targets[0].rtp("video")
        sent = []
        end = time.monotonic() + 0.3  # long enough for the transport to see the rate
        for number in range(100_000):
            datagrams = [number.to_bytes(4) + bytes([n]) * 1196 for n in range(70)] + [b"short"]
            assert transport.send(Transmission(datagrams, path)) == []
            assert [peer.recv(2048) for _ in datagrams] == datagrams
            sent.append(number)
            if time.monotonic() > end:
                break
        assert len(sent) > 10


def test_what_comes_back_is_handed_out_by_target() -> None:
    with ExitStack() as stack:
        peers = [stack.enter_context(listening()) for _ in range(2)]
        transport = stack.enter_context(sending(*(Target("127.0.0.1", port_of(peer)) for peer in peers)))
        for index, peer in enumerate(peers):
            transport.send(Transmission([b"media"], transport.targets[index].rtp("video")))
            _, address = peer.recvfrom(100)
            peer.sendto(b"answer %d" % index, address)
        answers = {}
        while len(answers) < 2:
            for target, batch in transport.wait(2 * SECOND):
                assert batch.arrival_times[0] <= time.monotonic_ns()
                answers[target] = batch.datagram(0)
        assert answers == {0: b"answer 0", 1: b"answer 1"}


def test_the_classical_layout_uses_four_ports_from_an_even_and_the_next_odd_one() -> None:
    first = free_block()
    with ExitStack() as stack:
        peers = [stack.enter_context(listening("127.0.0.1", first + offset)) for offset in range(4)]
        transport = stack.enter_context(sending(Target("127.0.0.1", first, classical=True)))
        to = transport.targets[0]
        sources = []
        for peer, path in zip(
            peers, (to.rtp("video"), to.rtcp("video"), to.rtp("audio"), to.rtcp("audio")), strict=True
        ):
            transport.send(Transmission([b"x"], path))
            sources.append(peer.recvfrom(10)[1][1])
        assert sources[0] == sources[2]
        assert sources[0] % 2 == 0
        assert sources[1] == sources[3] == sources[0] + 1


def test_reports_go_elsewhere_when_asked() -> None:
    with ExitStack() as stack:
        peer, reports = (stack.enter_context(listening()) for _ in range(2))
        elsewhere = ("127.0.0.1", port_of(reports))
        transport = stack.enter_context(sending(Target("127.0.0.1", port_of(peer)), rtcp_to=elsewhere))
        transport.send(Transmission([b"report"], transport.targets[0].rtcp("video")))
        assert reports.recv(100) == b"report"


def test_a_refusal_names_the_path_and_a_receiver_that_comes_later_gets_everything() -> None:
    port = free_port()
    with sending(Target("127.0.0.1", port)) as transport:
        path = transport.targets[0].rtp("video")
        transport.send(Transmission([b"lost"], path))
        transport.wait(SECOND)
        (refusal,) = transport.unreachable()
        assert refusal.path == path
        assert "refused" in refusal.why
        assert transport.unreachable() == []
        transport.send(Transmission([b"lost"], path))
        with listening("127.0.0.1", port) as peer:
            assert transport.send(Transmission([b"one", b"two"], path)) == []
            assert [peer.recv(10), peer.recv(10)] == [b"one", b"two"]


def test_what_the_system_does_not_take_comes_back() -> None:
    with listening() as peer, sending(Target("127.0.0.1", port_of(peer))) as transport:
        unsent = transport.send(Transmission([b"good", bytes(70_000), b"good too"], transport.targets[0].rtp("video")))
        assert [len(datagram) for datagram in unsent] == [70_000]
        assert transport.errors == {"EMSGSIZE": 1}
        assert [peer.recv(100), peer.recv(100)] == [b"good", b"good too"]


def test_another_thread_can_wake_it() -> None:
    with sending(Target("127.0.0.1", free_port())) as transport:
        timer = threading.Timer(0.05, transport.wake)
        timer.start()
        start = time.monotonic()
        assert transport.wait(10 * SECOND) == []
        assert time.monotonic() - start < 5
        timer.join()
        assert transport.wait(0) == []


def test_multicast_reaches_a_member_of_the_group() -> None:
    group, port = "239.255.77.3", free_port()
    with listening("", port) as peer:
        membership = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
        peer.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        with sending(Target(group, port), interface="lo", ttl=3, bind="127.0.0.1") as transport:
            to = transport.targets[0]
            assert to.multicast
            if transport.send(Transmission([b"to all"], to.rtp("video"))):
                pytest.skip(f"no multicast on loopback: {transport.errors}")
            assert peer.recv(100) == b"to all"


@pytest.mark.skipif(not hasattr(socket, "IP_RECVTOS"), reason="this system does not show what it received")
def test_the_traffic_class_is_set() -> None:
    with listening() as peer, sending(Target("127.0.0.1", port_of(peer)), dscp=46) as transport:
        peer.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        transport.send(Transmission([b"x"], transport.targets[0].rtp("video")))
        ((_, _, value),) = peer.recvmsg(10, 64)[1]
        assert value[0] == 46 << 2


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"targets": (Target("no-such-host.invalid", 5004),)}, UsageError, "no such host"),
        ({"targets": (Target("127.0.0.1", 5004),), "family": 6}, UsageError, "no such host with an IPv6 address"),
        ({"targets": (Target("127.0.0.1", 5004),), "interface": "nosuch0"}, UsageError, "no such network interface"),
        ({"targets": (Target("127.0.0.1", 5004),), "bind": "192.0.2.1"}, ResourceError, "cannot bind to 192.0.2.1"),
        ({"targets": (Target("127.0.0.1", 65_534, True),)}, UsageError, "choose one below 65533"),
    ],
)
def test_what_does_not_exist_is_one_line(options: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        Transport(SenderConfig(**options))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
