import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Malformed, ProtocolError, Truncated
from protocol.rtcp import compound, header, sdes
from protocol.rtcp import range as sender_range
from protocol.rtcp.app import App
from protocol.rtcp.bye import Bye
from protocol.rtcp.compound import RtcpPacket
from protocol.rtcp.fir import FullIntraRequest
from protocol.rtcp.nack import Nack
from protocol.rtcp.pli import PictureLossIndication
from protocol.rtcp.range import RangeAcknowledgement, SenderRange
from protocol.rtcp.report_block import ReportBlock
from protocol.rtcp.rr import ReceiverReport
from protocol.rtcp.sdes import SdesChunk, SdesItem, SourceDescription
from protocol.rtcp.sr import SenderReport
from protocol.rtcp.tmmbr import BitrateNotification, BitrateRequest, Limit
from protocol.rtcp.unknown import UnknownPacket

U8, U16, U32, U64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64))
TEXTS = st.text(max_size=255).filter(lambda text: len(text.encode(errors="replace")) <= 255 and text.isprintable())
WORDS = st.binary(max_size=24).map(lambda data: data + bytes(-len(data) % 4))
BLOCKS = st.builds(ReportBlock, U32, U8, st.integers(-0x80_0000, 0x7F_FFFF), U32, U32, U32, U32)
REPORTS = st.lists(BLOCKS, max_size=31).map(tuple)
CHUNKS = st.builds(SdesChunk, U32, st.lists(st.builds(SdesItem, st.integers(1, 255), TEXTS), max_size=4).map(tuple))
ASCENDING = st.builds(
    lambda first, steps: tuple((first + sum(steps[:i])) & 0xFFFF for i in range(len(steps) + 1)),
    U16,
    st.lists(st.integers(1, 40), max_size=30),
)
LIMITS = st.builds(
    lambda ssrc, mantissa, exponent, overhead: Limit(ssrc, mantissa << exponent, overhead),
    U32,
    st.integers(1 << 16, (1 << 17) - 1),
    st.integers(0, 63),
    st.integers(0, 511),
)
PACKETS: st.SearchStrategy[RtcpPacket] = st.one_of(
    st.builds(SenderReport, U32, U64, U32, U32, U32, REPORTS, WORDS),
    st.builds(ReceiverReport, U32, REPORTS, WORDS),
    st.builds(SourceDescription, st.lists(CHUNKS, max_size=31).map(tuple)),
    st.builds(Bye, st.lists(U32, max_size=31).map(tuple), TEXTS),
    st.builds(App, U32, st.integers(0, 31), st.binary(min_size=4, max_size=4), WORDS),
    st.builds(Nack, U32, U32, ASCENDING),
    st.builds(PictureLossIndication, U32, U32),
    st.builds(FullIntraRequest, U32, st.lists(st.tuples(U32, U8), min_size=1, max_size=9).map(tuple)),
    st.builds(BitrateRequest, U32, st.lists(LIMITS, min_size=1, max_size=9).map(tuple)),
    st.builds(BitrateNotification, U32, st.lists(LIMITS, max_size=9).map(tuple)),
    st.builds(UnknownPacket, st.integers(208, 223) | st.integers(192, 199), st.integers(0, 31), WORDS),
)

# What GStreamer 1.22 (rtpbin, AVPF) and FFmpeg 5.1 sent; the fields as tshark reads them.
FFMPEG_SR = bytes.fromhex("80c80006413ae282eeae637705e353f727b720f70000000000000000")
GSTREAMER_RR = bytes.fromhex(
    "81c900072668b42a092e5b2e000000000000196000000000637cd59800001bbf"
    "81ca000c2668b42a011c757365723237363137303236343540686f73742d373137393734376606094753747265616d6572000000"
)
GSTREAMER_NACK = bytes.fromhex(
    "80c900012668b42a81ca00092668b42a011c757365723237363137303236343540686f73742d3731373937343766000081cd00032668b42a"
    "092e5b2e19730005"
)


def test_sender_report_of_ffmpeg() -> None:
    assert compound.parse(FFMPEG_SR) == [SenderReport(0x413AE282, 0xEEAE637705E353F7, 666312951, 0, 0)]


def test_receiver_report_of_gstreamer() -> None:
    block = ReportBlock(0x092E5B2E, 0, 0, 6496, 0, 1669125528, 7103)
    items = (SdesItem(sdes.CNAME, "user2761702645@host-7179747f"), SdesItem(sdes.TOOL, "GStreamer"))
    packets = [ReceiverReport(0x2668B42A, (block,)), SourceDescription((SdesChunk(0x2668B42A, items),))]
    assert compound.parse(GSTREAMER_RR) == packets
    assert compound.serialize(packets) == GSTREAMER_RR


