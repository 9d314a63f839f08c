"""What we write, read by Wireshark's own dissector."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from protocol.rtcp import compound, sdes
from protocol.rtcp.bye import Bye
from protocol.rtcp.compound import RtcpPacket
from protocol.rtcp.fir import FullIntraRequest
from protocol.rtcp.nack import Nack
from protocol.rtcp.pli import PictureLossIndication
from protocol.rtcp.range import SenderRange
from protocol.rtcp.report_block import ReportBlock
from protocol.rtcp.rr import ReceiverReport
from protocol.rtcp.sdes import SdesChunk, SdesItem, SourceDescription
from protocol.rtcp.sr import SenderReport
from protocol.rtcp.tmmbr import BitrateRequest, Limit

PORT = 5005
BLOCK = ReportBlock(0x0B0B0B0B, 25, -3, 0x0002_1234, 77, 0xB705_2000, 0x0005_4000)
SOURCE = SourceDescription((SdesChunk(0x0A0A0A0A, (SdesItem(sdes.CNAME, "a@b"), SdesItem(sdes.TOOL, "tool"))),))
RANGE = SenderRange(0x0A0A0A0A, 0x1_0000, 0x1_0063, 99, 0xEEAE6377_05E353F7, final=True)

DATAGRAMS: list[list[RtcpPacket]] = [
    [
        SenderReport(0x0A0A0A0A, 0xEEAE6377_05E353F7, 0xFEDC_BA98, 100, 54321, (BLOCK,)),
        SOURCE,
        RANGE.to_app(),
        Bye((0x0A0A0A0A, 0x0C0C0C0C), "done"),
    ],
    [ReceiverReport(0x0A0A0A0A, (BLOCK, BLOCK)), SOURCE, Nack(0x0A0A0A0A, 0x0B0B0B0B, (1000, 1001, 1004, 1041))],
    [ReceiverReport(0x0A0A0A0A), SOURCE, PictureLossIndication(0x0A0A0A0A, 0x0B0B0B0B)],
    [ReceiverReport(0x0A0A0A0A), SOURCE, FullIntraRequest(0x0A0A0A0A, ((0x0B0B0B0B, 7), (0x0C0C0C0C, 255)))],
    [ReceiverReport(0x0A0A0A0A), SOURCE, BitrateRequest(0x0A0A0A0A, (Limit(0x0B0B0B0B, 312_000, 40),))],
]

# field name: what each of the five datagrams must show, all occurrences in order
EXPECTED = {
    "rtcp.pt": ["200,202,204,203", "201,202,205", "201,202,206", "201,202,206", "201,202,205"],
    "rtcp.rc": ["1", "2", "0", "0", "0"],
    "rtcp.timestamp.ntp.msw": [str(0xEEAE6377), "", "", "", ""],
    "rtcp.timestamp.ntp.lsw": [str(0x05E353F7), "", "", "", ""],
    "rtcp.timestamp.rtp": [str(0xFEDCBA98), "", "", "", ""],
    "rtcp.sender.packetcount": ["100", "", "", "", ""],
    "rtcp.sender.octetcount": ["54321", "", "", "", ""],
    "rtcp.ssrc.fraction": ["25", "25,25", "", "", ""],
    "rtcp.ssrc.cum_nr": ["-3", "-3,-3", "", "", ""],
    "rtcp.ssrc.ext_high": [str(0x21234), f"{0x21234},{0x21234}", "", "", ""],
    "rtcp.ssrc.jitter": ["77", "77,77", "", "", ""],
    "rtcp.ssrc.lsr": [str(0xB7052000), f"{0xB7052000},{0xB7052000}", "", "", ""],
    "rtcp.ssrc.dlsr": [str(0x54000), f"{0x54000},{0x54000}", "", "", ""],
    "rtcp.sdes.text": ["a@b,tool,done", "a@b,tool", "a@b,tool", "a@b,tool", "a@b,tool"],
    "rtcp.app.name": ["SCST", "", "", "", ""],
    "rtcp.app.subtype": ["0", "", "", "", ""],
    "rtcp.app.data": [bytes(RANGE.to_app())[12:].hex(), "", "", "", ""],
    "rtcp.rtpfb.nack_pid": ["", "1000,1001,1004,1041", "", "", ""],  # Wireshark lists every packet the pairs name
    "rtcp.rtpfb.nack_blp": ["", "0x0009,0x0000", "", "", ""],
    "rtcp.psfb.fmt": ["", "", "1", "4", ""],
    "rtcp.mediassrc": ["", "0x0b0b0b0b", "0x0b0b0b0b", "0x00000000", "0x00000000"],
    "rtcp.psfb.fir.fci.ssrc": ["", "", "", "0x0b0b0b0b,0x0c0c0c0c", ""],
    "rtcp.psfb.fir.fci.csn": ["", "", "", "7,255", ""],
    "rtcp.length_check": ["1", "1", "1", "1", "1"],
    "_ws.expert": ["", "", "", "", ""],
    "_ws.malformed": ["", "", "", "", ""],
    "rtcp.rtpfb.tmmbr.fci.ssrc": ["", "", "", "", "0x0b0b0b0b"],
    "rtcp.rtpfb.tmmbr.fci.exp": ["", "", "", "", "2"],
    "rtcp.rtpfb.tmmbr.fci.mantissa": ["", "", "", "", "78000"],
    "rtcp.rtpfb.tmmbr.fci.measuredoverhead": ["", "", "", "", "40"],
}


def write_capture(path: Path, datagrams: list[bytes]) -> None:
    """A classic pcap of bare IPv4 (LINKTYPE_RAW, 101) with UDP on PORT."""
    records = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)]
    for number, data in enumerate(datagrams):
        udp = struct.pack("!HHHH", PORT, PORT, 8 + len(data), 0) + data
        address = bytes([127, 0, 0, 1])
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), number, 0, 64, 17, 0, address, address)
        records.append(struct.pack("<IIII", number, 0, 20 + len(udp), 20 + len(udp)) + ip + udp)
    path.write_bytes(b"".join(records))


@pytest.fixture(scope="module")
def dissected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What tshark says of each datagram, by field."""
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    path = tmp_path_factory.mktemp("rtcp") / "rtcp.pcap"
    write_capture(path, [compound.serialize(packets) for packets in DATAGRAMS])
    command = [tshark, "-r", str(path), "-d", f"udp.port=={PORT},rtcp", "-T", "fields", "-E", "separator=|"]
    for name in EXPECTED:
        command += ["-e", name]
    run = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    rows = [line.split("|") for line in run.stdout.splitlines()]
    return {name: [row[i] for row in rows] for i, name in enumerate(EXPECTED)}


@pytest.mark.parametrize("name", EXPECTED)
def test_wireshark_reads_what_was_meant(dissected: dict[str, list[str]], name: str) -> None:
    assert dissected[name] == EXPECTED[name]
