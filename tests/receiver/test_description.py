"""SDP files as other programs write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.command.repair import Repair
from protocol.errors import UsageError
from receiver.config import Listen, ReceiverConfig
from receiver.description import RED, ULPFEC, ahead, formats, protection, read_description, retransmissions
from receiver.media import Format

FFMPEG = """\
SDP:
v=0
o=- 0 0 IN IP4 127.0.0.1
s=No Name
c=IN IP4 127.0.0.1
t=0 0
a=tool:libavformat 59.27.100
m=video 5004 RTP/AVP 96
b=AS:1500
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0LAHtkA,aMuDyyA=; profile-level-id=42C01E
m=audio 5006 RTP/AVP 97
b=AS:64
a=rtpmap:97 opus/48000/2
a=fmtp:97 sprop-stereo=0
"""


def read(tmp_path: Path, text: str) -> tuple[Listen, dict[int, Format]]:
    path = tmp_path / "stream.sdp"
    path.write_text(text)
    listen, formats = read_description(str(path))
    return listen, dict(formats)


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_what_ffmpeg_prints(tmp_path: Path) -> None:
    listen, formats = read(tmp_path, FFMPEG)
    assert listen == Listen(None, (5004, 5005, 5006, 5007))
    assert (formats[96].encoding, formats[96].clock_rate) == ("H264", 90_000)
    assert formats[96].parameters["sprop-parameter-sets"] == "Z0LAHtkA,aMuDyyA="
    assert (formats[97].encoding, formats[97].channels) == ("opus", 2)


def test_rtcp_elsewhere_or_multiplexed(tmp_path: Path) -> None:
    listen, _ = read(tmp_path, "v=0\nm=video 6000 RTP/AVP 26\na=rtcp:7001\nm=audio 6002 RTP/AVP 0\na=rtcp-mux\n")
    assert listen.ports == (6000, 6002, 7001)


def test_a_multicast_group_is_joined(tmp_path: Path) -> None:
    listen, _ = read(tmp_path, "v=0\nc=IN IP4 239.1.2.3/4\nm=audio 5004 RTP/AVP 8\n")
    assert listen.host == "239.1.2.3"


def test_what_cannot_be_played_is_left_out(tmp_path: Path) -> None:
    text = "v=0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H265/90000\nm=audio 5006 RTP/AVP 0\nm=audio 0 RTP/AVP 8\n"
    listen, formats = read(tmp_path, text)
    assert (listen.ports, set(formats)) == ((5006, 5007), {0})


@pytest.mark.parametrize(
    "form", ["H264/8000", "opus/44100/2", "L16/1", "L16/2147483647", "L16/48000/200", "PCMU/8000/9"]
)
def test_formats_that_there_are_not_are_left_out(tmp_path: Path, form: str) -> None:
    """RFC 6184 §8.2.1, RFC 7587 §7; and sound that nobody has, but that would cost much to resample."""
    text = f"v=0\nm=audio 5004 RTP/AVP 96\na=rtpmap:96 {form}\nm=audio 5006 RTP/AVP 0\n"
    listen, formats = read(tmp_path, text)
    assert (listen.ports, set(formats)) == ((5006, 5007), {0})


def test_parameters_that_make_no_sense_are_passed_over(tmp_path: Path) -> None:
    text = "v=0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 sprop-parameter-sets=%%%,Z0I=\n"
    assert read(tmp_path, text)[1] == {96: Format("H264", 90_000)}


def test_refusals(tmp_path: Path) -> None:
    assert "no usable SDP" in refusal(tmp_path, "hello")
    assert "no usable SDP" in refusal(tmp_path, "v=0\nm=video 99999 RTP/AVP 26\n")
    assert "only H265; what can be played is H264" in refusal(
        tmp_path, "v=0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H265/90000\n"
    )
    assert "SRTP), without a key" in refusal(tmp_path, "v=0\nm=video 5004 RTP/SAVP 96\na=rtpmap:96 H264/90000\n")
    assert "payload type 96 is H264 and opus at once" in refusal(
        tmp_path,
        "v=0\nm=video 1 RTP/AVP 96\na=rtpmap:96 H264/90000\nm=audio 3 RTP/AVP 96\na=rtpmap:96 opus/48000/2\n",
    )
    assert "more than one multicast group" in refusal(
        tmp_path,
        "v=0\nm=video 1 RTP/AVP 26\nc=IN IP4 239.0.0.1/1\nm=audio 3 RTP/AVP 0\nc=IN IP4 239.0.0.2/1\n",
    )
    with pytest.raises(UsageError, match=r"cannot read nowhere\.sdp: No such file"):
        read_description("nowhere.sdp")


def test_retransmissions_of_a_description(tmp_path: Path) -> None:
    """RFC 4588 §8.6: apt names the original's payload type, FID (RFC 5576) its SSRC."""
    path = tmp_path / "rtx.sdp"
    path.write_text(
        "v=0\nm=video 5004 RTP/AVPF 100 112 113\na=rtpmap:100 H264/90000\na=rtpmap:112 rtx/90000\n"
        "a=fmtp:112 apt=100;rtx-time=1000\na=rtpmap:113 rtx/90000\na=fmtp:113 apt=101\n"
        "a=ssrc-group:FID 11 22\na=ssrc:11 cname:a\na=ssrc:22 cname:a\n"
    )
    listen, described = read_description(str(path))
    config = ReceiverConfig(listen, described)
    assert list(formats(config)) == [100]
    assert retransmissions(config) == {112: 100}
    assert listen.rtx_ssrcs == {22: 11}


def test_retransmissions_without_a_description() -> None:
    assert retransmissions(ReceiverConfig()) == {112: 96, 113: 97, 114: 98, 115: 99, 116: 100}
    mapped = ReceiverConfig(mapped={112: Format("VP8", 90_000)})
    assert 112 not in retransmissions(mapped)
    assert retransmissions(ReceiverConfig(repair=Repair("none"))) == {}


def test_protection_of_a_description(tmp_path: Path) -> None:
    """RED and ULPFEC are no media; those of sound are left alone."""
    path = tmp_path / "red.sdp"
    path.write_text(
        "v=0\nm=video 5004 RTP/AVP 121 122 100\na=rtpmap:100 H264/90000\na=rtpmap:121 red/90000\n"
        "a=rtpmap:122 ulpfec/90000\nm=audio 5006 RTP/AVP 97 121\na=rtpmap:97 opus/48000/2\na=rtpmap:121 red/48000/2\n"
    )
    listen, described = read_description(str(path))
    config = ReceiverConfig(listen, described)
    assert sorted(formats(config)) == [97, 100]
    assert (protection(config, RED), protection(config, ULPFEC)) == ((121,), (122,))


def test_protection_by_the_command_line() -> None:
    config = ReceiverConfig(mapped={101: Format("red", 90_000), 112: Format("ulpfec", 90_000)})
    assert not {101, 112} & formats(config).keys()
    assert (protection(config, RED), protection(config, ULPFEC)) == ((101,), (112,))
    assert ahead(config, 101) is None, "it means something else"
    assert 112 not in retransmissions(config)
    assert (protection(ReceiverConfig(), RED), ahead(ReceiverConfig(), 101)) == ((), 101)
