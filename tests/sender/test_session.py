"""The sender session in virtual time: what leaves, when, and what receivers can make it do."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import rtp
from protocol.datagram import Batch, Transmission
from protocol.ntp import ntp_from_unix, unix_from_ntp
from protocol.payload.registry import RED_PAYLOAD_TYPE
from protocol.rtcp import compound, report_pieces
from protocol.rtcp import range as sender_range
from protocol.rtcp.app import App
from protocol.rtcp.bye import Bye
from protocol.rtcp.fir import FullIntraRequest
from protocol.rtcp.pli import PictureLossIndication
from protocol.rtcp.repair_offer import RepairOffer
from protocol.rtcp.report_block import ReportBlock
from protocol.rtcp.report_exchange import ReportExchange
from protocol.rtcp.rr import ReceiverReport
from protocol.rtcp.sdes import SourceDescription
from protocol.rtcp.sr import SenderReport
from sender.media import AccessUnit
from sender.session import KeyFrameRequested, LossReported, PeerLeft, PeerReport, PeerSeen, SenderSession, StreamConfig

SECOND = 1_000_000_000
MS = 1_000_000
NOW = 50 * SECOND
WALL = 1_800_000_000 * SECOND
VIDEO = StreamConfig("video", "H264", 96, 90_000, 0xAAAA, 33_333_333, 2_000_000, rtp_path="v", rtcp_path="v+1")
AUDIO = StreamConfig("audio", "opus", 97, 48_000, 0xBBBB, 20 * MS, 64_000, channels=2, rtp_path="a", rtcp_path="a+1")
RECEIVER = 0xC0DE


def make(streams: Sequence[StreamConfig] = (VIDEO, AUDIO), wall: int = WALL, seed: int = 3) -> SenderSession:
    return SenderSession(streams, cname="me@here", now=NOW, wall=wall, random=Random(seed))


def picture(size: int, at: int = 0, key_frame: bool = True) -> AccessUnit:
    return AccessUnit(b"\0\0\0\1\x65" + b"\x55" * size, at * 90 // MS, NOW + at, key_frame)


def sound(at: int = 0) -> AccessUnit:
    return AccessUnit(b"\xf8" + bytes(100), at * 48 // MS, NOW + at)


def reports(transmissions: Iterable[Transmission]) -> list[list[compound.RtcpPacket]]:
    return [compound.parse(d) for t in transmissions for d in t.datagrams if 192 <= d[1] <= 223]


def media(transmissions: Iterable[Transmission]) -> list[rtp.RtpPacket]:
    return [rtp.parse(d) for t in transmissions for d in t.datagrams if not 192 <= d[1] <= 223]


def ranges(transmissions: Iterable[Transmission]) -> list[sender_range.SenderRange]:
    messages = [sender_range.parse(p) for c in reports(transmissions) for p in c if isinstance(p, App)]
    return [message for message in messages if isinstance(message, sender_range.SenderRange)]


def sender_reports(transmissions: Iterable[Transmission]) -> list[SenderReport]:
    return [p for c in reports(transmissions) for p in c if isinstance(p, SenderReport)]


def receive(session: SenderSession, *packets: compound.RtcpPacket, now: int = NOW) -> list[object]:
    """Handed to the session as one datagram; the events that follow."""
    session.handle_datagrams(Batch.of([compound.serialize(packets)], now), now)
    return list(session.poll(now).events)


def run(session: SenderSession, until: int) -> list[tuple[int, Transmission]]:
    """Everything sent on timeouts up to a moment, with its time."""
    sent = []
    while (due := session.next_timeout()) is not None and due <= until:
        session.handle_timeout(due)
        sent += [(due, transmission) for transmission in session.poll(due).transmissions]
    return sent


# Media


def test_sound_does_not_wait_behind_a_large_picture() -> None:
    session = make()
    session.send(0, picture(60_000), NOW)
    session.poll(NOW)
    session.send(1, sound(), NOW + MS)
    due = session.poll(NOW + MS).transmissions
    assert due[0].path == "a"
    assert next(p.ssrc for p in media(due)) == AUDIO.ssrc


def test_sound_leaves_before_a_picture_of_the_same_moment() -> None:
    session = make()
    session.send(0, picture(500), NOW)
    session.send(1, sound(), NOW)
    assert [p.ssrc for p in media(session.poll(NOW).transmissions)] == [AUDIO.ssrc, VIDEO.ssrc]


def test_a_large_picture_leaves_within_a_third_of_its_interval() -> None:
    session = make((VIDEO,))
    session.send(0, picture(60_000), NOW)
    first = session.poll(NOW).transmissions
    later = [(time, t) for time, t in run(session, NOW + 33 * MS) if t.path == "v"]
    numbers = [p.sequence_number for p in media(first + [t for _, t in later])]
    assert len(numbers) > 50
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert max(time for time, _ in later) <= NOW + VIDEO.frame_interval // 3


def test_a_frame_that_cannot_be_carried_is_counted_and_the_stream_goes_on() -> None:
    session = make((StreamConfig("video", "JPEG", 26, 90_000, 1, 33_333_333, 1_000_000),))
    session.send(0, AccessUnit(b"no JPEG", 0, NOW), NOW)
    assert session.poll(NOW).transmissions == []
    assert sum(session.statistics(NOW).streams[0].unsendable.values()) == 1


# Reports


def test_the_first_report_leaves_with_the_first_packet_of_each_stream() -> None:
    session = make()
    session.send(0, picture(500), NOW)
    first = session.poll(NOW).transmissions
    assert [t.path for t in first] == ["v", "v+1"]
    report, description, application = reports(first)[0]
    assert isinstance(report, SenderReport)
    assert (report.ssrc, report.packet_count, report.octet_count) == (VIDEO.ssrc, 1, len(media(first)[0].payload))
    assert isinstance(description, SourceDescription)
    assert description.chunks[0].cname == "me@here"
    assert isinstance(application, App)
    session.send(1, sound(), NOW + 5 * MS)
    assert [t.path for t in session.poll(NOW + 5 * MS).transmissions] == ["a", "a+1"]


def test_a_report_pairs_ntp_time_with_the_rtp_timestamp_of_the_same_moment() -> None:
    session = make((VIDEO,))
    session.send(0, picture(500), NOW)
    first = session.poll(NOW).transmissions
    timestamp = media(first)[0].timestamp  # captured at NOW
    assert sender_reports(first)[0].rtp_timestamp == timestamp
    for time, transmission in run(session, NOW + 3 * SECOND):
        for report in sender_reports([transmission]):
            assert abs(unix_from_ntp(report.ntp_timestamp) - (WALL + time - NOW)) <= 1
            assert report.rtp_timestamp == (timestamp + (time - NOW) * 90 // MS) % (1 << 32)


def test_both_streams_share_one_clock_so_that_they_can_be_synchronised() -> None:
    session = make()
    session.send(0, picture(500), NOW + 4 * MS)  # both captured at NOW, encoded later
    session.send(1, sound(), NOW + 30 * MS)
    sent = session.poll(NOW + 30 * MS).transmissions
    offsets = {p.ssrc: p.timestamp for p in media(sent)}
    for report in sender_reports(sent):
        rate = 90 if report.ssrc == VIDEO.ssrc else 48
        assert (report.rtp_timestamp - offsets[report.ssrc]) % (1 << 32) == 30 * rate


def test_reports_keep_the_reduced_minimum_interval() -> None:
    """RFC 3550 §6.2: 360 / 2000 kbit/s = 180 ms; §6.3.1 draws from 0.5 to 1.5 of it, divided by e - 3/2."""
    session = make((VIDEO,))
    session.send(0, picture(500), NOW)
    session.poll(NOW)
    times = [time for time, _ in run(session, NOW + 60 * SECOND)]
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert min(gaps) >= 0.5 * 180 * MS / 1.2183
    assert max(gaps) <= 1.5 * 180 * MS / 1.2182
    assert 0.8 < sum(gaps) / len(gaps) / (180 * MS) < 1.2


def test_reports_of_a_slow_stream_stay_within_five_percent_of_its_bandwidth() -> None:
    session = make((AUDIO,))
    session.send(0, sound(), NOW)
    session.poll(NOW)
    octets = sum(len(t.datagrams[0]) + 28 for _, t in run(session, NOW + 100 * SECOND))
    assert octets / 100 < 64_000 / 8 * 0.05


def test_the_range_says_what_was_numbered_and_what_the_system_took() -> None:
    session = make((VIDEO,))
    session.send(0, picture(8_000), NOW)
    first = session.poll(NOW).transmissions
    numbers = [p.sequence_number for p in media(first)]
    session.handle_unsent([first[0].datagrams[2], first[0].datagrams[5]])
    later = [t for _, t in run(session, NOW + SECOND)]
    (sent, *_) = ranges(later)
    assert (sent.first, sent.last, sent.count) == (numbers[0], numbers[-1], len(numbers) - 2)
    assert abs(sent.first_time - ntp_from_unix(WALL)) <= 1
    assert not sent.final
    assert sender_reports(later)[0].packet_count == len(numbers) - 2
    statistics = session.statistics(NOW).streams[0]
    assert (statistics.packets, statistics.not_handed_over) == (len(numbers) - 2, 2)


def test_reports_that_the_system_did_not_take_are_not_media() -> None:
    session = make((VIDEO,))
    session.send(0, picture(100), NOW)
    session.handle_unsent([d for t in session.poll(NOW).transmissions if t.path == "v+1" for d in t.datagrams])
    assert session.statistics(NOW).streams[0].not_handed_over == 0


# What receivers say


def test_round_trip_of_the_example_in_rfc_3550() -> None:
    """Figure 2: SR at 0xb44db705.20000000, DLSR 5.25 s, arrival at 0xb44db710.80000000: 6.125 s."""
    session = make((VIDEO,), wall=unix_from_ntp(0xB44D_B705_2000_0000))
    session.send(0, picture(100), NOW)
    session.poll(NOW)
    block = ReportBlock(VIDEO.ssrc, 64, 5, 70_000, 900, lsr=0xB705_2000, dlsr=0x0005_4000)
    receive(session, ReceiverReport(RECEIVER, (block,)), now=NOW + 11_375 * MS)
    statistics = session.statistics(NOW).streams[0]
    assert statistics.rtt_ms == 6125.0
    said = statistics.reception
    assert said is not None
    assert (said.fraction_lost, said.cumulative_lost, said.extended_highest_sequence) == (0.25, 5, 70_000)
    assert said.jitter_ms == 10.0


def test_a_report_that_echoes_none_of_ours_gives_no_round_trip() -> None:
    session = make((VIDEO,))
    session.send(0, picture(100), NOW)
    session.poll(NOW)
    for lsr in (0, 0x1234_5678):
        receive(session, ReceiverReport(RECEIVER, (ReportBlock(VIDEO.ssrc, 0, 0, 1, 0, lsr=lsr, dlsr=1),)))
    assert session.statistics(NOW).streams[0].rtt_ms is None


def test_sound_that_is_lost_and_not_repeated_is_told_to_its_encoder() -> None:
    streams = (VIDEO, replace(AUDIO, fec_ssrc=0x77))
    session = SenderSession(streams, cname="me@here", now=NOW, wall=WALL, random=Random(3), repair="auto")
    lossy = ReceiverReport(RECEIVER, tuple(ReportBlock(each.ssrc, 64, 0, 1, 0, 0, 0) for each in streams))
    told = [event for _ in range(12) for event in receive(session, lossy) if isinstance(event, LossReported)]
    assert [event.stream for event in told] == [1] * 12, "pictures have no such encoder"
    assert told[-1].share == pytest.approx(0.25, abs=0.01)
    receive(session, RepairOffer(RECEIVER, AUDIO.ssrc, red=True, red_depth=2).to_app())
    assert receive(session, lossy) == [LossReported(1, 0.0)]


@pytest.mark.parametrize("how", ["goodbye", "silence", "another"])
def test_what_a_receiver_wished_for_ends_with_it(how: str) -> None:
    """Whoever listens there next may know nothing of it."""
    session = SenderSession(
        (replace(AUDIO, fec_ssrc=0x77),), cname="me@here", now=NOW, wall=WALL, random=Random(3), repair="auto"
    )
    receive(session, ReceiverReport(RECEIVER), RepairOffer(RECEIVER, AUDIO.ssrc, red=True, red_depth=1).to_app())

    def kind(now: int) -> int:
        session.send(0, sound((now - NOW) // MS * MS), now)
        (packet,) = media(session.poll(now).transmissions)
        return packet.payload_type

    assert kind(NOW) == RED_PAYLOAD_TYPE
    assert kind(NOW + 20 * MS) == RED_PAYLOAD_TYPE
    later = NOW + (40 if how == "goodbye" else 7000) * MS
    if how == "goodbye":
        receive(session, Bye((RECEIVER,), ""), now=later)
    elif how == "another":
        receive(session, ReceiverReport(RECEIVER), RepairOffer(RECEIVER, AUDIO.ssrc, red=True, red_depth=1).to_app())
        receive(session, ReceiverReport(RECEIVER + 1), now=later)
        receive(session, RepairOffer(RECEIVER, AUDIO.ssrc, red=True, red_depth=1).to_app(), now=later)
    session.poll(later)
    assert kind(later) == AUDIO.payload_type


def test_a_receiver_is_greeted_once_and_missed_when_it_leaves() -> None:
    session = make()
    assert receive(session, ReceiverReport(RECEIVER)) == [PeerSeen(RECEIVER)]
    assert receive(session, ReceiverReport(RECEIVER)) == []
    assert receive(session, ReceiverReport(RECEIVER), Bye((RECEIVER,), "enough")) == [PeerLeft(RECEIVER, "enough")]


def test_a_lost_picture_asks_for_a_key_frame_of_that_stream() -> None:
    session = make()
    assert receive(session, PictureLossIndication(RECEIVER, VIDEO.ssrc)) == [KeyFrameRequested(0, "picture lost")]
    assert receive(session, PictureLossIndication(RECEIVER, 0xDEAD)) == []
    assert session.statistics(NOW).streams[0].key_frame_requests == 1
    assert session.statistics(NOW).unparsed == {"request_for_other_source": 1}


def test_a_repeated_full_intra_request_is_one_request() -> None:
    session = make()
    wanted = [KeyFrameRequested(0, "full intra request")]
    assert receive(session, FullIntraRequest(RECEIVER, ((VIDEO.ssrc, 7),))) == wanted
    assert receive(session, FullIntraRequest(RECEIVER, ((VIDEO.ssrc, 7),))) == []
    assert receive(session, FullIntraRequest(RECEIVER, ((VIDEO.ssrc, 8),))) == wanted


def test_our_own_packets_coming_back_are_counted_and_change_nothing() -> None:
    session = make()
    session.send(0, picture(100), NOW)
    own = [d for t in session.poll(NOW).transmissions for d in t.datagrams]
    session.handle_datagrams(Batch.of(own, NOW), NOW)
    assert session.poll(NOW).events == []
    unparsed = session.statistics(NOW).unparsed
    assert unparsed["not_rtcp"] == 1
    assert unparsed["own_packet_returned"] == 1


@given(st.lists(st.binary(max_size=120), max_size=8))
def test_no_bytes_from_outside_stop_a_session(datagrams: list[bytes]) -> None:
    session = make()
    session.send(0, picture(100), NOW)
    session.poll(NOW)
    session.handle_datagrams(Batch.of(datagrams, NOW), NOW)
    session.handle_datagrams(Batch.of([b"\x80" + bytes([200 + len(d) % 8]) + d for d in datagrams], NOW), NOW)
    session.poll(NOW)
    assert session.statistics(NOW).datagrams_received == 2 * len(datagrams)


def test_a_crowd_of_invented_receivers_takes_no_memory() -> None:
    session = make()
    for ssrc in range(1, 5000):
        receive(session, ReceiverReport(ssrc << 8))
    assert receive(session, ReceiverReport(RECEIVER)) == [PeerSeen(RECEIVER)]
    assert session.statistics(NOW).peers == 5000


# The end


def begun() -> tuple[SenderSession, int]:
    """A session that has sent a picture, and the picture's last number."""
    session = make((VIDEO,))
    session.send(0, picture(20_000), NOW)
    numbers = [p.sequence_number for p in media(session.poll(NOW).transmissions)]
    numbers += [p.sequence_number for _, t in run(session, NOW + 15 * MS) for p in media([t])]
    return session, numbers[-1]


