"""Whole programs with a key: ours with each other, with FFmpeg and with GStreamer; pictures and sound compared."""

from __future__ import annotations

import base64
import json
import secrets
import time
from pathlib import Path

from protocol.rtp import parse
from tests.interop import ffmpeg, gstreamer, stage, wireshark
from tests.support import peers

CM = "AES_CM_128_HMAC_SHA1_80"


def key_file(folder: Path, suite: str, length: int, *, text: str = "base64") -> tuple[Path, bytes]:
    """A file with a new key, and the key."""
    key, file = secrets.token_bytes(length), folder / "key"
    written = key.hex() if text == "hex" else base64.b64encode(key).decode()
    file.write_text(f"{suite} {written}\n")
    file.chmod(0o600)
    return file, key


def report_of(process: peers.Process) -> dict[str, object]:
    told = json.loads(process.output)
    assert isinstance(told, dict)
    return told


def test_ours_with_each_other_and_who_listens(clip: Path, tmp_path: Path) -> None:
    """A shared secret. Wireshark sees the same RTP headers as in the clear, nobody's payload, and our announcements."""
    file, out, port = tmp_path / "key", stage.Outputs.of(tmp_path), peers.free_ports()
    file.write_bytes(base64.b64encode(secrets.token_bytes(32)))
    file.chmod(0o600)
    record = tmp_path / "wire.pcapng"
    target = f"127.0.0.1:{port}"
    with wireshark.capture([port], record, tmp_path), peers.Process(
        stage.receiver(target, out, "--exit-on-end", "--key-file", file, "--capture", tmp_path / "open.pcapng"),
        tmp_path, "receiver",
    ) as receiving:  # fmt: skip
        receiving.wait_for_port(port)
        command = stage.sender(target, clip, "h264", "opus", "--key-file", file)
        with peers.Process(command, tmp_path, "sender") as sending:
            assert sending.wait(20) == 0, sending.log
        assert receiving.wait(10) == 0, receiving.log
    stage.check(out, "h264", "opus")
    told = report_of(receiving)
    stage.check_report(told, "h264", "opus")
    assert told["socket"]["unparsed"] == {}
    decoding = wireshark.decode_as([port], [])
    seen, opened = (wireshark.rtp_streams(path, decoding) for path in (record, tmp_path / "open.pcapng"))
    sent = {stream["ssrc"]: stream["ledger"]["sent"] for stream in told["streams"]}
    assert {ssrc: seen[ssrc].packets for ssrc in sent} == sent
    assert {ssrc: opened[ssrc].packets for ssrc in sent} == sent
    assert not set(payloads(record, decoding)) & set(payloads(tmp_path / "open.pcapng", decoding))
    assert "SCST" in wireshark.tshark(
        record, *decoding, "-Y", "rtcp.app.subtype == 5", "-T", "fields", "-e", "rtcp.app.name"
    )


def payloads(path: Path, decoding: list[str]) -> list[str]:
    """What tshark takes for the payloads of RTP, those of some length."""
    lines = wireshark.tshark(path, *decoding, "-Y", "rtp", "-T", "fields", "-e", "udp.payload").split()
    found = [parse(bytes.fromhex(line)).payload.hex() for line in lines]
    return [payload for payload in found if len(payload) > 40]


def test_ffmpeg_plays_ours_by_our_description(clip: Path, tmp_path: Path) -> None:
    peers.need("ffmpeg")
    file, _ = key_file(tmp_path, CM, 30)
    port, out, sdp = peers.free_ports(), stage.Outputs.of(tmp_path), tmp_path / "ours.sdp"
    target = f"rtp://127.0.0.1:{port}"
    command = stage.sender(target, clip, "h264", "opus", "--key-file", file)
    with peers.Process([*command, "--sdp", sdp, "--duration", "0.2s"], tmp_path, "describe") as describing:
        describing.wait()
    assert "RTP/SAVP" in sdp.read_text(), describing.log
    assert sdp.stat().st_mode & 0o77 == 0
    receive = [
        str(word).replace("file,udp,rtp", "file,udp,rtp,srtp") for word in ffmpeg.receive(sdp, out.pictures, out.sound)
    ]
    with peers.Process(receive, tmp_path, "peer") as receiving:
        receiving.wait_for_port(port)
        receiving.wait_for_port(port + 2)
        with peers.Process(command, tmp_path, "sender") as sending:
            assert sending.wait() == 0, sending.log
        assert receiving.wait(5) == 0, receiving.log
    stage.check(out, "h264", "opus")


