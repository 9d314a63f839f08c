"""Extended reports: by hand from RFC 3611, by Wireshark, there and back, and from any bytes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ProtocolError
from protocol.rtcp import compound, header, trace, xr
from protocol.rtcp.rr import ReceiverReport
from protocol.rtcp.xr import (
    DelaySinceReferenceTime,
    Echo,
    ExtendedReport,
    ReferenceTime,
    RunLengths,
    Spread,
    StatisticsSummary,
    UnknownBlock,
    VoipMetrics,
)
from tests.protocol.test_rtcp_wireshark import PORT, write_capture

METRICS = VoipMetrics(
    5, 13, 5, 40, 2, 300, 9000, 43, 97, -20, -70, 30, 16, 82, xr.UNAVAILABLE, 41, 39, 0xF4, 60, 120, 500
)
BY_HAND = {
    "reference time, §4.4": (ReferenceTime(0xB44DB705_20000000), "04000002 b44db705 20000000"),
    "DLRR, §4.5": (
        DelaySinceReferenceTime((Echo(0xA, 0xB7052000, 0x54000), Echo(0xB, 1, 2))),
        "05000006 0000000a b7052000 00054000 0000000b 00000001 00000002",
    ),
    # sixteen received, one more, one lost, thirteen received: 65516 to 65536 + 10
    "loss RLE, §4.1": (
        RunLengths(5, 65516, 11, (0x4010, 0xDFFF)),
        "01000003 00000005 ffec000b 4010dfff",
    ),
    "duplicate RLE, §4.2, thinned": (
        RunLengths(5, 0, 8, (0x4004,), duplicates=True, thinning=1),
        "02010003 00000005 00000008 40040000",
    ),
    "statistics, §4.6: losses and duplicates": (
        StatisticsSummary(5, 1000, 1100, 7, 2),
        "06c00009 00000005 03e8044c 00000007 00000002" + "00000000" * 5,
    ),
    "statistics, §4.6: jitter and hop limit": (
        StatisticsSummary(5, 1000, 1100, None, None, Spread(1, 9, 4, 2), Spread(60, 64, 62, 1), ipv6=True),
        "06300009 00000005 03e8044c 00000000 00000000 00000001 00000009 00000004 00000002 3c403e01",
    ),
    "VoIP metrics, §4.7": (
        METRICS,
        "07000008 00000005 0d052802 012c2328 002b0061 ecba1e10 527f2927 f400003c 007801f4",
    ),
    "another": (UnknownBlock(14, 9, b"abcd"), "0e090001 61626364"),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_blocks_by_hand(name: str) -> None:
    block, octets = BY_HAND[name]
    body = bytes.fromhex(octets)
    assert bytes(block) == body
    packet = ExtendedReport(0x0A0A0A0A, (block,))
    written = bytes.fromhex(f"80cf{(4 + len(body)) // 4:04x}0a0a0a0a") + body
    assert bytes(packet) == written
    assert compound.parse(written) == [packet]


def test_a_trace_by_hand() -> None:
    """Sixteen received, one more, one lost, thirteen received."""
    told = np.array([True] * 17 + [False] + [True] * 13)
    assert trace.chunks(np.ones(16, bool)) == (0x4010,)
    assert trace.chunks(np.zeros(20_000, bool)) == (0x3FFF, 20_000 - 0x3FFF)
    assert trace.bits((0x4010, 0xDFFF), 31).tolist() == told.tolist()


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 60)), max_size=40))
def test_traces_there_and_back(runs: list[tuple[bool, int]]) -> None:
    told = np.array([value for value, length in runs for _ in range(length)], bool)
    made = trace.chunks(told)
    assert 0 not in made
    assert trace.bits(made, len(told)).tolist() == told.tolist()
    assert len(made) <= len(told) // 15 + len(runs) + 1


@given(st.lists(st.integers(0, 0xFFFF), max_size=50), st.integers(0, 1000))
def test_any_chunks_give_no_more_than_was_asked_for(chunks: list[int], count: int) -> None:
    assert len(trace.bits(chunks, count)) <= count


U8, U16, U32, U64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64))
S8 = st.integers(-128, 127)
CHUNKS = st.lists(st.integers(1, 0xFFFF), max_size=20).map(tuple)
WIDE, NARROW = st.none() | st.builds(Spread, U32, U32, U32, U32), st.builds(Spread, U8, U8, U8, U8)
BLOCKS: st.SearchStrategy[xr.Block] = st.one_of(
    st.builds(ReferenceTime, U64),
    st.builds(DelaySinceReferenceTime, st.lists(st.builds(Echo, U32, U32, U32), max_size=9).map(tuple)),
    st.builds(RunLengths, U32, U16, U16, CHUNKS, st.booleans(), st.integers(0, 15)),
    st.builds(StatisticsSummary, U32, U16, U16, st.none() | U32, st.none() | U32, WIDE, st.none()),
    st.builds(StatisticsSummary, U32, U16, U16, st.none() | U32, st.none() | U32, WIDE, NARROW, st.booleans()),
    st.builds(VoipMetrics, U32, *[U8] * 4, *[U16] * 4, S8, S8, *[U8] * 7, *[U16] * 3),
    st.builds(UnknownBlock, st.sampled_from([0, 3, 8, 255]), U8, st.binary(max_size=5).map(lambda data: data * 4)),
)


@given(st.lists(BLOCKS, max_size=6).map(tuple))
def test_there_and_back(blocks: tuple[xr.Block, ...]) -> None:
    packets = [ReceiverReport(1), ExtendedReport(0xFFFFFFFF, blocks)]
    assert compound.parse(compound.serialize(packets)) == packets


@given(U8, st.lists(st.tuples(st.integers(0, 9), U8, st.integers(0, 12), st.binary(max_size=40)), max_size=4))
def test_any_blocks_give_a_value_or_a_protocol_error(count: int, parts: list[tuple[int, int, int, bytes]]) -> None:
    body = b"".join(bytes([kind, specific, 0, words]) + data for kind, specific, words, data in parts)
    body = body[: len(body) // 4 * 4]
    try:
        (packet,) = compound.parse(header.pack(header.EXTENDED_REPORT, count & 31, body))
    except ProtocolError:
        return
    assert compound.parse(bytes(packet)) == [packet]


@pytest.mark.parametrize(
    "octets",
    ["80cf0000", "80cf0002 00000001 04000002", "80cf0003 00000001 04000001 00000000", "80cf0002 00000001 01000000"],
    ids=["no SSRC", "a block longer than its packet", "a short reference time", "a trace without its head"],
)
def test_broken_blocks_are_refused(octets: str) -> None:
    with pytest.raises(ProtocolError, match="rtcp_xr"):
        compound.parse(bytes.fromhex(octets))


EXPECTED = {
    "rtcp.xr.bt": "4,5,1,2,6,6,7",
    "rtcp.xr.lrr": f"{0xB7052000},1",
    "rtcp.xr.dlrr": f"{0x54000},2",
    "rtcp.xr.beginseq": "65516,0,1000,1000",
    "rtcp.xr.endseq": "11,8,1100,1100",
    "rtcp.xr.tf": "0,1",
    "rtcp.xr.stats.lost": "7,0",
    "rtcp.xr.stats.dups": "2,0",
    "rtcp.xr.stats.meanjitter": "0,4",
    "rtcp.xr.stats.meanttl": "0,62",
    "rtcp.xr.voipmetrics.burstduration": "300",
    "rtcp.xr.voipmetrics.rtdelay": "43",
    "rtcp.xr.voipmetrics.signallevel": "-20",
    "rtcp.xr.voipmetrics.gmin": "16",
    "rtcp.xr.voipmetrics.rfactor": "82",
    "rtcp.xr.voipmetrics.moslq": "4.1",
    "rtcp.xr.voipmetrics.jbabsmax": "500",
    "rtcp.length_check": "1",
    "_ws.malformed": "",
}


def test_wireshark_reads_what_was_meant(tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    known = tuple(block for block, _ in BY_HAND.values() if not isinstance(block, UnknownBlock))
    path = tmp_path / "xr.pcap"
    write_capture(path, [compound.serialize([ReceiverReport(1), ExtendedReport(1, known)])])
    command = [tshark, "-r", str(path), "-d", f"udp.port=={PORT},rtcp", "-T", "fields", "-E", "separator=|"]
    for name in EXPECTED:
        command += ["-e", name]
    run = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert dict(zip(EXPECTED, run.stdout.rstrip("\n").split("|"), strict=True)) == EXPECTED