def test_closing_sends_what_waits_and_then_the_final_range() -> None:
    session = make((VIDEO,))
    session.send(0, picture(60_000), NOW)
    before = media(session.poll(NOW).transmissions)
    session.close(NOW + MS)
    sent = session.poll(NOW + MS).transmissions
    numbers = [p.sequence_number for p in before + media(sent)]
    assert len(numbers) > 50
    (final,) = ranges(sent)
    assert final.final
    assert (final.first, final.last, final.count) == (numbers[0], numbers[-1], len(numbers))
    assert sent[-1].path == "v+1"


def test_without_an_answer_the_range_is_repeated_for_two_seconds_and_goodbye_follows() -> None:
    session, _ = begun()
    session.close(NOW + SECOND)
    sent = [(NOW + SECOND, t) for t in session.poll(NOW + SECOND).transmissions]
    sent += run(session, NOW + 10 * SECOND)
    times = [time - NOW - SECOND for time, _ in sent]
    assert times == [n * 100 * MS for n in range(21)]
    compounds = reports(t for _, t in sent)
    assert [any(isinstance(p, Bye) for p in c) for c in compounds] == [False] * 20 + [True]
    assert all(r.final for r in ranges(t for _, t in sent))
    assert session.closed
    assert session.next_timeout() is None


