from __future__ import annotations

import pytest

from protocol.errors import Malformed
from protocol.rtsp import url
from protocol.rtsp.url import Url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rtsp://media.example.com:554/twister/audio", Url("rtsp", "media.example.com", 554, "/twister/audio")),
        ("rtsp://foo/twister", Url("rtsp", "foo", 554, "/twister")),
        ("rtsps://foo", Url("rtsps", "foo", 322)),
        ("RTSPS://Foo:8555/", Url("rtsps", "foo", 8555, "/")),
        ("rtsp://[2001:db8::7]:8554/cam", Url("rtsp", "2001:db8::7", 8554, "/cam")),
        ("rtsp://[::1]", Url("rtsp", "::1", 554)),
        ("rtsp://[fe80::1%25eth0]/x", Url("rtsp", "fe80::1%eth0", 554, "/x")),
        ("rtsp://admin:secret@10.0.0.9/h264?ch=1", Url("rtsp", "10.0.0.9", 554, "/h264?ch=1", "admin", "secret")),
        ("rtsp://h?ch=1", Url("rtsp", "h", 554, "?ch=1")),
        ("rtsp://admin:p@ss:w%2Ford@h/x@y", Url("rtsp", "h", 554, "/x@y", "admin", "p@ss:w/ord")),
        ("rtsp://admin@h/", Url("rtsp", "h", 554, "/", "admin")),
        ("rtsp://:@h/", Url("rtsp", "h", 554, "/", "", "")),
        ("rtsp://h/my camera/ü%20", Url("rtsp", "h", 554, "/my%20camera/%C3%BC%20")),
    ],
)  # fmt: skip
def test_parse(text: str, expected: Url) -> None:
    found = url.parse(text)
    assert found == expected
    assert url.parse(str(found)) == Url(found.scheme, found.host, found.port, found.path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h:554",
        "http://h/",
        "rtspu://h/",
        "rtsp:/h",
        "rtsp://",
        "rtsp:///x",
        "rtsp://h:0/",
        "rtsp://h:65536/",
        "rtsp://h:x/",
        "rtsp://a b/",
        "rtsp://::1/",
        "rtsp://[::1/",
        "rtsp://[1.2.3.4]/",
        "rtsp://[fe80::1%a b]/",
        "rtsp://h\r\nX: y/",
        f"rtsp://{'h' * 300}/",
        "rtsp://h/\udc80",
    ],
)
def test_no_urls(text: str) -> None:
    with pytest.raises(Malformed, match="rtsp_url"):
        url.parse(text)


def test_no_password_where_a_url_is_shown() -> None:
    found = url.parse("rtsp://admin:secret@h/x")
    assert str(found) == "rtsp://h/x"
    assert "secret" not in repr(found)


def test_names() -> None:
    assert [url.parse(f"rtsp://h{path}").name for path in ("", "/", "/cam", "/a%20b/c/?x=1")] == [
        "",
        "",
        "cam",
        "a b/c",
    ]


def test_no_line_break_passes() -> None:
    assert str(url.parse("rtsp://h/x\r\nSession: 1")) == "rtsp://h/x%0D%0ASession:%201"


@pytest.mark.parametrize(
    ("base", "control", "expected"),
    [
        # RFC 2326 C.1.1
        ("rtsp://foo/twister", "rtsp://foo/twister/audio", "rtsp://foo/twister/audio"),
        ("rtsp://foo/twister/", "trackID=1", "rtsp://foo/twister/trackID=1"),
        ("rtsp://foo/twister/", "*", "rtsp://foo/twister/"),
        ("rtsp://foo/twister", None, "rtsp://foo/twister"),
        ("rtsp://foo/twister", "", "rtsp://foo/twister"),
        # what servers mean that forget the slash or have a query
        ("rtsp://foo/twister", "trackID=1", "rtsp://foo/twister/trackID=1"),
        ("rtsp://foo/twister/", "/trackID=1", "rtsp://foo/twister/trackID=1"),
        ("rtsp://foo/live/ch1", "/live/ch1/track1", "rtsp://foo/live/ch1/track1"),
        ("rtsp://foo/cam?ch=1&subtype=0", "trackID=1", "rtsp://foo/cam?ch=1&subtype=0/trackID=1"),
        ("rtsp://foo/cam", "?stream=1", "rtsp://foo/cam?stream=1"),
        ("rtsp://foo", "track1", "rtsp://foo/track1"),
        ("rtsp://foo/x", "RTSP://foo/y", "RTSP://foo/y"),
    ],
)
def test_control(base: str, control: str | None, expected: str) -> None:
    assert url.control(base, control) == expected
