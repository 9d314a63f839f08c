"""Bad input, as a person would give it: one line that says what to do, the exit code, and a report with the error."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import peers
from tests.support.media import make_clip

QUIET = ("--video", "none", "--audio", "none")
HERE = "127.0.0.1:9"
SENDER = {
    "no such camera": (1, "no camera 97", HERE, "--video", "camera:97", "--audio", "none"),
    "no such video device": (1, "no camera or video", HERE, "--video", "camera:/dev/nope", "--audio", "none"),
    "no such microphone": (2, "nope", HERE, "--video", "none", "--audio", "mic:nope"),
    "no such file": (2, "no.mp4", HERE, "--video", "no.mp4"),
    "no such sound file": (2, "no.wav", HERE, "--video", "none", "--audio", "no.wav"),
    "not a media file": (2, "junk.mp4", HERE, "--video", "junk.mp4"),
    "a file with no video": (2, "has no video", HERE, "--video", "sound.wav"),
    "no such codec": (2, "did you mean h264", HERE, "--video", "pattern", "--video-codec", "h265"),
    "no such host": (2, "no such host", "no.such.host.invalid", "--video", "pattern", "--audio", "none"),
    "no such port": (2, "port 99999", "127.0.0.1:99999", "--video", "pattern"),
    "no target": (2, "say where to send"),
    "no such option": (2, "--help", HERE, "--nonsense"),
    "too large for JPEG": (2, "2040", HERE, "--video", "pattern", "--size", "4096x2160", "--video-codec", "jpeg"),
    "a file too large for JPEG": (2, "2040", HERE, "--video", "wide.mkv", "--video-codec", "jpeg", "--audio", "none"),
    "nothing on standard input": (2, "standard input is empty", HERE, "--video", "-", "--audio", "none"),
    "nobody there": (3, "nobody listens", HERE, "--video", "pattern", "--audio", "none", "--duration", "2s"),
}
RECEIVER = {
    "no such sdp": (2, "no.sdp", "no.sdp"),
    "unreadable sdp": (2, "bad.sdp is no usable SDP", "bad.sdp"),
    "binary sdp": (2, "random.sdp is no usable SDP", "random.sdp"),
    "no such host": (2, "no address found", "no.such.host.invalid:5004"),
    "not our address": (2, "not an address of this machine", "203.0.113.9:5004"),
    "no such port": (2, "port 99999", ":99999"),
    "no such codec": (2, "cannot play", ":{port}", "--map", "96=H265/90000"),
    "no such folder": (1, "cannot be written", ":{port}", "--audio", "none", "--video", "no/out.mp4"),
    "two users of stdout": (2, "both want stdout", ":{port}", "--video", "-"),
    "no packet came": (3, "No packet came", ":{port}", *QUIET, "--duration", "300ms"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("usage")
    (folder / "junk.mp4").write_bytes(bytes(range(256)) * 20)
    (folder / "bad.sdp").write_text("hello\n")
    (folder / "random.sdp").write_bytes(bytes(range(128, 256)))
    make_clip(folder / "clip.mkv", 0.4)
    subprocess.run(["ffmpeg", "-v", "error", "-i", "clip.mkv", "-vn", "sound.wav"], cwd=folder, check=True)
    wide = ["ffmpeg", "-v", "error", "-i", "clip.mkv", "-an", "-vf", "scale=2560:64", "wide.mkv"]
    subprocess.run(wide, cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[tuple[str, str], peers.Process]:
    """All of them, a few at a time."""
    peers.need("ffmpeg")
    jobs = [("sender", name, row[2:]) for name, row in SENDER.items()]
    jobs += [("receiver", name, row[2:]) for name, row in RECEIVER.items()]

    def run(job: tuple[str, str, tuple[str, ...]]) -> peers.Process:
        program, name, given = job
        options = [option.format(port=peers.free_ports()) for option in given]
        options = [str(folder / o) if o.endswith((".mp4", ".wav", ".mkv", ".sdp")) else o for o in options]
        command = [*getattr(peers, program)(*options[:1] or ["--json"], *options[1:], "--json")]
        process = peers.Process(command, folder, f"{program}-{name.replace(' ', '-')}")
        process.wait(30)
        return process

    with ThreadPoolExecutor(4) as pool:
        return {(job[0], job[1]): process for job, process in zip(jobs, pool.map(run, jobs), strict=True)}


@pytest.mark.parametrize(("program", "name"), [("sender", n) for n in SENDER] + [("receiver", n) for n in RECEIVER])
def test_bad_input_is_one_clear_line(results: dict[tuple[str, str], peers.Process], program: str, name: str) -> None:
    code, words, *_ = (SENDER if program == "sender" else RECEIVER)[name]
    process = results[program, name]
    assert process.wait(1) == code, process.log
    assert words in process.log
    assert "Traceback" not in process.log
    if code != 3:
        assert len(process.log.strip().splitlines()) == 1, process.log
    assert process.json()["error"]


def test_a_port_in_use(tmp_path: Path) -> None:
    port = peers.free_ports()
    with peers.Process(peers.receiver(f":{port}", *QUIET), tmp_path, "first") as first:
        first.wait_for_port(port)
        with peers.Process(peers.receiver(f":{port}", *QUIET, "--json"), tmp_path, "second") as second:
            assert second.wait() == 1
            assert f"UDP port {port} is in use" in second.log
            assert f"UDP port {port} is in use" in str(second.json()["error"])


@pytest.mark.parametrize("signal", ["interrupt", "stop"])
def test_a_signal_ends_it_cleanly(tmp_path: Path, signal: str) -> None:
    port = peers.free_ports()
    with peers.Process(peers.receiver(f":{port}", *QUIET, "--json"), tmp_path, "r") as end:
        end.wait_for_port(port)
        assert getattr(end, signal)() == 3, "no packet came"
        assert end.json()["error"] == "no packets came"


def test_a_second_interrupt_ends_it_at_once(tmp_path: Path) -> None:
    """The first one announces the end of the stream for up to 2 s to somebody who never answers."""
    with peers.reserved_port() as silent:
        command = peers.sender(f"127.0.0.1:{silent}", "--video", "pattern", "--audio", "none", "--json")
        with peers.Process(command, tmp_path, "sender") as sender:
            sender.wait_for_text("kbit/s")
            sender.process.send_signal(2)
            time.sleep(0.6)  # within 0.3 s it would be taken for the same one
            assert sender.interrupt() == 130
            assert sender.json()["error"] == "interrupted twice"


def test_a_fifo_that_closes_in_the_middle_of_a_picture(tmp_path: Path) -> None:
    header, picture = b"YUV4MPEG2 W64 H48 F30:1 C420mpeg2\n", b"FRAME\n" + bytes(64 * 48 * 3 // 2)
    port = peers.free_ports()
    receiver = peers.receiver(f":{port}", *QUIET, "--json")
    with peers.Process(receiver, tmp_path, "receiver") as receiving:
        receiving.wait_for_port(port)
        command = peers.sender(f"127.0.0.1:{port}", "--video", "-", "--audio", "none", "--json")
        with peers.Process(command, tmp_path, "sender", pipe=True) as sender:
            assert sender.process.stdin is not None
            sender.process.stdin.write(header + picture * 3 + picture[:1000])
            sender.process.stdin.close()
            assert sender.wait() == 1
            assert "in the middle of a picture" in sender.log
            assert "in the middle of a picture" in str(sender.json()["error"])
            assert sender.json()["sources"][0]["units"] == 3  # type: ignore[index]
        assert receiving.interrupt() == 0
