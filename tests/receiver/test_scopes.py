"""What was agreed on for some ports: their payload types, their streams, and nobody else's word about them."""

from __future__ import annotations

import threading
from pathlib import Path

from protocol.datagram import Batch
from protocol.rtcp import compound
from protocol.rtcp.bye import Bye
from protocol.rtcp.range import SenderRange
from protocol.rtcp.rr import ReceiverReport
from protocol.rtcp.sr import SenderReport
from protocol.rtp import RtpPacket
from receiver.capture.recorded import RecordedSession
from receiver.capture.writing import Capture
from receiver.config import Latency, ReceiverConfig
from receiver.events import Goodbye, StreamEnded
from receiver.media import Format
from receiver.payload_types import PayloadTypes
from receiver.queue import UdpPath
from receiver.replay.run import run
from receiver.session import ReceiverSession, SessionConfig

MS = 1_000_000
LAW, LINEAR, WIDE = Format("PCMU", 8000), Format("L16", 8000), Format("L16", 8000, 2)
OPEN, ONE, OTHER = (UdpPath(port, ("192.0.2.1", port - 1000)) for port in (5004, 7000, 61_000))


def session() -> ReceiverSession:
    return ReceiverSession(SessionConfig({96: LAW}, Latency(), seed=1), 0)


def sound(ssrc: int, first: int = 0, count: int = 10, payload_type: int = 96) -> list[bytes]:
    return [
        bytes(RtpPacket(payload_type, (first + i) & 0xFFFF, 160 * (first + i), ssrc, bytes(320))) for i in range(count)
    ]


def feed(to: ReceiverSession, path: UdpPath, ssrc: int, first: int = 0, now: int = 0, payload_type: int = 96) -> None:
    to.handle_datagrams(Batch.of(sound(ssrc, first, payload_type=payload_type), now, path), now)


def formats(of: ReceiverSession) -> dict[int, Format]:
    return {stream.key.ssrc: stream.format for stream in of.streams()}


def arrived(of: ReceiverSession, ssrc: int) -> int:
    return sum(stream.ledger.arrived for stream in of.statistics().streams if stream.key.ssrc == ssrc)


def test_agreements_may_mean_different_things_by_one_payload_type() -> None:
    receiver = session()
    receiver.describe([7000, 7001], PayloadTypes({96: LINEAR}))
    receiver.describe([61_000, 61_001], PayloadTypes({96: WIDE}))
    for path, ssrc in ((OPEN, 1), (ONE, 2), (OTHER, 3)):
        feed(receiver, path, ssrc)
    assert formats(receiver) == {1: LAW, 2: LINEAR, 3: WIDE}


def test_the_default_is_not_asked_where_something_was_agreed_on() -> None:
    receiver = session()
    receiver.describe([7000], PayloadTypes({97: LINEAR}))
    feed(receiver, ONE, 1)
    feed(receiver, ONE, 2, payload_type=97)
    assert formats(receiver) == {2: LINEAR}
    assert receiver.statistics().unparsed["payload_type"] == 10


def test_nobody_else_adds_to_a_stream_or_ends_it() -> None:
    receiver = session()
    receiver.describe([7000], PayloadTypes({96: LINEAR}))
    feed(receiver, ONE, 1)
    feed(receiver, OPEN, 1, first=10, now=900 * MS)
    bye = compound.serialize([ReceiverReport(1, ()), Bye((1,))])
    receiver.handle_datagrams(Batch.of([bye], 900 * MS, OPEN), 900 * MS)
    assert arrived(receiver, 1) == 10
    assert receiver.statistics().unparsed["ssrc_elsewhere"] == 10
    assert not [event for event in receiver.poll().events if isinstance(event, Goodbye)]
    receiver.handle_datagrams(Batch.of([bye], 900 * MS, ONE), 900 * MS)
    assert [event for event in receiver.poll().events if isinstance(event, Goodbye)]


def test_a_stream_goes_on_in_another_agreement_once_its_own_is_over() -> None:
    """As when a connection broke, and the far end serves the same stream again: the numbers missed are lost."""
    receiver = session()
    receiver.describe([7000, 7001], PayloadTypes({96: LINEAR}))
    feed(receiver, ONE, 1)
    receiver.forget([7000, 7001], 20 * MS)
    receiver.describe([61_000], PayloadTypes({96: LINEAR}))
    feed(receiver, OTHER, 1, first=110, now=2000 * MS)
    (stream,) = receiver.statistics().streams
    assert (stream.ledger.arrived, stream.ledger.span) == (20, 120)
    assert receiver.known_paths(2000 * MS) == {OTHER}


