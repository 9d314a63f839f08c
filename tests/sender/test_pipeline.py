"""The sender as a whole, on loopback, against a small receiver that only counts and acknowledges."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol import rtp, sdp
from protocol.errors import ResourceError, UsageError
from protocol.rtcp import compound
from protocol.rtcp import range as sender_range
from protocol.rtcp.app import App
from protocol.rtcp.bye import Bye
from protocol.rtcp.pli import PictureLossIndication
from protocol.rtcp.rr import ReceiverReport
from sender import sources
from sender.config import SenderConfig, Target
from sender.pipeline import run
from sender.snapshot import Snapshot

RECEIVER = 0xFACE
SIZE = (64, 48)


class Peer:
    """Notes every datagram, acknowledges final ranges, asks for a key frame when told to."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self.target = Target("127.0.0.1", self._socket.getsockname()[1])
        self.packets: dict[int, list[rtp.RtpPacket]] = defaultdict(list)
        self.ranges: list[sender_range.SenderRange] = []
        self.goodbyes: set[int] = set()
        self.wanted_key_frame = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def encodings(self) -> set[int]:
        return {packets[0].payload_type for packets in self.packets.values()}

    def of_type(self, payload_type: int) -> list[rtp.RtpPacket]:
        return next((p for p in self.packets.values() if p[0].payload_type == payload_type), [])

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                data, address = self._socket.recvfrom(65_536)
            except OSError:
                continue
            if not 192 <= data[1] <= 223:
                packet = rtp.parse(data)
                self.packets[packet.ssrc].append(packet)
                self._request(packet, address)
                continue
            for each in compound.parse(data):
                self._handle(each, address)

    def _request(self, packet: rtp.RtpPacket, address: object) -> None:
        if self.wanted_key_frame and packet.payload_type == 96:
            self.wanted_key_frame = False
            request = (ReceiverReport(RECEIVER), PictureLossIndication(RECEIVER, packet.ssrc))
            self._socket.sendto(compound.serialize(request), address)  # type: ignore[arg-type]

    def _handle(self, packet: compound.RtcpPacket, address: object) -> None:
        if isinstance(packet, Bye):
            self.goodbyes |= set(packet.sources)
        if not isinstance(packet, App):
            return
        message = sender_range.parse(packet)
        assert isinstance(message, sender_range.SenderRange)
        self.ranges.append(message)
        if message.final:
            answer = sender_range.RangeAcknowledgement(RECEIVER, message.ssrc, message.last)
            self._socket.sendto(compound.serialize([answer.to_app()]), address)  # type: ignore[arg-type]


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


def send(config: SenderConfig, stop: threading.Event | None = None) -> tuple[int, dict[str, Any], list[str]]:
    lines: list[str] = []
    code, report = run(config, log=lines.append, status=None, stop=stop or threading.Event())
    json.dumps(report, allow_nan=False)
    return code, report, lines


def config_for(*targets: Target, **options: Any) -> SenderConfig:
    given = {name: options[name] for name in ("audio", "video") if name in options}
    chosen = {"audio": "tone", "video": "pattern", "size": SIZE, "duration": 400_000_000} | options
    return SenderConfig(targets, given=given, **chosen)


