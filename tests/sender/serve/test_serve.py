"""`serve` as a whole, on loopback, spoken to line by line."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocol import rtp, sdp
from protocol.command.security import Security
from protocol.errors import ResourceError
from protocol.payload import registry
from protocol.rtcp import compound
from protocol.rtcp.bye import Bye
from protocol.rtcp.nack import Nack
from protocol.rtcp.rr import ReceiverReport
from protocol.rtsp import final_range, rtp_info, transport
from protocol.rtsp.message import Interleaved, Response
from sender.config import SenderConfig
from sender.libraries import av
from sender.serve.config import ServeConfig
from sender.serve.run import run
from tests.support import media
from tests.support.rtsp_dialogue import Dialogue

WAIT = 5.0
MEDIA = SenderConfig((), video="pattern", audio="tone", size=(64, 48), bind="127.0.0.1")
UDP = "RTP/AVP;unicast;client_port={}-{}"


class Running:
    """A server in a thread, and how it went."""

    def __init__(self, config: ServeConfig) -> None:
        self.lines: list[str] = []
        self.stop = threading.Event()
        self.outcome: tuple[int, dict[str, Any]] | None = None
        self._config = config
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.wait_for(lambda: any("serving" in line for line in self.lines))
        served = next(line for line in self.lines if "serving" in line)
        self.port = int(re.findall(r":(\d+)/", served)[0])

    def _run(self) -> None:
        self.outcome = run(self._config, log=self.lines.append, status=None, stop=self.stop)

    def end(self) -> dict[str, Any]:
        """The report."""
        self.stop.set()
        self._thread.join(WAIT)
        assert self.outcome is not None
        return self.outcome[1]

    def wait_for(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT
        while not done():
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.01)


@contextmanager
def serving(**options: Any) -> Iterator[Running]:
    chosen: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "name": "cam", "media": MEDIA}
    running = Running(ServeConfig(**(chosen | options)))
    try:
        yield running
    finally:
        running.end()


@pytest.fixture
def server() -> Iterator[Running]:
    with serving() as running:
        yield running


class Sockets:
    """A client's pair of ports."""

    def __init__(self) -> None:
        for _ in range(50):
            self.rtp, self.rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
            self.rtp.bind(("127.0.0.1", 0))
            try:
                self.rtcp.bind(("127.0.0.1", self.port + 1))
                break
            except OSError:
                self.close()
        self.rtp.settimeout(WAIT)
        self.rtcp.settimeout(WAIT)

    @property
    def port(self) -> int:
        return int(self.rtp.getsockname()[1])

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()

    def packet(self) -> rtp.RtpPacket:
        return rtp.parse(self.rtp.recv(2048))

    def goodbye(self) -> bool:
        """A BYE comes on the RTCP port."""
        while True:
            if any(isinstance(packet, Bye) for packet in compound.parse(self.rtcp.recv(2048))):
                return True

    def clear(self) -> None:
        """Forget what has come until a moment from now."""
        time.sleep(0.15)
        self.rtp.setblocking(False)
        try:
            while True:
                self.rtp.recv(2048)
        except BlockingIOError:
            self.rtp.settimeout(WAIT)

    def silent(self) -> bool:
        """No packet comes any more."""
        self.clear()
        self.rtp.settimeout(0.3)
        try:
            self.rtp.recv(2048)
        except TimeoutError:
            return True
        finally:
            self.rtp.settimeout(WAIT)
        return False


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    with closing(Sockets()) as opened:
        yield opened


def set_up(client: Dialogue, sockets: Sockets, track: str = "track1") -> transport.Transport:
    response = client.ask("SETUP", track, Transport=UDP.format(sockets.port, sockets.port + 1))
    return agreed(response)


def agreed(response: Response) -> transport.Transport:
    assert response.status == 200
    (found,) = transport.parse(response.headers.get("Transport") or "")
    return found