def test_what_means_something_else_is_another_stream() -> None:
    receiver = session()
    receiver.describe([7000], PayloadTypes({96: LINEAR}))
    feed(receiver, ONE, 1)
    receiver.forget([7000], 0)
    receiver.describe([61_000], PayloadTypes({96: WIDE}))
    feed(receiver, OTHER, 1, first=10, now=20 * MS)
    assert [(stream.key.epoch, stream.format) for stream in receiver.streams()] == [(1, WIDE)]


def test_an_agreement_that_ends_with_a_reason_ends_its_streams() -> None:
    receiver = session()
    receiver.describe([7000], PayloadTypes({96: LINEAR}))
    receiver.describe([61_000], PayloadTypes({96: LINEAR}))
    feed(receiver, ONE, 1)
    feed(receiver, OTHER, 2)
    receiver.forget([7000], 20 * MS, "torn down")
    receiver.handle_timeout(900 * MS)
    ended = [(event.key.ssrc, event.why) for event in receiver.poll().events if isinstance(event, StreamEnded)]
    assert ended == [(1, "torn down")]


def test_a_final_range_may_come_before_the_packets() -> None:
    """By another way, the control connection's: ten of fifteen come, the first two and the last three do not."""
    receiver = session()
    receiver.describe([7000], PayloadTypes({96: LINEAR}))
    receiver.final_range([7000], SenderRange(1, 98, 112, 15, 0, final=True), 0)
    feed(receiver, ONE, 1, first=100)
    (stream,) = receiver.statistics().streams
    assert (stream.ledger.sent, stream.ledger.arrived) == (15, 10)


def test_nobody_says_what_a_stream_of_others_has_sent() -> None:
    receiver = session()
    receiver.describe([7000], PayloadTypes({96: LINEAR}))
    for path, ssrc in ((OPEN, 1), (ONE, 2)):
        feed(receiver, path, ssrc)
    for port in (7000, 9999):
        receiver.final_range([port], SenderRange(1, 0, 99, 100, 0, final=True), 0)
    assert [stream.ledger.sent for stream in receiver.statistics().streams] == [None, None]


def test_reports_go_where_they_were_agreed_to_go_until_some_come() -> None:
    receiver = session()
    agreed, theirs = UdpPath(7001, ("192.0.2.1", 9001)), UdpPath(7001, ("192.0.2.1", 9009))
    receiver.describe([7000, 7001], PayloadTypes({96: LINEAR}, rtcp_path=agreed))
    feed(receiver, ONE, 1)
    receiver.handle_timeout(6000 * MS)
    assert {t.path for t in receiver.poll().transmissions} == {agreed}
    report = compound.serialize([SenderReport(1, 1 << 32, 1600, 10, 3200, ())])
    receiver.handle_datagrams(Batch.of([report], 6000 * MS, theirs), 6000 * MS)
    receiver.handle_timeout(20_000 * MS)
    assert {t.path for t in receiver.poll().transmissions} == {theirs}


def test_a_capture_knows_what_was_agreed_on(tmp_path: Path) -> None:
    file = tmp_path / "run.pcapng"
    capture = Capture(str(file), print, host="192.0.2.2")
    receiver = RecordedSession(SessionConfig({96: LAW}, Latency()), 0, capture, {"kernel_drops_exact": True})
    types = PayloadTypes({96: WIDE}, {97: 96}, {5: 1}, 102, None, (103,), (104,), UdpPath(61_001, ("192.0.2.1", 6000)))
    receiver.describe([61_000, 61_001], types)
    feed(receiver, OTHER, 1)
    feed(receiver, OPEN, 2)
    receiver.forget([61_000, 61_001], 20 * MS, "torn down")
    receiver.handle_timeout(900 * MS)
    receiver.close(1000 * MS)
    receiver.statistics()
    capture.close()
    code, report = run(ReceiverConfig(), str(file), log=print, status=lambda _: None, stop=threading.Event())
    assert code == 0
    streams = {stream["ssrc"]: stream for stream in report["streams"]}  # type: ignore[attr-defined]
    assert streams[1]["encoding"] == "L16"
    assert streams[2]["encoding"] == "PCMU"
