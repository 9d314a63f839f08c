"""Captures of real runs: ours opened by tshark and editcap, dumpcap's and tshark's replayed by us."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interop import ffmpeg, stage, wireshark
from tests.support import media, peers

NETWORK = (
    "--loss",
    "3%",
    "--delay",
    "20ms",
    "--jitter",
    "4ms",
    "--duplication",
    "1%",
    "--back",
    "delay",
    "--seed",
    "5",
)
STEADY = ("--loss", "3%", "--delay", "20ms", "--no-reordering", "--back", "delay", "--seed", "5")
NETWORK_HALF = ("sent", "sent_known", "arrived", "lost", "duplicates", "reordered", "after_close", "before_join")
WHOLE = ("ledger", "ratios", "loss_runs", "bursts", "jitter_ms", "delay_variation_ms", "reordering", "needed_buffer",
         "delay_distribution", "late_runs", "rtt_ms", "one_way_delay_ms", "buffer", "playout_delay_ms",
         "packets_received", "unusable")  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A live run, captured twice."""

    report: dict[str, Any]
    own: Path
    dumpcap: Path
    port: int
    outputs: stage.Outputs


def live(folder: Path, clip: Path, network: tuple[str, ...], *options: str) -> Run:
    """Sender, proxy, and a receiver that keeps a capture; dumpcap listens on loopback."""
    folder.mkdir(exist_ok=True)
    listen, port = peers.free_ports(), peers.free_ports()
    own, theirs, outputs = folder / "own.pcapng", folder / "dumpcap.pcapng", stage.Outputs.of(folder)
    maps = [part for i in range(4) for part in ("--map", f"{listen + i}:{port + i}")]
    receive = stage.receiver(f"127.0.0.1:{port}", outputs, "--exit-on-end", "--capture", str(own), *options)
    with (
        wireshark.capture((port, port + 3), theirs, folder) as capture,
        peers.Process(receive, folder, "receiver") as receiving,
        peers.Process(peers.proxy(*maps, *network), folder, "proxy") as proxy,
    ):
        receiving.wait_for_port(port)
        proxy.wait_for_text("ready")
        command = stage.sender(f"rtp://127.0.0.1:{listen}", clip, "h264", "opus")
        with peers.Process(command, folder, "sender") as sending:
            assert sending.wait() == 0, sending.log
        assert receiving.wait(8) == 0, receiving.log
        capture.interrupt()
        proxy.stop()
    return Run(json.loads(receiving.output), own, theirs, port, outputs)


