import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol import rtp
from protocol.datagram import Batch
from protocol.errors import Malformed, ProtocolError, Truncated, UsageError
from protocol.rtp import RtpPacket

# The first packet of `ffmpeg -c:a pcm_mulaw -f rtp`, cut; fields as tshark reads them.
FFMPEG = bytes.fromhex("80000a2527b720f7413ae282ffc8bab3afafb2b9")

# RFC 8285 §4.2: three elements of one, two and four bytes, with padding between; §4.3: the two-byte form.
ONE_BYTE = bytes.fromhex("10aa 21bbcc 0000 33dddddddd")
TWO_BYTE = bytes.fromhex("0100 0201bb 00 0304dddddddd")


@st.composite
def packets(draw: st.DrawFn) -> RtpPacket:
    extensions = draw(st.dictionaries(st.integers(1, 255), st.binary(max_size=40), max_size=4))
    profile = draw(
        st.none() | st.tuples(st.integers(0, 0xFFF), st.binary(max_size=12).map(lambda b: b + bytes(-len(b) % 4)))
    )
    return RtpPacket(
        payload_type=draw(st.integers(0, 127)),
        sequence_number=draw(st.integers(0, 0xFFFF)),
        timestamp=draw(st.integers(0, 0xFFFF_FFFF)),
        ssrc=draw(st.integers(0, 0xFFFF_FFFF)),
        payload=draw(st.binary(max_size=60)),
        marker=draw(st.booleans()),
        csrc=tuple(draw(st.lists(st.integers(0, 0xFFFF_FFFF), max_size=15))),
        extensions={} if profile else extensions,
        padding=draw(st.integers(0, 255)),
        profile_extension=profile,
    )  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A packet with bytes changed and its end cut off."""
    data = bytearray(bytes(draw(packets())))
    for _ in range(draw(st.integers(0, 3))):
        data[draw(st.integers(0, min(len(data) - 1, 24)))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


DATAGRAMS = (
    st.binary(max_size=80) | st.binary(max_size=40).map(lambda b: b"\x90" + b) | damaged() | packets().map(bytes)
)


def outcome(data: bytes) -> RtpPacket | ProtocolError:
    try:
        return rtp.parse(data)
    except ProtocolError as error:
        return error


def test_a_packet_of_ffmpeg() -> None:
    packet = rtp.parse(FFMPEG)
    assert (packet.payload_type, packet.marker, packet.sequence_number) == (0, False, 2597)
    assert (packet.timestamp, packet.ssrc) == (666312951, 0x413AE282)
    assert packet.payload == FFMPEG[12:]
    assert bytes(packet) == FFMPEG


def test_the_bits_of_the_header() -> None:
    packet = RtpPacket(96, 0x1234, 0xDEADBEEF, 0xCAFEBABE, b"abc", marker=True, csrc=(1, 2), padding=5)
    expected = "a2e01234deadbeefcafebabe0000000100000002" + "616263" + "0000000005"
    assert bytes(packet).hex() == expected


def test_one_byte_extension_of_rfc_8285() -> None:
    assert rtp.parse_extensions(0xBEDE, ONE_BYTE) == {1: b"\xaa", 2: b"\xbb\xcc", 3: b"\xdd" * 4}


def test_two_byte_extension_of_rfc_8285() -> None:
    assert rtp.parse_extensions(0x1007, TWO_BYTE) == {1: b"", 2: b"\xbb", 3: b"\xdd" * 4}


@pytest.mark.parametrize("stop", ["f0", "f2", "01", "0f"])
def test_reserved_identifiers_end_the_one_byte_form(stop: str) -> None:
    """§4.2: 15, and 0 with a length, stop the processing; what was before them counts."""
    body = bytes.fromhex("10aa" + stop + "20bb000000")
    assert rtp.parse_extensions(0xBEDE, body) == {1: b"\xaa"}


def test_the_form_is_chosen_by_what_must_fit() -> None:
    assert rtp.pack_extensions({1: b"x", 14: bytes(16)})[0] == 0xBEDE
    for elements in ({15: b"x"}, {1: b""}, {1: bytes(17)}):
        assert rtp.pack_extensions(elements)[0] == 0x1000


@pytest.mark.parametrize("elements", [{0: b"x"}, {256: b"x"}, {1: bytes(256)}])
def test_elements_that_fit_no_form(elements: dict[int, bytes]) -> None:
    with pytest.raises(UsageError):
        rtp.pack_extensions(elements)


@pytest.mark.parametrize(
    ("data", "error", "reason"),
    [
        ("", Truncated, "rtp_header"),
        ("80" * 11, Truncated, "rtp_header"),
        ("00" * 12, Malformed, "rtp_version"),
        ("81" + "00" * 11, Truncated, "rtp_csrc"),
        ("90" + "00" * 11, Truncated, "rtp_extension"),
        ("90" + "00" * 11 + "bede0001", Truncated, "rtp_extension"),
        ("90" + "00" * 11 + "bede00011f000000", Truncated, "rtp_extension"),
        ("a0" + "00" * 12, Malformed, "rtp_padding"),
        ("a0" + "00" * 11 + "02", Malformed, "rtp_padding"),
        ("a0" + "00" * 11, Malformed, "rtp_padding"),
    ],
)
def test_what_is_refused(data: str, error: type[ProtocolError], reason: str) -> None:
    with pytest.raises(error) as raised:
        rtp.parse(bytes.fromhex(data))
    assert raised.value.reason == reason
    assert reason in rtp.REASONS


@given(packets())
def test_every_packet_survives(packet: RtpPacket) -> None:
    assert rtp.parse(bytes(packet)) == packet


@given(DATAGRAMS)
def test_any_bytes_are_a_packet_or_our_error(data: bytes) -> None:
    packet = outcome(data)
    if isinstance(packet, ProtocolError):
        assert packet.reason in rtp.REASONS
    else:
        assert rtp.parse(bytes(packet)) == packet


@given(st.lists(DATAGRAMS, max_size=12))
@example([])
@example([b""])
@example([b"\x80" * 3, b"\x80" * 8])
@example([FFMPEG, b"\x80"])
def test_batch_agrees_with_parse(datagrams: list[bytes]) -> None:
    batch = Batch.of(datagrams, 0)
    headers = rtp.parse_batch(batch)
    assert len(headers) == len(datagrams)
    for i, data in enumerate(datagrams):
        _check_row(headers, batch, i, data)


def _check_row(headers: rtp.Headers, batch: Batch, i: int, data: bytes) -> None:
    packet = outcome(data)
    if isinstance(packet, ProtocolError):
        inside_elements = packet.reason == "rtp_extension" and "element" in str(packet)
        assert rtp.REASONS[headers.reason[i]] == packet.reason or (inside_elements and headers.reason[i] in (0, 5))
        return
    start, size = int(headers.payload_offset[i]), int(headers.payload_length[i])
    row = (headers.payload_type, headers.marker, headers.sequence_number, headers.timestamp, headers.ssrc)
    assert headers.reason[i] == 0
    assert [field[i] for field in row] == [
        packet.payload_type, packet.marker, packet.sequence_number, packet.timestamp, packet.ssrc,
    ]  # fmt: skip
    assert batch.buffer[start : start + size].tobytes() == packet.payload


@pytest.mark.parametrize("datagrams", [[], [b""], [b"\x80"], [FFMPEG], [FFMPEG, b"\x80"]])
def test_batch_has_the_promised_types(datagrams: list[bytes]) -> None:
    headers = rtp.parse_batch(Batch.of(datagrams, 0))
    kinds = [getattr(headers, name).dtype for name in rtp.Headers.__slots__]
    expected = (np.uint8, np.uint8, np.bool_, np.uint16, np.uint32, np.uint32, np.int64, np.int64)
    assert kinds == [np.dtype(kind) for kind in expected]


def test_batch_finds_datagrams_anywhere_in_a_buffer() -> None:
    """As a socket leaves them: gaps between, in no order, junk around."""
    second = bytes(RtpPacket(5, 6, 7, 8, b"later"))
    buffer = np.full(200, 0xFF, np.uint8)
    buffer[100:120] = np.frombuffer(FFMPEG, np.uint8)
    buffer[3 : 3 + len(second)] = np.frombuffer(second, np.uint8)
    offsets, lengths = np.array([100, 3]), np.array([20, len(second)])
    headers = rtp.parse_batch(Batch(buffer, offsets, lengths, np.zeros(2, np.int64), None))
    assert headers.ssrc.tolist() == [0x413AE282, 8]
    assert headers.payload_offset.tolist() == [112, 15]


def test_selected_rows() -> None:
    headers = rtp.parse_batch(Batch.of([bytes(RtpPacket(96, i, 0, 1)) for i in range(4)], 0))
    assert headers.select(headers.sequence_number > 1).sequence_number.tolist() == [2, 3]


@given(st.lists(st.binary(max_size=6), max_size=8))
@example([b"\x80"])
@example([b"", b"\x80\xc8"])
def test_rtcp_is_told_by_its_second_octet(datagrams: list[bytes]) -> None:
    expected = [len(d) >= 2 and 192 <= d[1] <= 223 for d in datagrams]
    assert rtp.rtcp_mask(Batch.of(datagrams, 0)).tolist() == expected
