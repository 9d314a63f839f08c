"""Whatever takes bytes from strangers: any bytes give a value or a ProtocolError, and what is written comes back."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count

from protocol import key_management, mikey, peer_report, red, rtp, rtx, sdes, sdp, ulpfec
from protocol.datagram import Batch
from protocol.errors import Malformed, ProtocolError
from protocol.fec.payload import Repair
from protocol.payload import registry
from protocol.rtcp import compound
from protocol.rtp import RtpPacket
from protocol.rtsp import digest, final_range, rtp_info, transport, url
from protocol.rtsp import range as ranges
from protocol.rtsp import session as session_header
from protocol.rtsp.application import Peer
from protocol.rtsp.message import Message, Request, serialize
from protocol.rtsp.reader import Reader
from protocol.rtsp.server import Server
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile
from protocol.srtp.protector import Protector
from protocol.srtp.unprotector import Unprotector
from tests.protocol.rtsp.test_server import Player

Target = Callable[[bytes], None]
LAYOUTS = (("H264", 90000, 1), ("VP8", 90000, 1), ("JPEG", 90000, 1), ("opus", 48000, 2), ("L16", 48000, 2))
GUARD = digest.Challenger("cam", {"ann": "secret"}, key=bytes(32))


def _read(pieces: Sequence[bytes]) -> tuple[list[Message], str]:
    reader, messages = Reader(), []
    try:
        for piece in pieces:
            messages += reader.receive(piece)
        reader.receive(b"")
    except Malformed as error:
        return messages, error.reason
    return messages, ""


def read_messages(data: bytes) -> None:
    messages, reason = _read([data])
    middle = len(data) // 2
    assert _read([data[:middle], data[middle:]]) == (messages, reason)
    for message in messages:
        again, broken = _read([serialize(message)])
        assert (len(again), broken) == (1, "")


def read_transport(data: bytes) -> None:
    found = transport.parse(data.decode(errors="replace"))
    assert transport.parse(transport.serialize(found)) == found


def read_range(data: bytes) -> None:
    with suppress(ProtocolError):
        ranges.parse(ranges.serialize(ranges.parse(data.decode(errors="replace"))))


def read_rtp_info(data: bytes) -> None:
    for info in rtp_info.parse(data.decode(errors="replace")):
        assert info.url
        rtp_info.serialize([info])


def read_session(data: bytes) -> None:
    with suppress(ProtocolError):
        found = session_header.parse(data.decode(errors="replace"))
        assert session_header.parse(session_header.serialize(found)) == found


def read_url(data: bytes) -> None:
    text = data.decode(errors="replace")
    with suppress(ProtocolError):
        found = url.parse(text)
        again = url.parse(str(found))
        assert (again, str(again)) == (url.Url(found.scheme, found.host, found.port, found.path), str(found))
    base, _, control = text.partition("\n")
    url.control(base, control)


def read_challenge(data: bytes) -> None:
    values = data.decode(errors="replace").split("\n")
    digest.parse(values)
    with suppress(ProtocolError):
        answer = digest.answer(values, "ann", "secret", "PLAY", "rtsp://h/", "c", 1, allow_basic=True)
        assert len(digest.parse([answer])) == 1


def read_authorization(data: bytes) -> None:
    with suppress(ProtocolError):
        GUARD.check(data.decode(errors="replace"), "PLAY", 0, uri="rtsp://h/x", tls=True)
        raise AssertionError("a guess came in")


def read_description(data: bytes) -> None:
    with suppress(ProtocolError):
        session = sdp.parse(data)
        with suppress(ProtocolError):
            assert sdp.parse(sdp.serialize(session))
        for media in session.media:
            assert session.direction_of(media) in sdp.DIRECTIONS
            for look in (sdp.rtp_formats, lambda m: m.rtcp_port, lambda m: m.sources, lambda m: m.flows):
                with suppress(ProtocolError):
                    look(media)


def read_rtp(data: bytes) -> None:
    reason = ""
    try:
        packet = rtp.parse(data)
    except ProtocolError as error:
        reason = error.reason
    else:
        for parse in (red.parse, rtx.original_sequence_number, ulpfec.parse, Repair.parse):
            with suppress(ProtocolError):
                parse(packet.payload)
    headers = rtp.parse_batch(Batch.of([data] * 20, 0))
    found = rtp.REASONS[headers.reason[0]]
    assert reason in (found, "rtp_extension"), "of extensions the batch does not see the inside"


def read_rtcp(data: bytes) -> None:
    with suppress(ProtocolError):
        for packet in compound.parse(data):
            bytes(packet)


def read_payloads(data: bytes) -> None:
    """The first octet says of which format, the second how long each payload is."""
    if len(data) < 2:
        return
    depacketizer, size = registry.depacketizer(*LAYOUTS[data[0] % len(LAYOUTS)], {}), data[1] + 1
    payloads = [data[at : at + size] for at in range(2, len(data), size)][:20]
    for look in (depacketizer.begins, depacketizer.duration, depacketizer.key_frame):
        for payload in payloads:
            with suppress(ProtocolError):
                look(payload)
    with suppress(ProtocolError):
        depacketizer.key_frame(depacketizer.depacketize(payloads))


def read_peer_report(data: bytes) -> None:
    """With what every report has around it, so that not only zlib is tried."""
    for whole in (data, zlib.compress(data)):
        with suppress(ProtocolError):
            peer_report.unpack(whole)


def read_key_message(data: bytes) -> None:
    with suppress(ProtocolError):
        found = mikey.parse(data)
        assert mikey.parse(mikey.serialize(found, 0)) == found


def read_key_text(data: bytes) -> None:
    text = data.decode(errors="replace")
    for parse in (key_management.from_header, key_management.from_attribute, final_range.parse):
        with suppress(ProtocolError):
            parse(text)
    with suppress(ProtocolError):
        found = sdes.parse(text)
        assert sdes.parse(sdes.attribute(found).value or "") == found


def read_encrypted(data: bytes) -> None:
    """Nothing strange is let in, and what is genuine still is."""
    key = MasterKey(Profile.AES_CM_128_HMAC_SHA1_80, bytes(16), bytes(14))
    unprotector = Unprotector(key)
    for piece in (data, data[1:], data):
        assert unprotector.unprotect(piece, 0) is None
    (genuine,) = Protector(key).protect([bytes(RtpPacket(96, 1, 2, 3, b"abc"))])
    assert unprotector.unprotect(genuine, 0) is not None


def serve(data: bytes) -> None:
    """A server and whatever one connection asks of it."""
    server, peer, now = Server(Player(), token=iter(map(str, count())).__next__), Peer(1, "192.0.2.1"), 0
    reader = Reader()
    with suppress(Malformed):
        for message in reader.receive(data):
            now += 1_000_000_000
            if isinstance(message, Request):
                assert 200 <= server.handle(peer, message, now).status < 600
                serialize(server.handle(peer, message, now))
            server.handle_timeout(now)
    server.lost(peer, now)
    server.handle_timeout(now + 61_000_000_000)
    assert not server.sessions


TARGETS: Mapping[str, Target] = {
    "messages": read_messages,
    "transport": read_transport,
    "range": read_range,
    "rtp_info": read_rtp_info,
    "session": read_session,
    "url": read_url,
    "challenge": read_challenge,
    "authorization": read_authorization,
    "description": read_description,
    "rtp": read_rtp,
    "rtcp": read_rtcp,
    "payloads": read_payloads,
    "peer_report": read_peer_report,
    "key_message": read_key_message,
    "key_text": read_key_text,
    "encrypted": read_encrypted,
    "server": serve,
}
