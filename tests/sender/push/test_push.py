"""The sender as a client of RTSP servers, on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from protocol import sdp
from protocol.command.security import Security
from protocol.rtp import RtpPacket
from protocol.rtsp import final_range, url
from protocol.rtsp.digest import Challenger
from sender.config import SenderConfig, Target
from sender.pipeline import run
from tests.support.rtsp_recorder import Recorder

WAIT = 8.0


class Sending:
    """The sender in a thread, and how it went."""

    def __init__(self, port: int, **options: Any) -> None:
        self.lines: list[str] = []
        self.outcome: tuple[int, dict[str, Any]] | None = None
        self._stop = threading.Event()
        where = url.parse(f"rtsp://{options.pop('user', '')}127.0.0.1:{port}/door")
        media = {"video": "pattern", "audio": "tone", "size": (64, 48)}
        self._config = SenderConfig((Target(where.host, where.port, url=where),), **(media | options))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.outcome = run(self._config, log=self.lines.append, status=None, stop=self._stop)

    def end(self) -> tuple[int, dict[str, Any]]:
        """Exit code and report."""
        self._stop.set()
        self._thread.join(WAIT)
        assert self.outcome is not None
        return self.outcome

    def wait_for(self, done: Callable[[], object]) -> None:
        deadline = time.monotonic() + WAIT
        while not done():
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.01)


@contextmanager
def sending(server: Recorder, **options: Any) -> Iterator[Sending]:
    sender = Sending(server.port, **options)
    try:
        yield sender
    finally:
        sender.end()


def video(server: Recorder) -> list[RtpPacket]:
    return next((packets for packets in server.packets.values() if packets[0].payload_type == 96), [])


def numbers(packets: list[RtpPacket]) -> list[int]:
    return [packet.sequence_number for packet in packets]


def test_what_is_announced_arrives_and_its_end_is_acknowledged() -> None:
    with Recorder() as server:
        with sending(server) as sender:
            sender.wait_for(lambda: len(video(server)) > 20 and len(server.packets) == 2)
            code, report = sender.end()
        assert code == 0
        assert server.description is not None
        assert [media.media for media in server.description.media] == ["video", "audio"]
        assert 96 in sdp.rtp_formats(server.description.media[0])
        assert server.requests[:5] == ["OPTIONS", "ANNOUNCE", "SETUP UDP", "SETUP UDP", "RECORD"]
        assert server.requests[-2:] == ["SET_PARAMETER", "TEARDOWN"]
        told = {each.ssrc: each for each in final_range.parse(server.parameters[final_range.NAME])}
        assert told.keys() == server.packets.keys()
        for ssrc, packets in server.packets.items():
            assert (told[ssrc].first, told[ssrc].last) == (numbers(packets)[0], numbers(packets)[-1])
            assert told[ssrc].count == len(packets)
        assert report["targets"][0]["reached"]


def test_where_udp_is_refused_the_connection_takes_it() -> None:
    with Recorder(takes=("TCP",)) as server, sending(server) as sender:
        sender.wait_for(lambda: len(video(server)) > 20)
        assert [each for each in server.requests if "SETUP" in each] == ["SETUP TCP"] * 2
        assert numbers(video(server)) == list(
            range(numbers(video(server))[0], numbers(video(server))[0] + len(video(server)))
        )


def test_where_nothing_comes_back_by_udp_the_connection_takes_it() -> None:
    with Recorder(reports=False) as server, sending(server) as sender:
        sender.wait_for(lambda: "SETUP TCP" in server.requests)
        assert any("nothing comes back by UDP for 2 s" in line for line in sender.lines)
        before = len(video(server))
        sender.wait_for(lambda: len(video(server)) > before + 10)
        assert len(server.packets) == 2, "the streams are the same"


def test_a_server_that_takes_nothing_else_is_sent_to_by_udp_however_silent() -> None:
    with Recorder(reports=False, takes=("UDP",)) as server, sending(server) as sender:
        sender.wait_for(lambda: server.requests.count("RECORD") == 2)
        before = len(video(server))
        sender.wait_for(lambda: len(video(server)) > before + 10)
        assert "SETUP TCP" not in server.requests
        assert any("by UDP all the same" in line for line in sender.lines)


def test_a_connection_that_breaks_is_made_again_and_the_stream_goes_on() -> None:
    with Recorder() as server, sending(server) as sender:
        sender.wait_for(lambda: len(video(server)) > 20)
        server.hang_up()
        sender.wait_for(lambda: server.requests.count("RECORD") == 2)
        broken = len(video(server))
        sender.wait_for(lambda: len(video(server)) > broken + 10)
        got = numbers(video(server))
        assert got == list(range(got[0], got[0] + len(got))), "no number was used meanwhile"
        assert any("next try in" in line for line in sender.lines)
        code, report = sender.end()
        assert code == 0
        assert len(report["streams"]) == 2


def test_a_server_that_comes_back_later_is_found_again() -> None:
    server = Recorder()
    sender = Sending(server.port)
    try:
        sender.wait_for(lambda: len(video(server)) > 5)
        server.close()
        time.sleep(0.7)
        with Recorder(port=server.port) as again:
            sender.wait_for(lambda: len(video(again)) > 5)
            assert video(again)[0].payload[0] & 31 in (7, 24), "parameter sets come first (RFC 6184 §5.4, §5.7.1)"
    finally:
        sender.end()


def test_one_track_that_is_refused_is_left_out() -> None:
    with Recorder(tracks=("track2",)) as server, sending(server) as sender:
        sender.wait_for(lambda: server.packets)
        time.sleep(0.2)
        assert len(server.packets) == 1
        assert any("does not take the video" in line for line in sender.lines)


@pytest.mark.parametrize(
    ("refuses", "code", "words"),
    [
        ({"ANNOUNCE": 405}, 1, "cannot do ANNOUNCE"),
        ({"ANNOUNCE": 403}, 1, "does not let us in"),
        ({"SETUP": 461}, 1, "takes none of the transports offered"),
        ({"RECORD": 501}, 1, "cannot do RECORD"),
    ],
)
def test_a_refusal_is_one_line(refuses: dict[str, int], code: int, words: str) -> None:
    with Recorder(refuses=refuses) as server:
        sender = Sending(server.port)
        sender.wait_for(lambda: sender.outcome is not None)
        exit_code, report = sender.end()
        assert exit_code == code
        assert words in report["error"]
        assert "\n" not in report["error"]


def test_nobody_there() -> None:
    with Recorder() as server:
        port = server.port
    sender = Sending(port)
    sender.wait_for(lambda: sender.outcome is not None)
    code, report = sender.end()
    assert code == 3
    assert "nobody listens on TCP port" in report["error"]


def test_a_password(tmp_path: Any) -> None:
    file = tmp_path / "password"
    file.touch(0o600)
    with Recorder(guard=Challenger("door", {"ann": "secret"})) as server:
        file.write_text("secret\n")
        with sending(server, user="ann@", security=Security(password_file=str(file))) as sender:
            sender.wait_for(lambda: video(server))
        file.write_text("wrong\n")
        sender = Sending(server.port, user="ann@", security=Security(password_file=str(file)))
        sender.wait_for(lambda: sender.outcome is not None)
        assert "does not take the password of ann" in sender.end()[1]["error"]