def test_nack_of_gstreamer() -> None:
    packets = compound.parse(GSTREAMER_NACK)
    assert packets[-1] == Nack(0x2668B42A, 0x092E5B2E, (6515, 6516, 6518))
    assert compound.serialize(packets) == GSTREAMER_NACK


@given(st.lists(PACKETS, min_size=1, max_size=5))
def test_every_compound_survives(packets: list[RtcpPacket]) -> None:
    data = compound.serialize(packets)
    assert len(data) % 4 == 0
    assert compound.parse(data) == packets


@given(st.data(), st.lists(PACKETS, min_size=1, max_size=3))
def test_damaged_compounds_are_packets_or_our_error(data: st.DataObject, packets: list[RtcpPacket]) -> None:
    wire = bytearray(compound.serialize(packets))
    for _ in range(data.draw(st.integers(0, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    _parse_tolerantly(bytes(wire[: data.draw(st.integers(0, len(wire)))]))


@given(st.binary(max_size=80), st.integers(0, 255), st.integers(192, 223))
def test_any_bytes_are_packets_or_our_error(data: bytes, first: int, packet_type: int) -> None:
    _parse_tolerantly(data)
    head = bytes([first, packet_type]) + (len(data) // 4).to_bytes(2)
    _parse_tolerantly(head + data[: len(data) // 4 * 4])


def _parse_tolerantly(data: bytes) -> None:
    try:
        packets = compound.parse(data)
        ranges = [sender_range.parse(packet) for packet in packets if isinstance(packet, App)]
    except ProtocolError:
        return
    assert packets
    assert len(ranges) <= len(packets)
    assert isinstance(compound.serialize(p for p in packets if not isinstance(p, SourceDescription | Bye)), bytes)


RR = bytes(ReceiverReport(1))


@pytest.mark.parametrize(
    ("data", "error", "reason"),
    [
        (b"", Truncated, "rtcp_header"),
        (b"\x80\xc9\x00", Truncated, "rtcp_header"),
        (RR + b"\x80\xc9", Truncated, "rtcp_header"),
        (b"\x40" + RR[1:], Malformed, "rtcp_version"),
        (b"\x80\x60" + RR[2:], Malformed, "rtcp_type"),
        (RR[:-1], Truncated, "rtcp_length"),
        (RR[:2] + b"\xff\xff" + RR[4:], Truncated, "rtcp_length"),
        (b"\x81" + RR[1:], Truncated, "rtcp_rr"),
        (b"\x80\xc8\x00\x01" + bytes(4), Truncated, "rtcp_sr"),
        (b"\x81\xca\x00\x00", Truncated, "rtcp_sdes"),
        (b"\x81\xca\x00\x02" + bytes(4) + b"\x01\x09ab", Truncated, "rtcp_sdes"),
        (b"\x82\xcb\x00\x01" + bytes(4), Truncated, "rtcp_bye"),
        (b"\x80\xcb\x00\x01" + b"\x04abc", Truncated, "rtcp_bye"),
        (b"\x80\xcc\x00\x01" + bytes(4), Truncated, "rtcp_app"),
        (b"\x81\xcd\x00\x02" + bytes(8), Truncated, "rtcp_nack"),
        (b"\x81\xce\x00\x01" + bytes(4), Truncated, "rtcp_pli"),
        (b"\x84\xce\x00\x03" + bytes(12), Truncated, "rtcp_fir"),
        (b"\x84\xce\x00\x05" + bytes(20), Malformed, "rtcp_fir"),
        (b"\xa0" + RR[1:] + RR, Malformed, "rtcp_padding"),  # A.2: only the last packet has padding
        (b"\xa0" + RR[1:4] + b"\x00\x00\x00\x03", Malformed, "rtcp_padding"),
        (b"\xa0" + RR[1:4] + b"\x00\x00\x00\x08", Malformed, "rtcp_padding"),
        (b"\xa0\xc9\x00\x00", Malformed, "rtcp_padding"),
    ],
)
def test_what_is_refused(data: bytes, error: type[ProtocolError], reason: str) -> None:
    with pytest.raises(error) as raised:
        compound.parse(data)
    assert raised.value.reason == reason


def test_padding_of_the_last_packet_is_taken_off() -> None:
    padded = bytes.fromhex("a0c90003 00000001 00000000 00000008")
    assert compound.parse(RR + padded) == [ReceiverReport(1), ReceiverReport(1)]


def test_reduced_size_packets_are_taken() -> None:
    assert compound.parse(bytes(PictureLossIndication(1, 2))) == [PictureLossIndication(1, 2)]


def test_feedback_of_other_formats_stays_as_it_is() -> None:
    twcc = header.pack(header.TRANSPORT_FEEDBACK, 15, bytes(range(16)))
    remb = header.pack(header.PAYLOAD_FEEDBACK, 15, bytes(8) + b"REMB" + bytes(4))
    parsed = compound.parse(twcc + remb)
    assert [(p.packet_type, p.count) for p in parsed if isinstance(p, UnknownPacket)] == [(205, 15), (206, 15)]
    assert compound.serialize(parsed) == twcc + remb


@pytest.mark.parametrize(
    ("lost", "written"), [(-1, 0xFFFFFF), (-(1 << 30), 0x800000), (1 << 30, 0x7FFFFF), (0x7FFFFF, 0x7FFFFF)]
)
def test_cumulative_loss_is_clamped_to_24_bits(lost: int, written: int) -> None:
    """RFC 3550 A.3."""
    assert bytes(ReportBlock(0, 0, lost, 0, 0))[5:8] == written.to_bytes(3)


@pytest.mark.parametrize(
    ("numbers", "pairs"),
    [
        ((100,), "0064 0000"),
        ((100, 101, 116), "0064 8001"),
        ((100, 117), "0064 0000 0075 0000"),
        ((65535, 0, 2), "ffff 0005"),
        ((100, 100), "0064 0000"),
    ],
)
def test_nack_packing_of_rfc_4585(numbers: tuple[int, ...], pairs: str) -> None:
    # §6.2.1: bit i of the BLP, counted from the least, stands for PID + i, i from 1
    assert bytes(Nack(0, 0, numbers))[12:] == bytes.fromhex(pairs)


@given(st.lists(U16, min_size=1, max_size=60))
def test_a_nack_in_any_order_names_the_same_packets(numbers: list[int]) -> None:
    (packet,) = compound.parse(bytes(Nack(1, 2, tuple(numbers))))
    assert isinstance(packet, Nack)
    assert set(packet.sequence_numbers) == set(numbers)


def test_full_intra_request_of_rfc_5104() -> None:
    # §4.3.1.1: PT 206, FMT 4, media SSRC 0; SSRC, Seq nr, 24 reserved bits each
    expected = "84ce0006 00000001 00000000 0000000a 01000000 0000000b ff000000"
    assert bytes(FullIntraRequest(1, ((10, 1), (11, 255)))) == bytes.fromhex(expected)


def test_bitrate_request_of_rfc_5104() -> None:
    # §4.2.1.1: PT 205, FMT 3, media SSRC 0; SSRC, 6 bits of exponent, 17 of mantissa, 9 of overhead.
    # 312,000 = 78,000 << 2: the packet that libwebrtc's own test has for these values.
    packet = BitrateRequest(0x12345678, (Limit(0x23456789, 312_000, 0x1FE),))
    wire = bytes.fromhex("83cd0004 12345678 00000000 23456789 0a6161fe")
    assert bytes(packet) == wire
    assert compound.parse(wire) == [packet]


def test_bitrate_notification_of_rfc_5104() -> None:
    # §4.2.2.1: FMT 4; nothing is limited where no entry follows
    assert bytes(BitrateNotification(0x12345678, ())) == bytes.fromhex("84cd0002 12345678 00000000")
    assert compound.parse(bytes.fromhex("84cd0002 12345678 00000000")) == [BitrateNotification(0x12345678, ())]


@pytest.mark.parametrize(
    ("bitrate", "written"),
    [(0, 0), (131_071, 131_071), (131_072, 131_072), (131_073, 131_072), (1_000_001, 1_000_000), (1 << 79, 1 << 79)],
)
def test_a_limit_is_never_written_higher_than_it_is(bitrate: int, written: int) -> None:
    (packet,) = compound.parse(bytes(BitrateRequest(1, (Limit(2, bitrate, 40),))))
    assert packet == BitrateRequest(1, (Limit(2, written, 40),))


@pytest.mark.parametrize(
    "wire", ["83cd0002 12345678 00000000", "83cd0003 12345678 00000000 23456789", "84cd0001 12345678"]
)
def test_bitrate_requests_that_are_none(wire: str) -> None:
    with pytest.raises(ProtocolError):
        compound.parse(bytes.fromhex(wire))


def test_sdes_text_that_is_not_utf_8() -> None:
    data = bytes.fromhex("81ca0003 00000001 0103ff41 0a000000")
    (packet,) = compound.parse(data)
    assert isinstance(packet, SourceDescription)
    assert packet.chunks[0].items == (SdesItem(sdes.CNAME, "\ufffdA\n"),)
    assert packet.chunks[0].cname == "\ufffdA\ufffd"  # nothing that moves a terminal's cursor


def test_a_chunk_without_cname_has_none() -> None:
    assert SdesChunk(1, (SdesItem(sdes.TOOL, "x"),)).cname is None


@pytest.mark.parametrize("size", range(9))
def test_sdes_chunks_end_in_a_null_on_a_word(size: int) -> None:
    """§6.5: one null at least, up to the next 32-bit boundary."""
    wire = bytes(SdesChunk(1, (SdesItem(sdes.NOTE, "x" * size),)))
    assert len(wire) % 4 == 0
    assert wire[4 + 2 + size :].strip(b"\0") == b""
    assert 1 <= len(wire) - (4 + 2 + size) <= 4


@pytest.mark.parametrize(
    "packet",
    [
        ReceiverReport(1, (ReportBlock(0, 0, 0, 0, 0),) * 32),
        App(1, 32, b"name"),
        BitrateRequest(1, (Limit(2, 1 << 80),)),
        BitrateRequest(1, (Limit(2, 1, 512),)),
        App(1, 0, b"long name"),
        App(1, 0, b"name", b"abc"),
        SourceDescription((SdesChunk(1, (SdesItem(sdes.CNAME, "x" * 256),)),)),
    ],
)
def test_what_the_format_cannot_hold_is_not_written(packet: RtcpPacket) -> None:
    with pytest.raises(ValueError):
        bytes(packet)


@given(U32, st.integers(0, (1 << 63)), st.integers(0, 1 << 40), st.data(), U64, st.booleans())
def test_ranges_survive(ssrc: int, first: int, span: int, data: st.DataObject, time: int, final: bool) -> None:
    count = data.draw(st.integers(0, span))
    sent = SenderRange(ssrc, first + 1, first + span, count, time, final)
    (app,) = compound.parse(bytes(sent.to_app()))
    assert isinstance(app, App)
    assert sender_range.parse(app) == sent


@given(U32, U32, U64)
def test_acknowledgements_survive(ssrc: int, media_ssrc: int, last: int) -> None:
    acknowledgement = RangeAcknowledgement(ssrc, media_ssrc, last)
    (app,) = compound.parse(bytes(acknowledgement.to_app()))
    assert isinstance(app, App)
    assert sender_range.parse(app) == acknowledgement


def test_range_is_laid_out_as_docs_wire_says() -> None:
    data = bytes(SenderRange(0xA1A2A3A4, 0x1_0005, 0x2_0006, 0x9, 0xB1B2B3B4C1C2C3C4, final=True).to_app())
    expected = (
        "80cc000b a1a2a3a4 53435354 00000000 00010005 00000000 0002000600000000 00000009 b1b2b3b4 c1c2c3c4 80000000"
    )
    assert data == bytes.fromhex(expected)
    acknowledgement = bytes(RangeAcknowledgement(0xA1A2A3A4, 0xB1B2B3B4, 0x2_0006).to_app())
    assert acknowledgement == bytes.fromhex("81cc0006 a1a2a3a4 53435354 b1b2b3b4 00000000 00000000 00020006")


def test_a_range_that_contradicts_itself() -> None:
    with pytest.raises(Malformed):
        sender_range.parse(SenderRange(1, 10, 12, 4, 0).to_app())
    with pytest.raises(Malformed):
        sender_range.parse(SenderRange(1, 10, 3, 0, 0).to_app())


def test_ranges_of_others_and_of_later_versions() -> None:
    sent = SenderRange(1, 10, 12, 3, 7)
    app = sent.to_app()
    assert sender_range.parse(App(1, 0, b"OTHR", app.data)) is None
    assert sender_range.parse(App(1, 9, b"SCST", app.data)) is None
    longer = App(1, 0, b"SCST", app.data + b"more")
    assert sender_range.parse(longer) == sent
    with pytest.raises(Truncated):
        sender_range.parse(App(1, 0, b"SCST", app.data[:-4]))
