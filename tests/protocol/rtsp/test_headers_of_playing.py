"""Range, RTP-Info and Session."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Malformed, ProtocolError, Unsupported
from protocol.rtsp import range as ranges
from protocol.rtsp import rtp_info, session
from protocol.rtsp.range import Npt
from protocol.rtsp.rtp_info import RtpInfo
from protocol.rtsp.session import Session


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # RFC 2326 §3.6, §12.29
        ("npt=123.45-125", Npt(123.45, 125)),
        ("npt=12:05:35.3-", Npt(43535.3)),
        ("npt=now-", Npt()),
        ("npt=0-", Npt(0)),
        ("npt=-20", Npt(None, 20)),
        ("npt=10-15;time=19970123T143720Z", Npt(10, 15)),
        ("NPT = 0.000 - 4.", Npt(0, 4)),
        ("npt=NOW-7.5", Npt(None, 7.5)),
    ],
)
def test_ranges(text: str, expected: Npt) -> None:
    assert ranges.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("smpte=0:10:00-0:20:00", Unsupported),
        ("clock=19961108T142300Z-19961108T143520Z", Unsupported),
        ("npt", Malformed),
        ("npt=", Malformed),
        ("npt=-", Malformed),
        ("npt=5", Malformed),
        ("npt=a-b", Malformed),
        ("npt=inf-", Malformed),
        ("npt=nan-", Malformed),
        ("npt=1e9-", Malformed),
        ("npt=--5", Malformed),
        (f"npt={'9' * 5000}-", Malformed),
        ("", Malformed),
    ],
)
def test_no_ranges(text: str, error: type[ProtocolError]) -> None:
    with pytest.raises(error, match="rtsp_range"):
        ranges.parse(text)


@pytest.mark.parametrize(
    ("npt", "text"), [(Npt(0), "npt=0.000-"), (Npt(), "npt=now-"), (Npt(1.5, 20), "npt=1.500-20.000")]
)
def test_written_ranges(npt: Npt, text: str) -> None:
    assert ranges.serialize(npt) == text
    assert ranges.parse(text) == npt


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # RFC 2326 §12.33
        (
            "url=rtsp://foo.com/bar.avi/streamid=0;seq=45102,\turl=rtsp://foo.com/bar.avi/streamid=1;seq=30211",
            [RtpInfo("rtsp://foo.com/bar.avi/streamid=0", 45102), RtpInfo("rtsp://foo.com/bar.avi/streamid=1", 30211)],
        ),
        # §14.1: seq as printed there has more than 16 bits
        (
            "url=rtsp://video.example.com/twister/video;seq=12312232;rtptime=78712811",
            [RtpInfo("rtsp://video.example.com/twister/video", None, 78712811)],
        ),
        ("URL=track1 ; SEQ = 7 ; RTPTIME = 4294967295 ; ssrc=0A", [RtpInfo("track1", 7, 4294967295)]),
        ("url=rtsp://h/a,b;c=d;seq=1;rtptime=-1, url=x", [RtpInfo("rtsp://h/a,b;c=d", 1), RtpInfo("x")]),
        ('url="rtsp://h/a";rtptime=4294967296', [RtpInfo("rtsp://h/a")]),
        ("seq=5;rtptime=6", []),
        ("", []),
    ],
)
def test_rtp_info(text: str, expected: list[RtpInfo]) -> None:
    assert rtp_info.parse(text) == expected


def test_written_rtp_info() -> None:
    tracks = [RtpInfo("rtsp://h/x/track1", 0, 4294967295), RtpInfo("rtsp://h/x/track2")]
    text = "url=rtsp://h/x/track1;seq=0;rtptime=4294967295,url=rtsp://h/x/track2"
    assert rtp_info.serialize(tracks) == text
    assert rtp_info.parse(text) == tracks


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12345678", Session("12345678", 60)),
        ("47112344;timeout=30", Session("47112344", 30)),
        ("aB-$_.+;  Timeout = 5 ", Session("aB-$_.+", 5)),
        ("x;timeout=0", Session("x", 60)),
        ("x;timeout=-1;timeout=7", Session("x", 7)),
        ("x;timeout=99999999999", Session("x", 60)),
        ("{6B29FC40-CA47-1067-B31D-00DD010662DA}", Session("{6B29FC40-CA47-1067-B31D-00DD010662DA}")),
    ],
)
def test_sessions(text: str, expected: Session) -> None:
    assert session.parse(text) == expected


@pytest.mark.parametrize("text", ["", ";timeout=5", "a b", "x" * 257, "a\x1b[2J", "ö"])
def test_no_sessions(text: str) -> None:
    with pytest.raises(Malformed, match="rtsp_session"):
        session.parse(text)


def test_a_written_session() -> None:
    assert session.serialize(Session("0123456789abcdef", 60)) == "0123456789abcdef;timeout=60"


@given(st.floats(0, 1e8), st.none() | st.floats(0, 1e8))
def test_what_is_written_comes_back(start: float, end: float | None) -> None:
    npt = ranges.parse(ranges.serialize(Npt(start, end)))
    assert npt.start == pytest.approx(start, abs=0.001)
    assert npt.end == (None if end is None else pytest.approx(end, abs=0.001))
