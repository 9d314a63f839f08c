"""What `serve` agrees on with who wants it encrypted."""

from __future__ import annotations

import random

from protocol import key_management, mikey, sdp
from protocol.described_key import described_key
from protocol.rtsp.headers import Headers
from protocol.rtsp.range import Npt
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile
from sender.config import SenderConfig
from sender.identity import Identity
from sender.media import AccessUnit
from sender.paths import Path
from sender.serve.delivery import Delivery, Keys, Setup
from sender.session_description import describe
from sender.session_maker import SessionMaker
from sender.transmit.stream import StreamConfig

FORM = StreamConfig("video", "JPEG", 26, 90_000, 0, 33_000_000, 1_000_000)
SOUND = StreamConfig("audio", "PCMU", 0, 8000, 0, 20_000_000, 64_000)
SECOND = 1_000_000_000


def a_delivery(*, encrypted: bool) -> Delivery:
    numbers = random.Random(5)
    delivery = Delivery(1, "there", ("127.0.0.1", 7000))
    for feed, form in enumerate((FORM, SOUND)):
        identity = Identity.new(numbers)
        theirs = MasterKey.generate(Profile.AEAD_AES_128_GCM)
        paths = Path(1, 1, ("127.0.0.1", 7000 + 2 * feed), True), Path(1, 2, ("127.0.0.1", 7001 + 2 * feed), False)
        keys = Keys(identity.key, theirs) if encrypted else None
        delivery.setups[f"track{feed + 1}"] = Setup(feed, identity.given_to(form, repair=True), paths, keys)
    return delivery


def ssrcs(delivery: Delivery) -> set[int]:
    streams = [setup.stream for setup in delivery.setups.values()]
    return {ssrc for stream in streams for ssrc in (stream.ssrc, stream.rtx_ssrc, stream.fec_ssrc) if ssrc}


def begun(delivery: Delivery) -> set[int]:
    """SSRCs of what leaves for a session that begins now."""
    delivery.begin(SessionMaker(SenderConfig(()), "cname", 0, SECOND, random.Random()))
    assert delivery.session is not None
    delivery.session.send(1, AccessUnit(bytes(160), 0, 0), 0)
    sent = delivery.session.poll(0).transmissions
    return {int.from_bytes(d[8:12]) for each in sent for d in each.datagrams if not 192 <= d[1] <= 223}


def test_a_session_that_begins_again_uses_no_number_twice() -> None:
    """The same SSRC and number under the same key would be the same key stream."""
    delivery = a_delivery(encrypted=True)
    before, sent = ssrcs(delivery), begun(delivery)
    assert sent <= before
    encryption = delivery.encryption
    again = begun(delivery)
    assert not again & before
    assert not ssrcs(delivery) & before
    assert delivery.encryption is encryption, "what came before stays refused"


def test_in_the_clear_it_goes_on_as_before() -> None:
    delivery = a_delivery(encrypted=False)
    assert begun(delivery) == begun(delivery)
    assert delivery.encryption is None


def test_keys_are_in_the_description_and_no_two_are_alike() -> None:
    numbers = random.Random(1)
    identities = [Identity.new(numbers) for _ in range(2)]
    keys = [identity.key for identity in identities]
    streams = [one.given_to(form, repair=True) for one, form in zip(identities, (FORM, SOUND), strict=True)]
    told = sdp.parse(describe(streams, Npt(), "192.0.2.7", cname="c", session_id=1, keys=keys))
    assert [media.protocol for media in told.media] == ["RTP/SAVP", "RTP/SAVP"]
    assert [described_key(told, media) for media in told.media] == keys
    assert keys[0].key != keys[1].key
    assert keys[0].rocs.keys() == {identities[0].media, identities[0].rtx, identities[0].fec}
    plain = sdp.parse(describe(streams, Npt(), "192.0.2.7", cname="c", session_id=1))
    assert [media.protocol for media in plain.media] == ["RTP/AVP", "RTP/AVP"]
    assert [described_key(plain, media) for media in plain.media] == [None, None]


def test_a_key_in_a_header() -> None:
    key = Identity.new(random.Random()).key
    assert key_management.offered(key_management.telling(key, "rtsps://a/b,c;d/track1")) == key
    assert key_management.offered(Headers()) is None
    assert key_management.offered(Headers.of(("KeyMgmt", "prot=mikey;data=AAAA"))) is None
    damaged = key_management.header(mikey.serialize(key, 1)[:-20], "rtsps://a")
    assert key_management.offered(Headers.of(("KeyMgmt", damaged))) is None
