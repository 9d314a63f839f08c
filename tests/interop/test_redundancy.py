"""GStreamer protects (RED, ULPFEC), packets are dropped by seed, ours give them back: octet for octet."""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

from protocol import red, rtp
from protocol.payload import opus
from protocol.rtp import RtpPacket
from protocol.serial import Unwrapper
from receiver.repair.red import Unpacker
from receiver.repair.ulpfec import XorRebuilder
from tests.interop.gstreamer import LAUNCH
from tests.support import peers

FEC, RED = 103, 101
VIDEO = (
    "videotestsrc num-buffers=120 pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1 ! "
    "x264enc tune=zerolatency bitrate=900 key-int-max=30 threads=1 ! rtph264pay pt=96 mtu=1000"
)
SOUND = "audiotestsrc num-buffers=150 samplesperbuffer=960 ! audio/x-raw,rate=48000 ! opusenc ! rtpopuspay pt=97"
PROTECT = {
    "ulpfec": f"rtpulpfecenc pt={FEC} percentage=50",
    "ulpfec over several frames, few": f"rtpulpfecenc pt={FEC} percentage=20 multipacket=true",
    "ulpfec in red": f"rtpulpfecenc pt={FEC} percentage=50 ! rtpredenc pt={RED}",
}


def capture(pipeline: str, folder: Path) -> list[bytes]:
    """What GStreamer sends, until it sends no more."""
    peers.need("gst-launch-1.0")
    datagrams = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sock.bind(("127.0.0.1", 0))
        sink = f"udpsink sync=false host=127.0.0.1 port={sock.getsockname()[1]}"
        with peers.Process([*LAUNCH, *f"{pipeline} ! {sink}".split()], folder, "gstreamer") as process:
            assert process.wait(40) == 0, process.log
        sock.setblocking(False)
        while True:
            try:
                datagrams.append(sock.recv(65_536))
            except BlockingIOError:
                return datagrams


@dataclass(frozen=True)
class Unwrapped:
    """An RTP packet as it was before RED."""

    number: int
    packet: RtpPacket
    datagram: bytes


def unwrap(datagrams: list[bytes]) -> list[Unwrapped]:
    numbers, out = Unwrapper(16), []
    for datagram in datagrams:
        if rtp.parse(datagram).payload_type == RED:
            inside = red.parse(rtp.parse(datagram).payload)
            assert not inside.redundant
            datagram = (
                datagram[:1] + bytes([datagram[1] & 0x80 | inside.payload_type]) + datagram[2:12] + inside.payload
            )
        packet = rtp.parse(datagram)
        out.append(Unwrapped(numbers.unwrap(packet.sequence_number), packet, datagram))
    return out


@pytest.mark.parametrize("how", PROTECT)
def test_ulpfec(how: str, tmp_path: Path) -> None:
    sent = unwrap(capture(f"{VIDEO} ! {PROTECT[how]}", tmp_path))
    media = {each.number: each.datagram for each in sent if each.packet.payload_type == 96}
    assert len(media) > 200
    dice = random.Random(how)
    gone = {each.number for each in sent[1:] if dice.random() < 0.05}
    rebuilder, rebuilt = XorRebuilder(sent[0].packet.ssrc), {}
    for each in sent:
        if each.number in gone:
            continue
        if each.packet.payload_type == FEC:
            found = rebuilder.repair(each.packet.payload)
        else:
            found = rebuilder.observe(each.number, each.datagram)
        for number, datagram in found:
            assert number not in rebuilt
            rebuilt[number] = datagram
    lost = gone & media.keys()
    assert rebuilt == {number: media[number] for number in rebuilt}
    assert rebuilt.keys() <= lost
    assert len(rebuilt) >= (0.6 * len(lost) if "few" not in how else 1)
    assert rebuilder.statistics().refused == {}


@pytest.mark.parametrize("distance", [1, 2])
def test_red_of_sound(distance: int, tmp_path: Path) -> None:
    datagrams = capture(f"{SOUND} ! rtpredenc pt={RED} distance={distance} allow-no-red-blocks=true", tmp_path)
    numbers, timestamps = Unwrapper(16), Unwrapper(32)
    packets = [rtp.parse(datagram) for datagram in datagrams]
    sent = [(numbers.unwrap(p.sequence_number), timestamps.unwrap(p.timestamp), p.payload) for p in packets]
    truth = {number: (timestamp, red.parse(payload).payload) for number, timestamp, payload in sent}
    assert len(truth) >= 100
    dice = random.Random(distance)
    gone = {number for number, _, _ in sent[2:] if dice.random() < 0.2}
    unpacker, found = Unpacker(opus.packet_samples), {}
    for number, timestamp, payload in sent:
        if number not in gone:
            _, copies = unpacker.unpack(number, timestamp, payload)
            found |= {copy.number: (copy.timestamp, copy.payload) for copy in copies}
    assert found == {n: truth[n] for n in gone if n + distance in truth and n + distance not in gone}
    refused = unpacker.statistics().refused
    assert refused.keys() <= {"red_offset"}
    assert refused.get("red_offset", 0) <= distance, "GStreamer's first packet is 648 ticks long and says 960"
