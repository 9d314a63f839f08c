"""Whose a datagram is that came to a port which all receivers share."""

from __future__ import annotations

from protocol.rtcp import compound
from protocol.rtcp.compound import RtcpPacket
from protocol.rtcp.nack import Nack
from protocol.rtcp.pli import PictureLossIndication
from protocol.rtcp.range import RangeAcknowledgement
from protocol.rtcp.report_block import ReportBlock
from protocol.rtcp.rr import ReceiverReport
from sender.clients import Clients, Track
from sender.paths import Path
from sender.resolve import SocketAddress

RTP, RTCP = 0, 1
"""our two sockets."""
HOST, OTHER = "192.0.2.7", "192.0.2.8"
PUNCH = b"\x80" + bytes(11)


def lead(path: Path, to: SocketAddress) -> None:
    path.address = to


def track(key: int, ssrc: int, port: int, host: str = HOST) -> Track:
    return Track({ssrc}, Path(key, RTP, (host, port), True), Path(key, RTCP, (host, port + 1), False))


def report(ssrc: int) -> bytes:
    return rtcp(ReceiverReport(9, (ReportBlock(ssrc, 0, 0, 0, 0, 0, 0),)))


def rtcp(*packets: RtcpPacket) -> bytes:
    return compound.serialize(packets)


def make(*tracks: tuple[int, Track]) -> Clients:
    clients = Clients(lead)
    for key, each in tracks:
        clients.add(key, each)
    return clients


def test_by_the_ports_that_were_declared() -> None:
    clients = make((1, track(1, 0xA, 5000)), (2, track(2, 0xB, 6000)))
    assert clients.find(RTCP, (HOST, 5001), [b"whatever"]) == 1
    assert clients.find(RTP, (HOST, 6000), [b"whatever"]) == 2
    assert clients.find(RTCP, (OTHER, 5001), [b"whatever"]) is None


def test_by_what_reports_are_about_and_then_by_their_source() -> None:
    one, two = track(1, 0xA, 5000), track(2, 0xB, 6000)
    clients = make((1, one), (2, two))
    assert clients.find(RTCP, (HOST, 5001), [PUNCH]) == 1
    assert clients.find(RTCP, (HOST, 40_000), [PUNCH, report(0xB)]) == 2
    assert two.rtcp.address == (HOST, 40_000)
    assert two.rtp.address == (HOST, 6000), "media arrives: there is something to report"
    assert clients.find(RTCP, (HOST, 40_000), [b"whatever"]) == 2
    assert clients.find(RTCP, (HOST, 6001), [PUNCH]) is None, "it is not there any more, and nobody else is"


def test_every_kind_of_feedback_names_its_subject() -> None:
    for packet in (PictureLossIndication(9, 0xA), Nack(9, 0xA, (1,)), RangeAcknowledgement(9, 0xA, 7).to_app()):
        clients = make((1, track(1, 0xA, 5000)), (2, track(2, 0xB, 6000)))
        assert clients.find(RTCP, (HOST, 40_000), [rtcp(ReceiverReport(9), packet)]) == 1


def test_media_follow_what_comes_to_their_own_port() -> None:
    """With an SSRC, as our receiver opens the way; or without, in the order of the tracks."""
    video, audio = track(1, 0xA, 5000), track(1, 0xB, 5002)
    clients = make((1, video), (1, audio))
    assert clients.find(RTP, (HOST, 40_001), [rtcp(ReceiverReport(9), PictureLossIndication(9, 0xB))]) == 1
    assert (video.rtp.address, audio.rtp.address) == ((HOST, 5000), (HOST, 40_001))
    assert clients.find(RTP, (HOST, 40_000), [PUNCH]) == 1
    assert video.rtp.address == (HOST, 40_000)
    assert clients.find(RTP, (HOST, 40_002), [PUNCH]) is None, "all are found"
    assert clients.find(RTCP, (HOST, 41_000), [PUNCH]) == 1
    assert video.rtcp.address == (HOST, 41_000)


def test_one_that_is_where_it_said_is_not_led_elsewhere_by_what_names_nothing() -> None:
    only = track(1, 0xA, 5000)
    clients = make((1, only))
    assert clients.find(RTP, (HOST, 5000), [PUNCH]) == 1
    assert clients.find(RTP, (HOST, 40_000), [PUNCH]) is None
    assert only.rtp.address == (HOST, 5000)


def test_two_that_wait_at_one_address_are_not_guessed() -> None:
    clients = make((1, track(1, 0xA, 5000)), (2, track(2, 0xB, 6000)))
    assert clients.find(RTP, (HOST, 40_000), [PUNCH]) is None


def test_nobody_is_led_to_another_host() -> None:
    only = track(1, 0xA, 5000)
    clients = make((1, only))
    assert clients.find(RTCP, (OTHER, 5001), [report(0xA)]) is None
    assert only.rtcp.address == (HOST, 5001)


def test_one_port_for_both() -> None:
    path = Path(1, RTP, (HOST, 5000), True)
    clients = make((1, Track({0xA}, path, path)))
    assert clients.find(RTP, (HOST, 40_000), [report(0xA)]) == 1
    assert path.address == (HOST, 40_000)


def test_who_has_left_is_nobody() -> None:
    clients = make((1, track(1, 0xA, 5000)), (2, track(2, 0xB, 6000)))
    assert clients.find(RTCP, (HOST, 6001), [PUNCH]) == 2
    clients.remove(1)
    assert clients.find(RTCP, (HOST, 5001), [report(0xA)]) is None
    assert clients.find(RTCP, (HOST, 6001), [report(0xB)]) == 2
    clients.remove(2)
    assert clients.find(RTCP, (HOST, 6001), [report(0xB)]) is None
    clients.remove(2)
