"""Captures of other programs: `python -m receiver replay FILE` from the command line to the report."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from receiver.cli import main
from tests.support import captures
from tests.support.captures import SECOND, Pcapng, ethernet, ipv4, rtp, stream, udp

LOST = (10, 11, 40)


class Said:
    """What a run printed."""

    def __init__(self, code: int, out: str, error: str) -> None:
        self.code, self.error = code, error
        self.report: dict[str, Any] = json.loads(out) if out.startswith("{") else {}

    @property
    def last(self) -> str:
        return self.error.splitlines()[-1].partition(": ")[2]


@pytest.fixture
def replay(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(path: Path, *options: str) -> Said:
        code = main(["replay", str(path), "--json", *options])
        return Said(code, *capsys.readouterr())

    return run


def sender_report(packets: int, *, ssrc: int = 7) -> bytes:
    """RFC 3550 §6.4.1, and a SDES with a CNAME."""
    report = struct.pack(">BBHIQIII", 0x80, 200, 6, ssrc, 0xE800_0000 << 32, 0, packets, packets * 40)
    return report + struct.pack(">BBHI", 0x81, 202, 3, ssrc) + b"\x01\x04test\x00\x00"


def check_ledger(report: dict[str, Any], sent: int = 60, lost: int = len(LOST)) -> None:
    (found,) = report["streams"]
    ledger = found["ledger"]
    assert (ledger["span"], ledger["arrived"], ledger["duplicates"]) == (sent, sent - lost, 0)
    assert sum(int(length) * count for length, count in found["loss_runs"].items()) == lost


@pytest.mark.parametrize("kind", ["raw", "ethernet", "vlan", "cooked", "cooked2", "loopback"])
def test_any_link_type(tmp_path: Path, replay: Any, kind: str) -> None:
    packets = stream(60, lost=LOST)
    wrap = {
        "raw": (101, lambda p: p),
        "ethernet": (1, ethernet),
        "vlan": (1, lambda p: ethernet(p, tags=(0x8100,))),
        "cooked": (113, lambda p: bytes(14) + b"\x08\x00" + p),
        "cooked2": (276, lambda p: b"\x08\x00" + bytes(18) + p),
        "loopback": (0, lambda p: struct.pack("<I", 2) + p),
    }
    link, before = wrap[kind]
    data = captures.pcap([(time, before(packet)) for time, packet in packets], link=link)
    said = replay(captures.save(tmp_path / "a.pcap", data))
    assert said.code == 0
    check_ledger(said.report)
    assert said.report["streams"][0]["loss_runs"] == {"1": 1, "2": 1}
    assert said.report["duration_s"] == pytest.approx(59 * 0.02 + 0.9, abs=0.15)


def test_the_report_is_of_the_schema(tmp_path: Path, replay: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    schema = json.loads((Path(__file__).parents[3] / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    said = replay(captures.save(tmp_path / "a.pcap", captures.pcap(stream(60, lost=LOST), link=101)))
    validator = jsonschema.Draft202012Validator(schema)
    assert [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(said.report)] == []


def test_twice_the_same_octets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = captures.save(tmp_path / "a.pcap", captures.pcap(stream(200, lost=LOST), link=101))
    printed = [(main(["replay", str(path), "--json"]), capsys.readouterr().out)[1] for _ in range(2)]
    assert printed[0] == printed[1] != ""


def test_a_receiver_that_talked_back(tmp_path: Path, replay: Any) -> None:
    """RTCP of both directions, names asked for and a web page: only what went to the receiver counts."""
    packets = stream(60, lost=LOST)
    packets.insert(30, (packets[29][0] + 1, ipv4(udp(sender_report(27), (6001, 5005)))))
    back = (captures.SERVER, captures.CLIENT)
    packets.insert(31, (packets[29][0] + 2, ipv4(udp(b"\x80\xc9\x00\x01" + bytes(4), (5005, 6001)), ends=back)))
    packets.insert(5, (packets[4][0] + 1, ipv4(udp(b"\x12\x34\x01\x00" + bytes(20), (4000, 53)))))
    packets.insert(6, (packets[4][0] + 2, ipv4(bytes(30), protocol=6)))
    said = replay(captures.save(tmp_path / "a.pcap", captures.pcap(packets, link=101)))
    assert said.code == 0
    check_ledger(said.report)
    assert said.report["streams"][0]["cname"] == "test"
    assert said.report["socket"]["datagrams"] == 58
    assert said.report["capture"]["udp"] == 60
    assert said.report["capture"]["packets"] == 61


def test_several_streams_are_listed(tmp_path: Path, replay: Any) -> None:
    packets = sorted(
        stream(60, ssrc=1) + stream(60, ssrc=2, ports=(6000, 5008)) + stream(60, ssrc=3, ports=(6000, 5012), lost=LOST)
    )
    path = captures.save(tmp_path / "a.pcap", captures.pcap(packets, link=101))
    said = replay(path)
    assert said.code == 2
    assert said.last == f"{path} has 3 RTP streams: choose one with --ssrc 1 or 2 or 3"
    assert "SSRC 3: 57 packets, opus payload type 97, 10.0.0.1:6000 → 10.0.0.2:5012" in said.error
    chosen = replay(path, "--ssrc", "3")
    assert chosen.code == 0
    check_ledger(chosen.report)
    assert chosen.report["socket"]["datagrams"] == 57
    other = replay(path, "--ssrc", "9")
    assert other.code == 2
    assert other.last == f"--ssrc: {path} has no stream of SSRC 9; choose 1 or 2 or 3"


def test_both_directions_of_a_call(tmp_path: Path, replay: Any) -> None:
    back = stream(60, ssrc=2, ports=(5004, 6000), ends=(captures.SERVER, captures.CLIENT))
    path = captures.save(tmp_path / "a.pcap", captures.pcap(sorted(stream(60, ssrc=1) + back), link=101))
    assert replay(path).code == 2
    said = replay(path, "--ssrc", "2")
    assert said.code == 0
    assert said.report["socket"]["datagrams"] == 60


def test_an_unknown_payload_type(tmp_path: Path, replay: Any) -> None:
    path = captures.save(tmp_path / "a.pcap", captures.pcap(stream(60, payload_type=120, lost=LOST), link=101))
    said = replay(path)
    assert said.code == 2
    assert said.last == (
        f"{path}: what payload type 120 holds is not known: say it with --sdp FILE.sdp or --map 120=NAME/RATE"
    )
    check_ledger(replay(path, "--map", "120=opus/48000/2").report)
    sdp = tmp_path / "a.sdp"
    sdp.write_text(
        "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
        "m=audio 5004 RTP/AVP 120\r\na=rtpmap:120 opus/48000/2\r\n"
    )
    check_ledger(replay(path, "--sdp", str(sdp)).report)


def test_a_short_snap_length(tmp_path: Path, replay: Any) -> None:
    """20 octets of IP, 8 of UDP, 12 of RTP and a little more."""
    whole = captures.save(tmp_path / "whole.pcap", captures.pcap(stream(60, lost=LOST), link=101))
    cut = captures.save(tmp_path / "cut.pcap", captures.pcap(stream(60, lost=LOST), link=101, snap=42))
    before, said = replay(whole), replay(cut, "--audio", str(tmp_path / "a.wav"))
    assert said.code == 0
    assert "57 of 57 datagrams were not captured whole: measured, not played" in said.error
    assert said.report["capture"]["snapped"] == 57
    for name in ("ledger", "loss_runs", "jitter_ms", "packets_received"):
        assert said.report["streams"][0][name] == before.report["streams"][0][name]
    assert not (tmp_path / "a.wav").exists()


def test_a_clock_that_is_set_back(tmp_path: Path, replay: Any) -> None:
    """An hour back in the middle, a year forwards later; and two packets that a network card handed on in disorder."""
    packets = stream(120, lost=LOST)
    times = [time - (3600 * SECOND if i >= 40 else 0) + (SECOND << 25 if i >= 80 else 0) for i, (time, _) in
             enumerate(packets)]  # fmt: skip
    times[20] = times[19] - 3_000_000
    data = captures.pcap(list(zip(times, [packet for _, packet in packets], strict=True)), link=101)
    said = replay(captures.save(tmp_path / "a.pcap", data))
    assert said.code == 0
    check_ledger(said.report, 120)
    assert said.report["capture"]["clock_set"] == 2
    assert said.report["capture"]["stamps_disordered"] == 1
    assert said.report["duration_s"] < 4


def test_a_truncated_file(tmp_path: Path, replay: Any) -> None:
    path = captures.save(tmp_path / "a.pcap", captures.pcap(stream(60, lost=LOST), link=101)[:-7])
    said = replay(path)
    assert said.code == 0
    assert f"{path} ends in the middle of a packet: what is there is used" in said.error
    check_ledger(said.report, 59)


def test_packets_the_capture_missed(tmp_path: Path, replay: Any) -> None:
    file = Pcapng().section().interface(101, (9, b"\x09"))
    for time, packet in stream(60, lost=LOST):
        file.enhanced(time, packet)
    file.block(5, struct.pack("<III", 0, 0, 0) + file.options((5, struct.pack("<Q", 3))))
    said = replay(captures.save(tmp_path / "a.pcapng", file.data))
    assert "the capturing program missed 3 packets: they look lost here" in said.error
    check_ledger(said.report)
    assert said.report["capture"]["dropped_by_capture"] == 3


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (b"", 2, "is empty: no capture was written"),
        (b"no capture at all", 2, "is no capture: pcap or pcapng is wanted"),
        (captures.pcap([]), 3, "holds no packets"),
        (captures.pcap([(0, bytes(60))]), 3, "holds 1 packets, but no UDP"),
        (captures.pcap([(0, bytes(60))], link=105), 2, "is of link type 105, which is not understood"),
        (captures.pcap([(0, ipv4(udp(b"hello")))], link=101), 3, "holds 1 UDP datagrams, but no RTP"),
        (captures.pcap([(0, ipv4(udp(rtp(1, 1))))], link=101), 3, "holds 1 UDP datagrams, but no RTP"),
    ],
)
def test_what_cannot_be_replayed(tmp_path: Path, replay: Any, data: bytes, code: int, said: str) -> None:
    path = captures.save(tmp_path / "file", data)
    found = replay(path)
    assert found.code == code
    assert found.last.startswith(f"{path} {said}")
    assert len(found.error.splitlines()) == 1
    assert found.report["error"].startswith(str(path))


def test_usage(tmp_path: Path, replay: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = captures.save(tmp_path / "a.pcap", captures.pcap(stream(10), link=101))
    assert replay(path, "--video", "window").code == 2
    assert replay(path, "--audio", "speaker").last.startswith("--audio: a replay is faster than a speaker")
    assert replay(path, "--bind", "::1").code == 2
    assert replay(tmp_path / "none").last == f"cannot read {tmp_path / 'none'}: No such file or directory"
    assert main(["replay"]) == 2
    assert capsys.readouterr().err.endswith("name the capture: python -m receiver replay FILE.pcapng\n")
    assert main(["replay", "--help"]) == 0
    assert "--sdp" in capsys.readouterr().out


def test_the_duration_is_the_captures(tmp_path: Path, replay: Any) -> None:
    path = captures.save(tmp_path / "a.pcap", captures.pcap(stream(500), link=101))
    said = replay(path, "--duration", "2s")
    assert 99 <= said.report["streams"][0]["ledger"]["arrived"] <= 101


def test_a_short_junk_stream_is_no_stream(tmp_path: Path, replay: Any) -> None:
    """Octets that look like RTP, each of another number: 60 of one flow, and one of each of many."""
    packets = stream(60, lost=LOST)
    first = packets[0][0]
    packets += [(first + i, ipv4(udp(rtp(i * 7919, 0, ssrc=99), (7, 5010)))) for i in range(60)]
    packets += [(first + i, ipv4(udp(rtp(i, 0, ssrc=1000 + i), (8, 5020)))) for i in range(60)]
    said = replay(captures.save(tmp_path / "a.pcap", captures.pcap(sorted(packets), link=101)))
    assert said.code == 0
    check_ledger(said.report)