def test_an_acknowledgement_ends_the_repetition() -> None:
    session, last = begun()
    session.close(NOW + SECOND)
    session.poll(NOW + SECOND)
    acknowledgement = sender_range.RangeAcknowledgement(RECEIVER, VIDEO.ssrc, last)
    now = NOW + SECOND + 30 * MS
    session.handle_datagrams(Batch.of([compound.serialize([acknowledgement.to_app()])], now), now)
    (goodbye,) = reports(session.poll(now).transmissions)
    assert isinstance(goodbye[-1], Bye)
    assert session.closed


def test_an_acknowledgement_of_another_range_does_not() -> None:
    session, last = begun()
    session.close(NOW + SECOND)
    session.poll(NOW + SECOND)
    receive(session, sender_range.RangeAcknowledgement(RECEIVER, VIDEO.ssrc, last - 1).to_app(), now=NOW + SECOND)
    assert not session.closed


def test_each_stream_needs_its_own_acknowledgement() -> None:
    session = make()
    session.send(0, picture(100), NOW)
    session.send(1, sound(), NOW)
    last = {p.ssrc: p.sequence_number for p in media(session.poll(NOW).transmissions)}
    session.close(NOW)
    session.poll(NOW)
    receive(session, sender_range.RangeAcknowledgement(RECEIVER, VIDEO.ssrc, last[VIDEO.ssrc]).to_app())
    assert not session.closed
    assert [t.path for _, t in run(session, NOW + 100 * MS)] == ["a+1"]
    receive(
        session, sender_range.RangeAcknowledgement(RECEIVER, AUDIO.ssrc, last[AUDIO.ssrc]).to_app(), now=NOW + SECOND
    )
    assert session.closed


