from __future__ import annotations

import pytest

from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Interleaved, Request, Response, serialize


def test_headers_in_order_without_case_and_more_than_once() -> None:
    headers = Headers.of(("CSeq", "1"), ("WWW-Authenticate", "Digest a"), ("www-authenticate", "Basic b"))
    assert headers.get("cseq") == "1"
    assert headers.get("WWW-AUTHENTICATE") == "Digest a"
    assert headers.all("WWW-Authenticate") == ("Digest a", "Basic b")
    assert headers.get("Session") is None
    assert "cSEQ" in headers
    assert "Session" not in headers


def test_with_replaces_all_of_that_name() -> None:
    headers = Headers.of(("A", "1"), ("B", "2"), ("a", "3"))
    assert list(headers.with_("a", "4")) == [("B", "2"), ("a", "4")]
    assert list(headers.without("A")) == [("B", "2")]
    assert len(headers.plus(headers)) == 6
    assert list(headers) == [("A", "1"), ("B", "2"), ("a", "3")]


def test_the_length_of_a_body_is_written() -> None:
    request = Request(
        "SET_PARAMETER", "rtsp://example.com/", Headers.of(("CSeq", "4"), ("content-length", "9")), b"a: b"
    )
    assert serialize(request) == (
        b"SET_PARAMETER rtsp://example.com/ RTSP/1.0\r\nCSeq: 4\r\nContent-Length: 4\r\n\r\na: b"
    )


@pytest.mark.parametrize(
    ("status", "reason"), [(200, "OK"), (454, "Session Not Found"), (461, "Unsupported Transport"), (299, "Unknown")]
)
def test_reasons(status: int, reason: str) -> None:
    assert serialize(Response(status)) == f"RTSP/1.0 {status} {reason}\r\n\r\n".encode()


@pytest.mark.parametrize(
    "message",
    [
        Request("OPTIONS", "*\r\nX: y"),
        Request("OPTIONS", "*", Headers.of(("X", "a\nb"))),
        Request("OPTIONS", "*", Headers.of(("X\r", "a"))),
        Response(200, reason="OK\r\n\r\n"),
        Interleaved(256, b""),
        Interleaved(0, bytes(65536)),
    ],
)
def test_what_would_be_read_as_something_else(message: Request | Response | Interleaved) -> None:
    with pytest.raises(ValueError):
        serialize(message)