def test_ours_plays_ffmpegs_by_its_description(clip: Path, tmp_path: Path) -> None:
    peers.need("ffmpeg")
    port, out, encoded, sdp = (
        peers.free_ports(),
        stage.Outputs.of(tmp_path),
        tmp_path / "encoded.mkv",
        tmp_path / "x.sdp",
    )
    secret = base64.b64encode(secrets.token_bytes(30)).decode()
    suite = ("-srtp_out_suite", CM, "-srtp_out_params", secret)

    def send(*extra: str) -> list[object]:
        words: list[object] = []
        for word in ffmpeg.send(encoded, port, sdp, "h264", "opus", *extra):
            words += [*suite, word.replace("rtp://", "srtp://")] if str(word).startswith("rtp://") else [word]
        return words

    for name, command in (("encode", ffmpeg.encode(clip, "h264", encoded)), ("describe", send("-t", "0.1"))):
        with peers.Process(command, tmp_path, name) as process:
            assert process.wait() == 0, process.log
    assert secret in sdp.read_text()
    with peers.Process(stage.receiver(sdp, out), tmp_path, "receiver") as receiving:
        receiving.wait_for_port(port)
        with peers.Process(send(), tmp_path, "peer") as sending:
            assert sending.wait() == 0, sending.log
        time.sleep(0.7)
        assert receiving.interrupt() == 0, receiving.log
    stage.check(out, "h264", "opus")
    stage.check_report(report_of(receiving), "h264", "opus")


def test_gstreamer_plays_ours(clip: Path, tmp_path: Path) -> None:
    """GStreamer's srtpdec asks for the key of each SSRC: `gst_srtp` answers."""
    peers.need("gst-launch-1.0")
    cipher = "aes-256-gcm"
    file, key = key_file(tmp_path, cipher, 44, text="hex")
    port, out = peers.free_ports(), stage.Outputs.of(tmp_path)
    words = gstreamer.receive(port, "h264", "opus", out.pictures, out.sound)[len(gstreamer.LAUNCH) :]
    encrypted = " ".join(map(str, words)).replace("application/x-rtp,", "application/x-srtp,")
    pipeline = encrypted.replace("! rtpjitterbuffer", "! srtpdec ! rtpjitterbuffer")
    script = peers.ROOT / "tests/support/gst_srtp.py"
    with peers.Process(["/usr/bin/python3", script, cipher, key.hex(), pipeline], tmp_path, "peer") as receiving:
        receiving.wait_for_port(port)
        receiving.wait_for_port(port + 2)
        command = stage.sender(f"rtp://127.0.0.1:{port}", clip, "h264", "opus", "--key-file", file)
        with peers.Process(command, tmp_path, "sender") as sending:
            assert sending.wait() == 0, sending.log
        time.sleep(0.3)
        receiving.interrupt()
    stage.check(out, "h264", "opus")


def test_ours_plays_gstreamers(clip: Path, tmp_path: Path) -> None:
    peers.need("gst-launch-1.0")
    cipher = "aes-128-icm"
    file, key = key_file(tmp_path, cipher, 30, text="hex")
    port, out = peers.free_ports(), stage.Outputs.of(tmp_path)
    encrypt = ("srtpenc", f"key={key.hex()}", f"rtp-cipher={cipher}", "rtp-auth=hmac-sha1-80", "!")
    send: list[object] = []
    for word in gstreamer.send(clip, port, "h264", "opus"):
        send += [*encrypt, word] if word == "udpsink" else [word]
    command = stage.receiver(f"127.0.0.1:{port}", out, "--key-file", file)
    with peers.Process(command, tmp_path, "receiver") as receiving:
        receiving.wait_for_port(port)
        with peers.Process(send, tmp_path, "peer") as sending:
            assert sending.wait() == 0, sending.log
        time.sleep(0.7)
        assert receiving.interrupt() == 0, receiving.log
    stage.check(out, "h264", "opus")
    stage.check_report(report_of(receiving), "h264", "opus")
