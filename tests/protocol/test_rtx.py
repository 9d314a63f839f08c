from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import rtx
from protocol.errors import ProtocolError, Truncated
from protocol.rtcp import repair_offer
from protocol.rtcp.app import App
from protocol.rtcp.nack import MAX_PAIRS, Nack
from protocol.rtcp.repair_offer import RepairOffer
from protocol.rtp import RtpPacket, parse


def test_the_layout_of_rfc_4588() -> None:
    """§4: the header is the original's but for SSRC, number and payload type; the OSN stands before the payload."""
    original = bytes.fromhex("80e0fffe 00001000 11111111 aabbcc".replace(" ", ""))
    assert rtx.pack(original, 112, 7, 0x33333333).hex(" ", -4) == "80f00007 00001000 33333333 fffeaabb cc"


def test_csrcs_and_extensions_stay_in_front() -> None:
    original = RtpPacket(96, 5, 9, 1, b"payload", csrc=(1, 2), extensions={1: b"x"})
    again = parse(rtx.pack(bytes(original), 112, 77, 3))
    assert again.payload == b"\0\5payload"
    assert (again.csrc, again.extensions, again.timestamp) == ((1, 2), {1: b"x"}, 9)
    assert (again.payload_type, again.sequence_number, again.ssrc, again.marker) == (112, 77, 3, False)


@given(st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=40), st.booleans(), st.integers(0, 8))
def test_there_and_back(osn: int, number: int, payload: bytes, marker: bool, padding: int) -> None:
    original = RtpPacket(97, osn, 1 << 31, 4, payload, marker=marker, padding=padding)
    again = parse(rtx.pack(bytes(original), 113, number, 5))
    assert rtx.original_sequence_number(again.payload) == osn
    assert again.payload[rtx.OVERHEAD :] == payload
    assert again.marker == marker


def test_what_holds_no_original() -> None:
    assert rtx.original_sequence_number(b"") is None
    with pytest.raises(Truncated):
        rtx.original_sequence_number(b"\0")


def test_the_offer_as_docs_wire_draws_it() -> None:
    offer = RepairOffer(0x01020304, 0x0A0B0C0D, rtx=True, red=True, fec_share=64, red_depth=2, deadline_ms=150)
    drawn = "84cc0005 01020304 53435354 0a0b0c0d a0400200 00960000"
    assert bytes(offer.to_app()).hex(" ", -4) == drawn
    assert repair_offer.parse(offer.to_app()) == offer


def test_later_fields_and_flags_are_passed_over() -> None:
    app = RepairOffer(1, 2, fec=True).to_app()
    longer = App(app.ssrc, app.subtype, app.name, app.data[:4] + b"\x5f" + app.data[5:] + b"more")
    assert repair_offer.parse(longer) == RepairOffer(1, 2, fec=True)


def test_other_apps_are_no_offers() -> None:
    app = RepairOffer(1, 2).to_app()
    assert repair_offer.parse(App(1, 3, app.name, app.data)) is None
    assert repair_offer.parse(App(1, app.subtype, b"ABCD", app.data)) is None
    with pytest.raises(Truncated):
        repair_offer.parse(App(1, app.subtype, app.name, app.data[:-4]))


@given(st.binary(max_size=64), st.integers(0, 31))
def test_no_octets_do_more_than_raise(data: bytes, subtype: int) -> None:
    with suppress(ProtocolError):
        repair_offer.parse(App(1, subtype, b"SCST", data))
    with suppress(ProtocolError):
        rtx.original_sequence_number(data)


def test_a_request_for_more_than_anybody_keeps_is_read_in_part() -> None:
    """64 kB of pairs, each for seventeen numbers."""
    body = bytes(8) + b"\0\0\xff\xff" * 16_000
    assert len(Nack.parse(1, body).sequence_numbers) == 17 * MAX_PAIRS