def y4m(pictures: int, width: int = 64, height: int = 48) -> bytes:
    frame = b"FRAME\n" + bytes(width * height * 3 // 2)
    return f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n".encode() + frame * pictures


def instantaneous_refreshes(packets: list[rtp.RtpPacket]) -> set[int]:
    """Timestamps of the pictures that hold a NAL unit of type 5 (RFC 6184 §5.3, §5.7.1, §5.8)."""
    found = set()
    for packet in packets:
        payload = packet.payload
        types = [payload[0] & 31]
        if types == [28]:
            types = [payload[1] & 31]
        elif types == [24]:
            types, at = [], 1
            while at < len(payload):
                types.append(payload[at + 2] & 31)
                at += 2 + int.from_bytes(payload[at : at + 2])
        if 5 in types:
            found.add(packet.timestamp)
    return found


def test_everything_sent_arrives_and_the_end_is_said(peer: Peer) -> None:
    code, report, lines = send(config_for(peer.target))
    assert code == 0
    assert report["error"] is None
    time.sleep(0.1)
    assert peer.encodings() == {96, 97}
    assert peer.goodbyes == set(peer.packets)
    for stream in report["streams"]:
        numbers = [p.sequence_number for p in peer.packets[stream["ssrc"]]]
        assert stream["ledger"]["sent"] == len(numbers)
        assert numbers == list(range(stream["first_sequence"], stream["last_sequence"] + 1))
        final = [r for r in peer.ranges if r.final and r.ssrc == stream["ssrc"]]
        assert (final[0].first, final[0].last, final[0].count) == (numbers[0], numbers[-1], len(numbers))
    assert report["socket"]["unparsed"] == {}
    assert lines == []


def test_every_target_gets_streams_of_its_own(peer: Peer) -> None:
    other = Peer()
    try:
        code, report, _ = send(config_for(peer.target, other.target, video="none"))
    finally:
        other.close()
    assert code == 0
    assert len(report["streams"]) == 2
    (mine,), (yours,) = peer.packets.values(), other.packets.values()
    assert mine[0].ssrc != yours[0].ssrc
    assert [p.payload for p in mine] == [p.payload for p in yours]


def test_a_lost_picture_is_answered_by_a_key_frame(peer: Peer) -> None:
    peer.wanted_key_frame = True
    code, report, _ = send(config_for(peer.target, audio="none", size=(320, 240), duration=900_000_000))
    assert code == 0
    (stream,) = report["streams"]
    assert stream["frames"]["key_frame_requests"] == 1
    assert len(instantaneous_refreshes(peer.of_type(96))) == 2
    assert "key_frame_request" in [event["kind"] for event in report["events"]]


def test_without_a_listener_the_exit_code_says_so(peer: Peer) -> None:
    peer.close()
    code, report, lines = send(config_for(peer.target))
    assert code == 3
    assert "nobody listens" in report["error"]
    assert len(lines) == 1
    assert report["duration_s"] < 2  # nobody to wait for


def test_one_listener_is_enough(peer: Peer) -> None:
    gone = Peer()
    gone.close()
    code, report, _ = send(config_for(gone.target, peer.target))
    assert code == 0
    assert [target["reached"] for target in report["targets"]] == [False, True]


def test_stop_ends_cleanly(peer: Peer) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    code, report, _ = send(config_for(peer.target, duration=None), stop)
    assert code == 0
    assert report["streams"][0]["ledger"]["sent"] > 0
    assert len(peer.goodbyes) == 2


def test_the_status_is_told_each_second(peer: Peer) -> None:
    seen: list[Snapshot] = []
    run(config_for(peer.target, duration=1_300_000_000), log=print, status=seen.append, stop=threading.Event())
    assert len(seen) == 1
    assert 0.4 < seen[0].time_s < 1.3
    assert sum(stream.packets for stream in seen[0].targets[0].statistics.streams) > 20


def test_pictures_of_a_fifo_are_sent_and_its_end_is_the_end(peer: Peer, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(y4m(10)))
    writer.start()
    code, report, lines = send(config_for(peer.target, video=str(fifo), audio="none", size=None, duration=None))
    writer.join()
    assert (code, lines) == (0, [])
    assert report["streams"][0]["frames"]["sent"] == 10
    assert sum(p.marker for p in peer.of_type(96)) == 10


def test_a_fifo_that_breaks_costs_one_line_and_the_sound_goes_on(peer: Peer, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(y4m(3)[:-100]))
    writer.start()
    code, report, lines = send(config_for(peer.target, video=str(fifo), size=None, duration=600_000_000))
    writer.join()
    assert code == 0
    assert len(lines) == 1
    assert "video ends" in lines[0]
    assert report["sources"][0]["error"]
    assert len(peer.of_type(97)) >= 20


def test_a_broken_fifo_alone_is_an_error(peer: Peer, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(y4m(3)[:-100]))
    writer.start()
    code, report, _ = send(config_for(peer.target, video=str(fifo), audio="none", size=None, duration=None))
    writer.join()
    assert code == 1
    assert report["error"]
    assert len(peer.goodbyes) == 1


def test_waiting_for_a_fifo_can_be_stopped(peer: Peer, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    code, report, _ = send(config_for(peer.target, video=str(fifo), audio="none", duration=None), stop)
    assert code == 0
    assert report["streams"] == []


def test_the_description_is_that_of_the_stream(peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "stream.sdp"
    _, report, lines = send(config_for(peer.target, sdp=str(path), duration=100_000_000))
    described = sdp.parse(path.read_bytes())
    assert [m.media for m in described.media] == [s["media"] for s in report["streams"]]
    for media, stream in zip(described.media, report["streams"], strict=True):
        (payload_type, form), *others = sdp.rtp_formats(media).items()
        assert (payload_type, form.encoding) == (stream["payload_type"], stream["encoding"])
        assert [(other.encoding, other.parameters) for _, other in others] == [("rtx", {"apt": str(payload_type)})]
        assert media.port == peer.target.port
        assert media.rtcp_mux
        assert list(media.sources) == [stream["ssrc"], stream["repair"]["ssrc"]]
    assert "sprop-parameter-sets" in sdp.rtp_formats(described.media[0])[96].parameters
    assert any("rtp://" in line for line in lines)


def test_a_missing_default_device_costs_one_line(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "open_microphone", _refuse)
    lines: list[str] = []
    config = SenderConfig((peer.target,), video="pattern", size=SIZE, duration=100_000_000, given={"video": "pattern"})
    code, _ = run(config, log=lines.append, status=None, stop=threading.Event())
    assert code == 0
    assert lines == ["no audio: there is no such device"]


def test_a_device_asked_for_by_name_must_be_there(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "open_microphone", _refuse)
    with pytest.raises(ResourceError, match="no such device"):
        send(config_for(peer.target, audio="mic"))


def test_with_no_device_at_all_it_says_what_works_without(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "open_microphone", _refuse)
    monkeypatch.setattr(sources, "open_camera", _refuse)
    with pytest.raises(ResourceError, match="--video pattern --audio tone"):
        run(SenderConfig((peer.target,)), log=print, status=None, stop=threading.Event())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"video": "missing.mp4"}, "missing.mp4"),
        ({"video_codec": "copy", "video": "pattern"}, "use h264"),
        ({"video_codec": "nonsense"}, "no video codec"),
        ({"audio_codec": "nonsense"}, "no audio codec"),
        ({"video_codec": "jpeg", "size": (4096, 2160)}, "2040"),
        ({"fps": 5.0, "video_codec": "copy", "video": "missing.mp4"}, "--fps"),
    ],
)
def test_what_cannot_be_is_one_line(peer: Peer, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        send(config_for(peer.target, **options))
    assert "\n" not in str(caught.value)


def test_an_sdp_that_cannot_be_written_is_one_line(peer: Peer, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="--sdp: cannot write"):
        send(config_for(peer.target, sdp=str(tmp_path / "missing" / "stream.sdp")))


def _refuse(*_: object, **__: object) -> None:
    raise ResourceError("there is no such device")