def test_a_viewer_by_udp_from_hello_to_goodbye(server: Running, sockets: Sockets) -> None:
    with Dialogue(server.port) as client:
        public = client.ask("OPTIONS").headers.get("Public") or ""
        assert {"DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER"} <= set(public.split(", "))
        described = sdp.parse(client.ask("DESCRIBE", Accept="application/sdp").body)
        assert described.attribute("range") == "npt=now-"
        assert [media.attribute("control") for media in described.media] == ["track1", "track2"]
        assert "sprop-parameter-sets" in sdp.rtp_formats(described.media[0])[96].parameters
        place = set_up(client, sockets)
        assert place.ssrc in described.media[0].sources
        assert place.client_port == (sockets.port, sockets.port + 1)
        started = client.ask("PLAY", Range="npt=0.000-")
        assert started.headers.get("Range") == "npt=now-"
        (info,) = rtp_info.parse(started.headers.get("RTP-Info") or "")
        assert info.url == f"{client.url}/track1"
        packet = sockets.packet()
        assert (packet.ssrc, packet.sequence_number) == (place.ssrc, info.sequence_number)
        assert info.timestamp is not None
        assert abs((packet.timestamp - info.timestamp + (1 << 31)) % (1 << 32) - (1 << 31)) < 90_000
        assert client.ask("TEARDOWN").status == 200
        assert sockets.goodbye()
    report = server.end()
    (stream,) = report["streams"]
    assert stream["ssrc"] == place.ssrc
    assert report["targets"][0]["name"] == f"127.0.0.1:{sockets.port}"


def test_one_of_ours_is_told_what_was_sent(server: Running, sockets: Sockets) -> None:
    """docs/wire.md: in the answer to TEARDOWN."""
    with Dialogue(server.port, agent="Steadycast/9") as client:
        place = set_up(client, sockets)
        client.ask("PLAY")
        first = sockets.packet()
        answer = client.ask("TEARDOWN")
        name, _, value = answer.body.decode().partition(":")
        assert name == "x-steadycast-range"
        (told,) = final_range.parse(value.strip())
        assert (told.ssrc, told.first) == (place.ssrc, first.sequence_number)
        sockets.rtp.settimeout(0.2)
        last = first
        with contextlib.suppress(TimeoutError):
            while True:
                last = sockets.packet()
        assert (told.last, told.count) == (last.sequence_number, last.sequence_number - first.sequence_number + 1)


def test_two_viewers_and_one_encoder(server: Running, sockets: Sockets) -> None:
    with Dialogue(server.port) as one, Dialogue(server.port) as two, closing(Sockets()) as others:
        set_up(one, sockets)
        set_up(two, others)
        assert one.ask("PLAY").status == two.ask("PLAY").status == 200
        packets = [sockets.packet() for _ in range(60)]
        twins = {packet.payload for packet in (others.packet() for _ in range(40))}
        assert sum(packet.payload in twins for packet in packets) >= 20
        two.ask("TEARDOWN")
        assert others.goodbye()
        assert sockets.packet().ssrc == packets[0].ssrc


def test_a_pause_and_going_on(server: Running, sockets: Sockets) -> None:
    with Dialogue(server.port) as client:
        set_up(client, sockets)
        client.ask("PLAY")
        sockets.packet()
        assert client.ask("PAUSE").status == 200
        assert sockets.silent()
        started = client.ask("PLAY")
        (info,) = rtp_info.parse(started.headers.get("RTP-Info") or "")
        packet = sockets.packet()
        assert packet.sequence_number == info.sequence_number
        assert packet.payload[0] & 31 in (7, 24), "it begins with parameter sets (RFC 6184 §5.4, §5.7.1)"


def test_through_the_connection(server: Running) -> None:
    with Dialogue(server.port) as client:
        place = agreed(client.ask("SETUP", "track2", Transport="RTP/AVP/TCP;unicast;interleaved=4-5"))
        assert place.interleaved == (4, 5)
        client.ask("PLAY")
        media = next_on(client, 4)
        client.send(Interleaved(5, compound.serialize([ReceiverReport(7), Nack(7, place.ssrc or 0, (1,))])))
        assert [type(p).__name__ for p in compound.parse(next_on(client, 5))][:2] == [
            "SenderReport",
            "SourceDescription",
        ]
        assert rtp.parse(media).ssrc == place.ssrc
        assert client.ask("TEARDOWN").status == 200
        while not any(isinstance(packet, Bye) for packet in compound.parse(next_on(client, 5))):
            pass
    assert server.end()["targets"][0]["peers"] == 1