def test_nobody_is_waited_for_when_everyone_has_left() -> None:
    session, _ = begun()
    receive(session, ReceiverReport(RECEIVER), Bye((RECEIVER,)))
    session.close(NOW + SECOND)
    session.poll(NOW + SECOND)
    assert session.closed


def test_a_refusal_ends_the_farewell() -> None:
    session, _ = begun()
    session.close(NOW + SECOND)
    session.poll(NOW + SECOND)
    session.handle_unreachable(NOW + SECOND)
    session.poll(NOW + SECOND)
    assert session.closed


def test_a_session_that_sent_nothing_says_nothing() -> None:
    session = make()
    session.close(NOW)
    assert session.poll(NOW).transmissions == []
    assert session.closed


def test_nothing_is_taken_after_closing() -> None:
    session, _ = begun()
    session.close(NOW + SECOND)
    session.poll(NOW + SECOND)
    session.send(0, picture(100), NOW + SECOND)
    assert media(session.poll(NOW + SECOND).transmissions) == []


# Reports


class Reporter:
    """A receiver of ours, as far as the end is concerned."""

    def __init__(self, ssrc: int, report: bytes) -> None:
        self.ssrc, self.report = ssrc, report
        self.exchange = ReportExchange(f"{ssrc}@there")

    def say(self, session: SenderSession, *packets: compound.RtcpPacket, now: int) -> list[object]:
        return receive(session, ReceiverReport(self.ssrc), *packets, now=now)

    def acknowledge(self, session: SenderSession, last: int, now: int) -> None:
        known = sender_range.RangeAcknowledgement(self.ssrc, VIDEO.ssrc, last, report_follows=True)
        self.say(session, known.to_app(), now=now)

    def exchange_with(self, session: SenderSession, now: int) -> list[object]:
        """Everything it has to say now; the events that follow."""
        events: list[object] = []
        for transmission in self.exchange.poll(now):
            session.handle_datagrams(Batch.of(list(transmission.datagrams), now), now)
        output = session.poll(now)
        events += output.events
        for packet in (p for c in reports(output.transmissions) for p in c if isinstance(p, App)):
            part = report_pieces.parse(packet)
            if part is not None and part.to == self.ssrc:
                self.exchange.receive(part, None, now)
        return events


