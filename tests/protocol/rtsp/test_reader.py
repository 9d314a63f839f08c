from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Malformed
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Interleaved, Message, Request, Response, serialize
from protocol.rtsp.reader import Limits, Reader


def lines(*text: str, end: str = "\r\n") -> bytes:
    return "".join(line + end for line in (*text, "")).encode()


# RFC 2326 §14.2, with the lengths of the bodies counted
DESCRIPTION = (
    b"v=0\r\no=- 2890844256 2890842807 IN IP4 172.16.2.93\r\ns=RTSP Session\r\n"
    b"i=An Example of RTSP Session Usage\r\na=control:rtsp://foo/twister\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n"
    b"a=control:rtsp://foo/twister/audio\r\nm=video 0 RTP/AVP 26\r\na=control:rtsp://foo/twister/video\r\n"
)
DIALOGUE: list[tuple[bytes, Message]] = [
    (
        lines("DESCRIBE rtsp://foo/twister RTSP/1.0", "CSeq: 1"),
        Request("DESCRIBE", "rtsp://foo/twister", Headers.of(("CSeq", "1"))),
    ),
    (
        lines("RTSP/1.0 200 OK", "CSeq: 1", "Content-Type: application/sdp", f"Content-Length: {len(DESCRIPTION)}")
        + DESCRIPTION,
        Response(
            200,
            Headers.of(("CSeq", "1"), ("Content-Type", "application/sdp"), ("Content-Length", str(len(DESCRIPTION)))),
            DESCRIPTION,
        ),
    ),
    (
        lines("SETUP rtsp://foo/twister/audio RTSP/1.0", "CSeq: 2", "Transport: RTP/AVP;unicast;client_port=8000-8001"),
        Request(
            "SETUP",
            "rtsp://foo/twister/audio",
            Headers.of(("CSeq", "2"), ("Transport", "RTP/AVP;unicast;client_port=8000-8001")),
        ),
    ),
    (
        lines("RTSP/1.0 460 Only aggregate operation allowed", "CSeq: 5"),
        Response(460, Headers.of(("CSeq", "5")), b"", "Only aggregate operation allowed"),
    ),
    (b"$\x00\x00\x0c" + bytes(range(12)), Interleaved(0, bytes(range(12)))),  # §10.12
]
WHOLE = b"".join(data for data, _ in DIALOGUE)
MESSAGES = [message for _, message in DIALOGUE]


def test_a_dialogue_of_the_rfc() -> None:
    assert Reader().receive(WHOLE) == MESSAGES
    assert [serialize(message) for message in MESSAGES] == [data for data, _ in DIALOGUE]


@given(st.lists(st.integers(0, len(WHOLE))))
def test_however_it_is_cut(cuts: list[int]) -> None:
    reader, begins = Reader(), [0, *sorted(cuts)]
    pieces = [WHOLE[a:b] for a, b in zip(begins, [*begins[1:], len(WHOLE)], strict=True)]
    assert [message for piece in pieces for message in reader.receive(piece)] == MESSAGES
    assert reader.pending == 0


def test_blank_lines_bare_line_feeds_folded_lines_and_spaces() -> None:
    text = b"\r\n\n  \r\nOPTIONS * RTSP/1.0\nCSeq : 7\nTransport: RTP/AVP,\r\n\t RTP/AVP/TCP\nX:\n\n"
    headers = Headers.of(("CSeq", "7"), ("Transport", "RTP/AVP, RTP/AVP/TCP"), ("X", ""))
    (message,) = Reader().receive(text)
    assert message == Request("OPTIONS", "*", headers)
    assert message.cseq == 7


def test_names_compare_without_case() -> None:
    (message,) = Reader().receive(lines("RTSP/1.0 200", "cseq: 3", "CONTENT-LENGTH: 2") + b"ab")
    assert isinstance(message, Response)
    assert (message.cseq, message.body, message.reason) == (3, b"ab", "OK")


def test_a_url_with_spaces() -> None:
    (message,) = Reader().receive(lines("DESCRIBE rtsp://h/my camera RTSP/1.0", "CSeq: 1"))
    assert isinstance(message, Request)
    assert message.url == "rtsp://h/my camera"