def next_on(client: Dialogue, channel: int) -> bytes:
    while (packet := client.next_packet()) is not None:
        if packet.channel == channel:
            return packet.data
    raise AssertionError("nothing came")


def test_a_nat_in_between(server: Running, sockets: Sockets) -> None:
    """What the client declares is not where its datagrams come from."""
    with Dialogue(server.port) as client, closing(Sockets()) as declared:
        place = set_up(client, declared)
        assert place.server_port is not None
        for each, port in zip((sockets.rtp, sockets.rtcp), place.server_port, strict=True):
            each.sendto(b"\x80" + bytes(11), ("127.0.0.1", port))
        client.ask("PLAY")
        assert sockets.packet().ssrc == place.ssrc


def test_media_go_to_nobody_else(server: Running, sockets: Sockets) -> None:
    with Dialogue(server.port) as client:
        ports = UDP.format(sockets.port, sockets.port + 1)
        place = agreed(client.ask("SETUP", "track1", Transport=f"{ports};destination=198.51.100.9"))
        assert place.destination is None
        client.ask("PLAY")
        assert sockets.packet().ssrc == place.ssrc


def test_who_vanishes_is_let_go(server: Running, sockets: Sockets) -> None:
    client = Dialogue(server.port)
    set_up(client, sockets)
    client.ask("PLAY")
    sockets.packet()
    client.close()
    sockets.close()
    server.wait_for(lambda: any("its connection was lost" in line for line in server.lines))
    report = server.end()
    assert report["error"] is None


def test_in_a_connection_that_breaks_nothing_stays(server: Running) -> None:
    client = Dialogue(server.port)
    client.ask("SETUP", "track1", Transport="RTP/AVP/TCP;unicast;interleaved=0-1")
    client.ask("PLAY")
    next_on(client, 0)
    client.close()
    server.wait_for(lambda: any("has left: its connection was lost" in line for line in server.lines))


def test_one_track_less(server: Running, sockets: Sockets) -> None:
    with Dialogue(server.port) as client, closing(Sockets()) as sound:
        set_up(client, sockets)
        set_up(client, sound, "track2")
        client.ask("PLAY")
        sockets.packet()
        sound.packet()
        assert client.ask("TEARDOWN", "track2").status == 200
        assert sound.silent()
        sockets.packet()


@pytest.mark.parametrize(
    ("offer", "status"),
    [
        ("RTP/AVP;multicast", 461),
        ("RTP/SAVP;unicast;client_port=5000-5001", 461),
        ("RTP/AVP;unicast", 461),
        ("RTP/AVP;unicast;client_port=5000-5001;mode=record", 461),
        ("RTP/AVP;multicast,RTP/AVP/TCP;unicast", 200),
    ],
)
def test_offers(server: Running, offer: str, status: int) -> None:
    with Dialogue(server.port) as client:
        assert client.ask("SETUP", "track1", Transport=offer).status == status


def test_what_is_not_there(server: Running) -> None:
    with Dialogue(server.port, path="/other") as client:
        assert client.ask("DESCRIBE").status == 404
    with Dialogue(server.port) as client:
        assert client.ask("SETUP", "track9", Transport=UDP.format(5000, 5001)).status == 404
        assert client.ask("ANNOUNCE", body=b"v=0\r\n", Content_Type="application/sdp").status == 405
        assert client.ask("PLAY").status == 454


def test_users(sockets: Sockets) -> None:
    with serving(security=Security(users={"ann": "secret"})) as server, Dialogue(server.port) as client:
        refused = client.ask("DESCRIBE")
        assert refused.status == 401
        assert [words.split()[0] for words in refused.headers.all("WWW-Authenticate")] == ["Digest", "Digest"]
        assert client.ask("SETUP", "track1", Transport=UDP.format(sockets.port, sockets.port + 1)).status == 401


def test_without_tls_where_only_that_will_do() -> None:
    with serving(tls_only=True) as server, Dialogue(server.port) as client:
        assert client.ask("OPTIONS").status == 403
        assert client.ended()


