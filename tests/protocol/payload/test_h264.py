"""H.264 (RFC 6184)."""

from __future__ import annotations

import base64

import pytest

from protocol.errors import Malformed, ProtocolError, Truncated, Unsupported
from protocol.payload import h264
from protocol.payload.h264 import Depacketizer, Packetizer, nal_units
from tests.protocol.payload.streams import decode, encode, pictures, same

SPS, PPS = bytes.fromhex("6742c01eda"), bytes.fromhex("68ce3c80")[:3]
IDR, SLICE, MIDDLE = b"\x65\x88idr", b"\x41\x9aslice", b"\x41\x41second slice"
AUD = b"\x09\xf0"
FAST = {"preset": "ultrafast", "tune": "zerolatency", "threads": "1"}


def annexb(*units: bytes) -> bytes:
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def test_start_codes_of_three_and_four_bytes() -> None:
    stream = b"\0\0\0\1" + SPS + b"\0\0\1" + PPS + b"\0\0\0\0\1" + IDR + b"\0\0"
    assert nal_units(stream) == [SPS, PPS, IDR]
    assert nal_units(b"\0\0\1") == []
    for bad in (b"", IDR, b"x\0\0\1" + IDR, len(IDR).to_bytes(4, "big") + IDR):
        with pytest.raises(Malformed):
            nal_units(bad)


def test_small_units_share_a_stap_a() -> None:
    # §5.7.1, figure 7: the header has the highest NRI, each unit its size in 16 bits before it.
    (payload,) = Packetizer().packetize(annexb(SPS, PPS, IDR), 1200)
    assert payload == b"\x78" + b"\0\5" + SPS + b"\0\3" + PPS + b"\0\5" + IDR
    assert Packetizer().packetize(annexb(SLICE), 1200) == [SLICE]
    assert Packetizer().packetize(b"", 1200) == []


def test_a_stap_a_stays_within_the_packet() -> None:
    units = [b"\x41" + bytes([1]) * size for size in (30, 40, 25, 99, 5)]
    payloads = Packetizer().packetize(annexb(*units), 100)
    assert [len(payload) for payload in payloads] == [1 + 33 + 43, 26, 100, 6]
    assert Depacketizer().depacketize(payloads) == annexb(*units)


def test_large_units_are_fragmented() -> None:
    unit = b"\x65" + bytes(range(1, 251))
    payloads = Packetizer().packetize(annexb(unit), 100)
    # §5.8: FU indicator F, NRI 3, type 28; FU header S, E, R, type 5.
    assert [payload[:2].hex() for payload in payloads] == ["7c85", "7c05", "7c45"]
    assert b"".join(payload[2:] for payload in payloads) == unit[1:]
    assert all(len(payload) <= 100 for payload in payloads)
    assert Depacketizer().depacketize(payloads) == annexb(unit)


def test_delimiters_and_filler_are_left_out() -> None:
    assert Packetizer().packetize(annexb(AUD, SLICE, b"\x0c\xff\xff\x80"), 1200) == [SLICE]
    assert Packetizer().packetize(annexb(AUD), 1200) == []