@pytest.mark.parametrize("cseq", ["", "x", "-1", "9" * 30, "٣"])
def test_a_cseq_that_is_none(cseq: str) -> None:
    (message,) = Reader().receive(lines("OPTIONS * RTSP/1.0", f"CSeq: {cseq}"))
    assert isinstance(message, Request)
    assert message.cseq is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x16", "rtsp_tls"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "rtsp_tls"),
        (b"\x80", "rtsp_start"),
        (b"\0", "rtsp_start"),
        (b"{", "rtsp_start"),
        (b"GET / HTTP/1.1\r\n", "rtsp_version"),
        (b"HTTP/1.1 400 Bad Request\r\n", "rtsp_version"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "rtsp_start"),
        (b"OPTIONS * RTSP/2.0\r\n", "rtsp_version"),
        (b"OPTIONS\r\n", "rtsp_start"),
        (b"OPTIONS RTSP/1.0\r\n", "rtsp_start"),
        (b"OP\x1b[2J * RTSP/1.0\r\n", "rtsp_line"),
        (b"RTSP/1.0 OK\r\n", "rtsp_start"),
        (b"RTSP/1.0 999 x\r\n", "rtsp_start"),
        (b" OPTIONS * RTSP/1.0\r\n", "rtsp_line"),
        (b"OPTIONS * RTSP/1.0\r\n folded\r\n", "rtsp_line"),
        (lines("OPTIONS * RTSP/1.0", "no colon"), "rtsp_header"),
        (lines("OPTIONS * RTSP/1.0", ": no name"), "rtsp_header"),
        (lines("OPTIONS * RTSP/1.0", "a b: c"), "rtsp_header"),
        (lines("OPTIONS * RTSP/1.0", "a: \0"), "rtsp_line"),
        (lines("OPTIONS * RTSP/1.0", "a: \x9b2J"), "rtsp_line"),
        (lines("OPTIONS * RTSP/1.0", "Content-Length: -1"), "rtsp_length"),
        (lines("OPTIONS * RTSP/1.0", "Content-Length: ٣"), "rtsp_length"),
        (lines("OPTIONS * RTSP/1.0", "Content-Length: 1", "Content-Length: 2"), "rtsp_length"),
        (lines("OPTIONS * RTSP/1.0", "Content-Length: 262145"), "rtsp_body"),
        (b"A" * 8193, "rtsp_line"),
        (b"OPTIONS * RTSP/1.0\r\nX: " + b"x" * 1_000_000, "rtsp_line"),
        (b"OPTIONS * RTSP/1.0\r\n" + (b"X: " + b"x" * 8000 + b"\r\n") * 9, "rtsp_headers"),
        (b"OPTIONS * RTSP/1.0\r\n" + b"X: x\r\n" * 200, "rtsp_headers"),
        (b"OPTIONS * RTSP/1.0\r\nX: x\r\n" + b" x\r\n" * 200, "rtsp_headers"),
    ],
)
def test_what_is_no_rtsp_is_known_at_once_and_for_good(data: bytes, reason: str) -> None:
    reader = Reader()
    with pytest.raises(Malformed, match=reason):
        reader.receive(data)
    assert reader.pending < 10
    with pytest.raises(Malformed, match=reason):
        reader.receive(b"OPTIONS * RTSP/1.0\r\n\r\n")


def test_what_came_before_a_mistake_comes_first() -> None:
    reader = Reader()
    assert reader.receive(WHOLE + b"\xff") == MESSAGES
    with pytest.raises(Malformed):
        reader.receive(b"")


@pytest.mark.parametrize("size", [1, 100, 5000])
def test_what_is_kept_is_bounded(size: int) -> None:
    limits = Limits(line=100, headers=1000, lines=50, body=5000)
    reader = Reader(limits)
    head = lines("ANNOUNCE rtsp://h/x RTSP/1.0", "Content-Length: 5000")
    for start in range(0, len(head) + 4999, size):
        assert reader.receive((head + bytes(4999))[start : start + size]) == []
        assert reader.pending <= 5000 + size
    (message,) = reader.receive(b"x")
    assert isinstance(message, Request)
    assert len(message.body) == 5000


@given(
    data=st.binary(max_size=300), begin=st.sampled_from([b"", b"OPTIONS ", WHOLE[:300], b"RTSP/1.0 200 OK\r\n", b"$"])
)
def test_any_bytes_are_messages_or_our_error(data: bytes, begin: bytes) -> None:
    def read(pieces: list[bytes]) -> tuple[list[Message], str]:
        reader, messages = Reader(), []
        try:
            for piece in pieces:
                messages += reader.receive(piece)
            reader.receive(b"")
        except Malformed as error:
            return messages, error.reason
        return messages, ""

    whole = begin + data
    messages, reason = read([whole])
    assert read([bytes([octet]) for octet in whole]) == (messages, reason)
    for message in messages:
        again, _ = read([serialize(message)])
        assert len(again) == 1