@pytest.fixture(scope="module")
def run(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return live(tmp_path_factory.mktemp("run") / "a", clip, NETWORK)


def replay(path: Path, *options: object) -> dict[str, Any]:
    """The report of `python -m receiver replay`, with the octets it was printed as."""
    command = [sys.executable, "-m", "receiver", "replay", path, "--json", *options]
    done = subprocess.run([str(part) for part in command], cwd=peers.ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return {**json.loads(done.stdout), "octets": done.stdout}


def test_a_replay_is_the_live_run_again(run: Run) -> None:
    first, second = replay(run.own), replay(run.own)
    assert first["octets"] == second["octets"]
    assert first["capture"]["calls_recorded"]
    for kind in ("video", "audio"):
        before, after = stage.stream(run.report, kind), stage.stream(first, kind)
        assert before["ledger"]["lost"] > 0
        known = [name for name in WHOLE if name in before]
        assert {name: after[name] for name in known} == {name: before[name] for name in known}
    assert first["events"] == run.report["events"]
    assert first["socket"] == {**run.report["socket"], "queue_drops": first["socket"]["queue_drops"]}


@pytest.mark.parametrize("form", ["pcapng", "pcap", "nsecpcap", "tshark", "snapped"])
def test_another_programs_capture_has_the_same_network_half(run: Run, tmp_path: Path, form: str) -> None:
    """dumpcap's own, what editcap and tshark make of it, and with 64 octets a packet: headers of Ethernet, IP, UDP, RTP
    and the beginning of a payload."""
    peers.need("editcap", "tshark")
    path = tmp_path / f"a.{form}"
    convert: list[object] = {
        "pcapng": ["editcap", run.dumpcap, path],
        "pcap": ["editcap", "-F", "pcap", run.dumpcap, path],
        "nsecpcap": ["editcap", "-F", "nsecpcap", run.dumpcap, path],
        "tshark": ["tshark", "-r", run.dumpcap, "-w", path],
        "snapped": ["editcap", "-s", "64", run.dumpcap, path],
    }[form]
    subprocess.run([str(part) for part in convert], check=True, capture_output=True)
    report = replay(path, "--latency", "100ms")
    for kind in ("video", "audio"):
        before, after = stage.stream(run.report, kind), stage.stream(report, kind)
        names = NETWORK_HALF[2:] if form == "snapped" else NETWORK_HALF  # the sender's range is cut away with the rest
        assert {n: after["ledger"][n] for n in names if n != "lost"} == {
            n: before["ledger"][n] for n in names if n != "lost"
        }
        if form != "snapped":
            assert after["ledger"]["lost"] == before["ledger"]["lost"]
            assert after["loss_runs"] == before["loss_runs"]
        assert after["jitter_ms"] == pytest.approx(before["jitter_ms"], abs=1.0)


def test_tshark_sees_what_we_saw(clip: Path, tmp_path: Path) -> None:
    """Without reordering or copies its definition of loss is ours, but for the head and the tail it cannot know of."""
    run = live(tmp_path, clip, STEADY)
    decoding = wireshark.decode_as((run.port, run.port + 2), (run.port + 1, run.port + 3))
    assert wireshark.complaints(run.own, decoding) == []
    streams = wireshark.rtp_streams(run.own, decoding)
    for kind in ("video", "audio"):
        told = stage.stream(run.report, kind)
        seen, ledger = streams[told["ssrc"]], told["ledger"]
        assert seen.packets == ledger["arrived"]
        assert seen.lost <= ledger["lost"] <= seen.lost + 3
    directions = wireshark.tshark(run.own, "-T", "fields", "-e", "frame.packet_flags_direction").split()
    assert {"0x00000001", "0x00000002"} <= set(directions)
    kinds = wireshark.tshark(run.own, *decoding, "-Y", "frame.packet_flags_direction == 2", "-T", "fields",
                             "-e", "rtcp.pt").split()  # fmt: skip
    assert all(line.startswith("201") or line == "205" for line in kinds), "reports, or requests alone (RFC 5506)"
    info = subprocess.run(["capinfos", "-M", str(run.own)], capture_output=True, text=True, check=True).stdout
    assert "Time precision = nanoseconds (9)" in info
    assert "Capture application: Steadycast" in info


def test_a_changed_capture_loses_its_journal(run: Run, tmp_path: Path) -> None:
    """Wireshark's tools leave out what must not be copied: the rest is a capture like any other."""
    peers.need("editcap")
    path = tmp_path / "a.pcapng"
    subprocess.run(["editcap", str(run.own), str(path), "1-3"], check=True, capture_output=True)
    report = replay(path, "--latency", "100ms")
    assert not report["capture"]["calls_recorded"]
    assert {stream["media"] for stream in report["streams"]} == {"video", "audio"}


def test_pictures_and_sound_of_a_replay(clip: Path, tmp_path: Path) -> None:
    run = live(tmp_path, clip, ("--delay", "5ms", "--back", "delay"))
    stage.check(run.outputs, "h264", "opus")
    again = stage.Outputs(tmp_path / "again.y4m", tmp_path / "again.wav")
    report = replay(run.own, "--video", again.pictures, "--audio", again.sound, "--picture", tmp_path / "last.png")
    stage.check(again, "h264", "opus")
    frames, before = stage.stream(report, "video")["frames"], stage.stream(run.report, "video")["frames"]
    assert (frames["decoded"], frames["rendered"]) == (before["decoded"], before["rendered"])
    assert (tmp_path / "last.png").stat().st_size > 1000
    for output in ("again.mp4", "again.mkv"):
        replay(run.own, "--record" if output.endswith("mkv") else "--video", tmp_path / output)
        assert seconds(tmp_path / output) == pytest.approx(stage.SECONDS, abs=0.5)


def seconds(path: Path) -> float:
    """By ffprobe."""
    peers.need("ffprobe")
    wanted = ["-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets,codec_type", "-of", "json"]
    told = subprocess.run(["ffprobe", *wanted, str(path)], capture_output=True, text=True, check=True).stdout
    streams = {stream["codec_type"]: int(stream["nb_read_packets"]) for stream in json.loads(told)["streams"]}
    assert set(streams) == {"video", "audio"}
    return streams["video"] / media.FPS


def test_ffmpeg_to_dumpcap_to_a_replay(clip: Path, tmp_path: Path) -> None:
    """A capture of two programs that know nothing of us, with the description one of them wrote."""
    peers.need("ffmpeg")
    port, file, sdp, encoded = peers.free_ports(), tmp_path / "a.pcapng", tmp_path / "a.sdp", tmp_path / "e.mkv"
    subprocess.run([str(p) for p in ffmpeg.encode(clip, "vp8", encoded)], check=True, capture_output=True)
    command = ffmpeg.send(encoded, port, sdp, "vp8", "opus")
    with wireshark.capture((port, port + 3), file, tmp_path) as capture:
        with peers.Process(command, tmp_path, "ffmpeg") as sending:
            assert sending.wait(20) == 0, sending.log
        capture.interrupt()
    out = stage.Outputs.of(tmp_path)
    report = replay(file, "--sdp", sdp, "--latency", "100ms", "--video", out.pictures, "--audio", out.sound)
    assert stage.stream(report, "video")["encoding"] == "VP8"
    stage.check(out, "vp8", "opus", cut=0.2)
    streams = wireshark.rtp_streams(file, wireshark.decode_as((port, port + 2), (port + 1, port + 3)))
    for kind in ("video", "audio"):
        told = stage.stream(report, kind)
        assert (streams[told["ssrc"]].packets, streams[told["ssrc"]].lost) == (told["ledger"]["arrived"], 0)


def test_ipv6(clip: Path, tmp_path: Path) -> None:
    port, own = peers.free_ports(), tmp_path / "own.pcapng"
    receive = peers.receiver(f"[::1]:{port}", "--video", "none", "--audio", "none", "--json", "--exit-on-end",
                             "--capture", own)  # fmt: skip
    with peers.Process(receive, tmp_path, "receiver") as receiving:
        receiving.wait_for_port(port)
        with peers.Process(peers.sender(f"[::1]:{port}", "--video", clip, "--duration", "1s"), tmp_path, "sender") as s:
            assert s.wait() == 0, s.log
        assert receiving.wait(8) == 0, receiving.log
    assert wireshark.complaints(own, wireshark.decode_as((port,), ())) == []
    assert "::1" in wireshark.tshark(own, "-T", "fields", "-e", "ipv6.src")
    again, report = replay(own), receiving.json()
    assert [s["ledger"] for s in again["streams"]] == [s["ledger"] for s in report["streams"]]  # type: ignore[attr-defined]


def test_text2pcap(tmp_path: Path) -> None:
    """A capture that text2pcap made of octets in hexadecimal."""
    peers.need("text2pcap")
    from tests.support.captures import rtp

    lines = []
    for number in range(50):
        data = rtp(number, 960 * number)
        lines += [f"2026-11-23T10:00:{number * 0.02:09.6f}Z"] if number != 20 else []
        lines += [f"0000 {data.hex(' ')}"] if number != 20 else []
    (tmp_path / "a.txt").write_text("\n".join(lines) + "\n")
    command = ["text2pcap", "-t", "ISO", "-4", "10.0.0.1,10.0.0.2", "-u", "6000,5004"]
    subprocess.run([*command, str(tmp_path / "a.txt"), str(tmp_path / "a.pcapng")], check=True, capture_output=True)
    (found,) = replay(tmp_path / "a.pcapng")["streams"]
    assert (found["ledger"]["arrived"], found["loss_runs"]) == (49, {"1": 1})