def test_two_receivers_of_a_multicast_are_both_waited_for() -> None:
    session, last = begun()
    first, second = Reporter(1, b"one"), Reporter(2, b"two")
    for each in (first, second):
        each.say(session, now=NOW)
    now = NOW + SECOND
    session.close(now)
    session.poll(now)
    first.acknowledge(session, last, now + 10 * MS)
    again = [t for time, t in run(session, now + 150 * MS)]
    assert ranges(again), "the second may not have heard it"
    second.acknowledge(session, last, now + 160 * MS)
    assert not ranges([t for _, t in run(session, now + 350 * MS)])
    now += 400 * MS
    for each in (first, second):
        assert not session.closed
        each.exchange.offer(each.ssrc, VIDEO.ssrc, each.report, None, now)
        assert each.exchange_with(session, now) == [PeerReport(each.ssrc, each.report)]
        session.offer_report(each.ssrc, b"ours", now)
        each.exchange_with(session, now)
        each.exchange_with(session, now)
    session.poll(now)
    assert session.closed


def test_a_receiver_that_leaves_does_not_keep_the_others_waiting() -> None:
    session, last = begun()
    only = Reporter(1, b"one")
    now = NOW + SECOND
    session.close(now)
    session.poll(now)
    only.acknowledge(session, last, now)
    only.say(session, Bye((1,)), now=now + 100 * MS)
    session.poll(now + 100 * MS)
    assert session.closed


def test_a_crowd_of_invented_reporters_takes_no_memory_and_no_time() -> None:
    session, _ = begun()
    for ssrc in range(100, 1200):
        invented = Reporter(ssrc, b"junk" * 500)
        invented.exchange.offer(ssrc, VIDEO.ssrc, invented.report, None, NOW)
        for event in invented.exchange_with(session, NOW):
            if isinstance(event, PeerReport):
                session.offer_report(event.ssrc, b"ours", NOW)
    later = NOW + 3 * SECOND
    run(session, later)
    timeout = session.next_timeout()
    assert timeout is not None
    assert timeout > NOW + 2 * SECOND


def test_pieces_keep_to_the_size_that_was_asked_for() -> None:
    session = SenderSession((VIDEO,), cname="me@here", now=NOW, wall=WALL, random=Random(3), max_datagram=300)
    session.send(0, picture(100), NOW)
    session.poll(NOW)
    session.offer_report(RECEIVER, bytes(session.report_limit), NOW)
    sizes = [len(d) for t in session.poll(NOW).transmissions for d in t.datagrams]
    assert len(sizes) == 16
    assert 280 <= max(sizes) <= 300