def test_a_port_that_is_taken_is_one_line(server: Running) -> None:
    with pytest.raises(ResourceError, match="is in use"):
        run(ServeConfig(MEDIA, "127.0.0.1", server.port), log=print, status=None, stop=threading.Event())


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds, whose pictures tell their number."""
    return media.make_clip(tmp_path_factory.mktemp("film") / "film.mkv", 3.0)


def watch(film: Path, **options: Any) -> SenderConfig:
    return SenderConfig((), video=str(film), audio="none", video_codec="jpeg", bind="127.0.0.1", **options)


def number(sockets: Sockets) -> int:
    """Of the next whole picture."""
    depacketizer = registry.depacketizer("JPEG", 90_000, 1, {})
    payloads: list[bytes | None] = []
    while True:
        packet = sockets.packet()
        payloads = [packet.payload] if depacketizer.begins(packet.payload) else [*payloads, packet.payload]
        if packet.marker and depacketizer.begins(payloads[0] or b""):
            return media.read_number(jpeg_luma(depacketizer.depacketize(payloads))) or 0


def jpeg_luma(data: bytes) -> media.Luma:
    (frame,) = av.CodecContext.create("mjpeg", "r").decode(av.Packet(data))
    return np.asarray(frame.reformat(format="gray").to_ndarray())


def test_a_file_begins_for_its_first_viewer_and_again_for_the_next(film: Path, sockets: Sockets) -> None:
    with serving(media=watch(film)) as server:
        time.sleep(0.3)
        for _ in range(2):
            with Dialogue(server.port) as client:
                described = sdp.parse(client.ask("DESCRIBE").body)
                assert described.attribute("range") == "npt=0.000-3.000"
                set_up(client, sockets)
                assert client.ask("PLAY", Range="npt=0-").headers.get("Range") == "npt=0.000-3.000"
                assert number(sockets) < 3
                client.ask("TEARDOWN")
                assert sockets.goodbye()


def test_the_only_viewer_chooses_its_place_in_a_file(film: Path, sockets: Sockets) -> None:
    with serving(media=watch(film)) as server, Dialogue(server.port) as client, closing(Sockets()) as others:
        set_up(client, sockets)
        assert client.ask("PLAY", Range="npt=2-").headers.get("Range") == "npt=2.000-3.000"
        first = sockets.packet()
        assert number(sockets) in range(50, 54)
        client.ask("PAUSE")
        assert sockets.silent()
        client.ask("PLAY")
        assert number(sockets) < 58, "it stood still meanwhile"
        assert client.ask("PLAY", Range="npt=0-").headers.get("Range") == "npt=0.000-3.000"
        sockets.clear()
        assert number(sockets) < 10
        packet = sockets.packet()
        assert (packet.timestamp - first.timestamp) % (1 << 32) < 3 * 90_000, "timestamps go on"
        with Dialogue(server.port) as another:
            set_up(another, others)
            answered = another.ask("PLAY", Range="npt=2-").headers.get("Range") or ""
            assert float(answered[4:9]) < 1.5, "it is not alone: it sees what the first one sees"
            another.ask("TEARDOWN")
        assert client.ask("PLAY", Range="npt=99-").status == 457


def test_one_of_ours_is_told_of_the_end_in_the_connection(film: Path, sockets: Sockets) -> None:
    with serving(media=watch(film)) as server, Dialogue(server.port, agent="Steadycast/9") as client:
        set_up(client, sockets)
        client.ask("PLAY", Range="npt=2.8-")
        first = sockets.packet()
        request = client.next_request()
        assert request.method == "SET_PARAMETER"
        (told,) = final_range.parse(request.body.decode().partition(":")[2].strip())
        assert told.first == first.sequence_number
        assert told.count == told.last - told.first + 1


def test_the_end_of_a_file_is_told_and_the_server_stays(film: Path, sockets: Sockets) -> None:
    with serving(media=watch(film)) as server, Dialogue(server.port) as client:
        set_up(client, sockets)
        client.ask("PLAY", Range="npt=2.8-")
        assert sockets.goodbye()
        assert client.ask("PLAY", Range="npt=0-").status == 200
        sockets.clear()
        assert number(sockets) < 10


def test_with_exit_on_end_it_does_not(film: Path, sockets: Sockets) -> None:
    with serving(media=watch(film), exit_on_end=True) as server, Dialogue(server.port) as client:
        set_up(client, sockets)
        client.ask("PLAY", Range="npt=2.8-")
        assert sockets.goodbye()
        server.wait_for(lambda: server.outcome is not None)