def test_whole_units_survive_a_hole() -> None:
    unit, other = b"\x65" + bytes([7]) * 250, b"\x41" + bytes([9]) * 250
    payloads: list[bytes | None] = list(Packetizer().packetize(annexb(SPS, PPS, unit, other), 100))
    assert len(payloads) == 1 + 3 + 3
    depacketizer = Depacketizer()
    for missing, kept in {0: [unit, other], 1: [SPS, PPS, other], 2: [SPS, PPS, other], 6: [SPS, PPS, unit]}.items():
        damaged = [None if i == missing else payload for i, payload in enumerate(payloads)]
        assert depacketizer.depacketize(damaged) == annexb(*kept)
    # The end of one unit and the start of the next are gone, and what is left looks continuous.
    assert depacketizer.depacketize([*payloads[:3], *payloads[5:]]) == annexb(SPS, PPS)
    with pytest.raises(Truncated):
        depacketizer.depacketize([None, *payloads[2:4]])


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("", "h264_payload"),
        ("00", "h264_packet_type"),
        ("1900000001410000", "h264_packet_type"),  # STAP-B
        ("1d85000041", "h264_packet_type"),  # FU-B
        ("1f00", "h264_packet_type"),
        ("c100", "h264_forbidden_bit"),
        ("18", "h264_stap_a"),
        ("18000541", "h264_stap_a"),
        ("1800", "h264_stap_a"),
        ("180000", "h264_stap_a"),
        ("1800017c", "h264_stap_a"),  # an FU-A inside
        ("1c85", "h264_fu_a"),
        ("1cc541", "h264_fu_a"),  # starts and ends
        ("1c9c41", "h264_fu_a"),  # of an FU-A
    ],
)
def test_broken_payloads(payload: str, reason: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        Depacketizer().depacketize([bytes.fromhex(payload)])
    assert caught.value.reason == reason
    assert Depacketizer().depacketize([SLICE, bytes.fromhex(payload)]) == annexb(SLICE)


def test_where_a_frame_begins() -> None:
    depacketizer = Depacketizer()
    for unit in (SPS, b"\x06\x05", IDR, SLICE, Packetizer().packetize(annexb(SPS, PPS), 99)[0]):
        assert depacketizer.begins(unit)
    assert not depacketizer.begins(MIDDLE)
    fragments = Packetizer().packetize(annexb(SLICE * 9), 30)
    assert [depacketizer.begins(fragment) for fragment in fragments] == [True] + [False] * (len(fragments) - 1)
    assert not depacketizer.begins(Packetizer().packetize(annexb(MIDDLE * 9), 30)[0])


def test_parameter_sets_out_of_band() -> None:
    # The example of RFC 6184 §8.2.1's SDP: profile-level-id=42A01E with these parameter sets.
    value = "Z0IACpZTBYmI,aMljiA=="
    units = [base64.b64decode(part) for part in value.split(",")]
    stream = annexb(*units)
    assert h264.parameter_sets(annexb(AUD, *units, IDR)) == value
    assert h264.profile_level_id(stream) == "42000a"
    assert h264.format_parameters(stream)["packetization-mode"] == "1"
    depacketizer = Depacketizer({"sprop-parameter-sets": value, "packetization-mode": "1"})
    assert depacketizer.out_of_band() == stream
    assert depacketizer.key_frame(annexb(IDR))
    assert not depacketizer.key_frame(annexb(SLICE))
    for bad in ("!!", "Z0I"):
        with pytest.raises(Malformed):
            Depacketizer({"sprop-parameter-sets": bad})
    with pytest.raises(Malformed):
        h264.profile_level_id(annexb(IDR))


def test_only_mode_one_is_sent_and_none_is_interleaved() -> None:
    for mode in ("0", "2"):
        with pytest.raises(Unsupported):
            Packetizer({"packetization-mode": mode})
    with pytest.raises(Unsupported):
        Depacketizer({"packetization-mode": "2"})


def test_key_frames_need_parameter_sets_from_somewhere() -> None:
    assert h264.key_frame(annexb(SPS, PPS, IDR))
    assert not h264.key_frame(annexb(IDR))
    assert not h264.key_frame(b"nothing")
    depacketizer = Depacketizer()
    frame = annexb(IDR)
    assert not depacketizer.key_frame(frame)
    depacketizer.depacketize([SPS, PPS, SLICE])
    assert depacketizer.key_frame(frame)
    # A recovery point (SEI 6) behind a message of 300 bytes with an emulation prevention byte in it.
    sei = b"\x06\x05\xff\x2d" + b"\0\0\3" + bytes([1]) * 298 + b"\x06\x01\xc4\x80"
    assert h264.key_frame(annexb(SPS, PPS, sei, SLICE))
    assert not h264.key_frame(annexb(SPS, PPS, sei[:-4] + b"\x80", SLICE))


@pytest.mark.parametrize(
    "parameters",
    ["keyint=6", "keyint=6:slices=4", "keyint=6:slice-max-size=400", "keyint=6:aud=1:nal-hrd=cbr:filler=1",
     "keyint=6:intra-refresh=1", "keyint=6:annexb=1:repeat-headers=1:bframes=0:cabac=1"],
)  # fmt: skip
@pytest.mark.parametrize("room", [200, 1188, 9000])
def test_x264_decodes_the_same(parameters: str, room: int) -> None:
    hrd = ":vbv-maxrate=2000:vbv-bufsize=500" if "hrd" in parameters else ""
    units = encode("libx264", pictures(12), FAST | {"x264-params": parameters + hrd})
    depacketizer = Depacketizer()
    out = []
    for unit in units:
        payloads = Packetizer().packetize(unit, room)
        assert all(0 < len(payload) <= room for payload in payloads)
        assert depacketizer.begins(payloads[0])
        out.append(depacketizer.depacketize(payloads))
    assert len(out) == 12
    assert same(decode("h264", out), decode("h264", units))
    keys = [number for number, unit in enumerate(out) if h264.key_frame(unit)]
    assert keys[0] == 0
    assert len(keys) >= 2, "a recovery point or an IDR picture every six frames"


def test_x264_parameter_sets() -> None:
    units = encode("libx264", pictures(2), FAST | {"profile": "baseline"})
    assert h264.profile_level_id(units[0])[:2] == "42"  # profile_idc 66
    bare = [h264.to_annexb([u for u in nal_units(unit) if u[0] & 31 not in (7, 8)]) for unit in units]
    sets = Depacketizer(h264.format_parameters(units[0])).out_of_band()
    assert same(decode("h264", bare, sets), decode("h264", units))
