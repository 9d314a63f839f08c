"""No input costs more than linear time: four times as much of the worst takes some four times as long."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from protocol.rtsp.reader import Limits, Reader
from tests.fuzz.targets import TARGETS

MOST = 8
"""times as long, where quadratic time would be sixteen; a third try is left for a busy machine."""
TOO_SHORT = 0.004
"""s: below, the clock and the caches say more than the code."""

SIZE = 16384
"""bytes; four times that is all the headers of a message."""

Grow = Callable[[int], bytes]

NASTY: dict[str, list[Grow]] = {
    "messages": [
        lambda n: b"\r\n" * n,
        lambda n: b"$\0\0\0" * n,
        lambda n: b"OPTIONS * RTSP/1.0\r\n\r\n" * n,
        lambda n: b"OPTIONS " + b" " * n,
        lambda n: b"OPTIONS * RTSP/1.0\r\nX" + b" " * n + b"x: y",
    ],
    "transport": [
        lambda n: b"," * n,
        lambda n: b"RTP/AVP," * n,
        lambda n: b'RTP/AVP;x="' + b"\\" * n,
        lambda n: b'RTP/AVP;x="' + b'\\"' * n,
        lambda n: b'RTP/AVP;"' * n,
        lambda n: b"RTP/AVP;" + b"x=y;" * n,
        lambda n: b"RTP/AVP;client_port=" + b" " * n + b"x",
        lambda n: b"RTP/AVP;client_port=1" + b" " * n + b"x",
        lambda n: b"RTP/AVP;ssrc=" + b"1 " * n,
        lambda n: b"RTP/AVP;mode=" + b'"",' * n,
        lambda n: b"RTP" + b"/" * n,
    ],
    "range": [
        lambda n: b"npt=" + b" " * n + b"x",
        lambda n: b"npt=1" + b" " * n + b"x",
        lambda n: b"npt=1" + b"0" * n,
        lambda n: b"npt=" + b"1:" * n,
        lambda n: b"npt=" + b"-" * n,
    ],
    "rtp_info": [
        lambda n: b"url=" * n,
        lambda n: b",url=x" * n,
        lambda n: b"url=x" + b"," + b" " * n,
        lambda n: b"url=x" + b",  " * n,
        lambda n: b"url=x" + b";a" * n,
        lambda n: b"url=x;seq=" + b"1" * n,
    ],
    "session": [lambda n: b"x;" * n, lambda n: b"x" * n, lambda n: b"x;timeout=0" * n],
    "url": [
        lambda n: b"rtsp://" + b"@" * n,
        lambda n: b"rtsp://" + b":" * n,
        lambda n: b"rtsp://" + b"[" * n,
        lambda n: b"rtsp://[" + b":" * n + b"]/",
        lambda n: b"rtsp://[" + b"1:" * n + b"]/",
        lambda n: b"rtsp://h/" + b"%" * n,
        lambda n: b"rtsp://u:" + b"%41" * n + b"@h/",
        lambda n: b"rtsp://h" + b"/" * n + b"\n" + b"/" * n,
        lambda n: b"rtsp://h/\n" + b"rtsp:" * n,
    ],
    "challenge": [
        lambda n: b"Digest " * n,
        lambda n: b"Digest, " * n,
        lambda n: b"Digest a=b, " * n,
        lambda n: b'Digest a="' * n,
        lambda n: b'Digest a="' + b"\\" * n,
        lambda n: b"Digest a" + b" " * n + b"b",
        lambda n: b"a" * n,
        lambda n: b"Digest " + b"a" * n,
        lambda n: b'Digest nonce="x", qop="' + b"auth," * n + b'"',
    ],
    "authorization": [
        lambda n: b"Digest " + b"a=b," * n,
        lambda n: b'Digest username="' + b"\\a" * n,
        lambda n: b"Basic " + b"A" * n,
        lambda n: b'Digest realm="cam", nonce="' + b"0" * n + b'"',
    ],
    "description": [
        lambda n: b"v=0\n" * n,
        lambda n: b"a=x\n" * n + b"v=0\n" + b"a=x\n" * n,
        lambda n: b"v=0\n" + b"m=audio 1 RTP/AVP 0\n" * n,
        lambda n: b"v=0\nm=audio 1 RTP/AVP " + b"96 " * n,
        lambda n: b"v=0\nm=audio 1 RTP/AVP 96\n" + b"a=rtpmap:96 x/1\n" * n,
        lambda n: b"v=0\nm=audio 1 RTP/AVP 96\na=fmtp:96 " + b"a;" * n,
        lambda n: b"v=0\nm=audio 1 RTP/AVP 96\n" + b"a=ssrc:1 a:b\n" * n,
        lambda n: b"v=0\nm=audio 1 RTP/AVP 96\n" + b"a=ssrc-group:FID 1 2\n" * n,
        lambda n: b"v=0\nm=audio 1 RTP/AVP 96\n" + b"c=IN IP4 1" + b"/" * n,
        lambda n: b"v=0\n" + b"\r" * n,
    ],
    "rtcp": [
        lambda n: b"\x80\xc9\0\1\0\0\0\1" * n,
        lambda n: b"\x81\xca\0\2\0\0\0\1\0\0\0\0" * n,
        lambda n: b"\x81\xcd\0\2\0\0\0\1\0\0\0\2" + b"\x80\xcb\0\0" * n,
    ],
}  # fmt: skip
CASES = [pytest.param(name, grow, id=f"{name}-{i}") for name, all_ in NASTY.items() for i, grow in enumerate(all_)]


def seconds(run: Callable[[], None]) -> float:
    """Of this program alone, the quickest of three."""
    times = []
    for _ in range(3):
        begin = time.process_time()
        run()
        times.append(time.process_time() - begin)
    return min(times)


def check_linear(run: Callable[[bytes], object], grow: Grow) -> None:
    octets = (len(grow(200)) - len(grow(100))) / 100
    small, large = (grow(int(size / octets)) for size in (SIZE, 4 * SIZE))
    for _ in range(3):
        few, many = seconds(lambda: run(small)), seconds(lambda: run(large))
        if many < max(TOO_SHORT, MOST * few):
            return
    raise AssertionError(f"four times as much took {many / few:.0f} times as long: {1000 * many:.1f} ms")


@pytest.mark.parametrize(("name", "grow"), CASES)
def test_targets(name: str, grow: Grow) -> None:
    check_linear(TARGETS[name], grow)


def drip(data: bytes) -> None:
    reader = Reader(Limits(line=1 << 30, headers=1 << 30, lines=1 << 30, body=1 << 30))
    for octet in data:
        reader.receive(bytes([octet]))


@pytest.mark.parametrize(
    "grow",
    [
        lambda n: b"OPTIONS * RTSP/1.0\r\nX: " + b"x" * n,
        lambda n: b"OPTIONS * RTSP/1.0\r\nX: x\r\n" + b" y\r\n" * n + b"\r\n",
        lambda n: b"OPTIONS * RTSP/1.0\r\n" + b"X:\r\n" * n + b"\r\n",
        lambda n: b"OPTIONS * RTSP/1.0\r\nContent-Length: %d\r\n\r\n" % n + bytes(n),
        lambda n: b"$\0\0\1x" * n,
        lambda n: b"\r\n" * n,
    ],
)
def test_octets_one_by_one_whatever_the_limits(grow: Grow) -> None:
    check_linear(drip, grow)


def test_quadratic_time_would_be_noticed() -> None:
    with pytest.raises(AssertionError, match="times as long"):
        check_linear(lambda data: [data[:at].count(b"x") for at in range(0, len(data), 32)], lambda n: b" " * n)
