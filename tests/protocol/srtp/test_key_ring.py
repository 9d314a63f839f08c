from __future__ import annotations

import struct

from protocol.datagram import Batch
from protocol.srtp import key_ring
from protocol.srtp.key_ring import KeyRing
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile
from protocol.srtp.protector import Protector

SECOND = 1_000_000_000


def a_key() -> MasterKey:
    return MasterKey.generate(Profile.AEAD_AES_128_GCM)


def packet(number: int, ssrc: int) -> bytes:
    return struct.pack("!BBHII", 0x80, 96, number, 0, ssrc) + b"media"


def report(ssrc: int) -> bytes:
    return struct.pack("!BBHI", 0x80, 201, 1, ssrc)


def opened(ring: KeyRing, datagrams: list[bytes], path: object = "there", now: int = SECOND) -> list[bytes]:
    got = ring.open(Batch.of(datagrams, now, path))
    assert got.authentic
    return [got.datagram(index) for index in range(len(got))]


def test_without_a_key_nothing_is_opened() -> None:
    ring = KeyRing()
    assert opened(ring, [packet(1, 1), b""]) == []
    assert ring.take_refused().reasons == {"srtp_no_key": 2}
    assert not ring.take_refused()


def test_one_key_and_several() -> None:
    keys = [a_key() for _ in range(3)]
    protectors = [Protector(key) for key in keys]
    one = KeyRing(keys[:1])
    assert opened(one, protectors[0].protect([packet(1, 1), report(1)])) == [packet(1, 1), report(1)]
    ring = KeyRing(keys)
    mixed = [protector.protect([packet(n, 10 + at)])[0] for n in range(4) for at, protector in enumerate(protectors)]
    clear = [packet(n, 10 + at) for n in range(4) for at in range(3)]
    assert opened(ring, mixed) == clear
    assert opened(ring, mixed) == []
    assert len(ring.take_refused().replayed) == 12


def test_one_ssrc_with_several_keys() -> None:
    """As a receiver has it, whose tracks were agreed on one by one."""
    keys = [a_key(), a_key()]
    protectors = [Protector(key) for key in keys]
    ring = KeyRing(keys)
    for path in ("one", "another", "one"):
        for protector in protectors:
            assert opened(ring, protector.protect([report(7)]), path) == [report(7)]
    again = protectors[0].protect([report(7)])
    assert opened(ring, again * 2) == [report(7)]
    assert ring.take_refused().reasons == {"srtp_replayed": 1}, "whichever was tried after it"


def test_arrival_times_and_drops_are_kept() -> None:
    keys = [a_key(), a_key()]
    one, two = Protector(keys[0]).protect([packet(1, 1)]), Protector(keys[1]).protect([packet(2, 2)])
    batch = Batch.of([*one, b"junk, long enough to be something encrypted", *two], 5)
    batch.arrival_times[:] = [7, 8, 9]
    got = KeyRing(keys).open(batch)
    assert got.arrival_times.tolist() == [7, 9]


def test_strangers_cannot_have_all_keys_tried_for_ever() -> None:
    """Of 60 keys, those of the path go first; the others as often as a few thousand packets a second cost."""
    keys = [a_key() for _ in range(60)]
    ring = KeyRing(keys)
    assert opened(ring, Protector(keys[3]).protect([packet(1, 3)]), "home")
    junk = [packet(1, ssrc) + bytes(16) for ssrc in range(1000, 3000)]
    assert opened(ring, junk, "elsewhere") == []
    assert opened(ring, Protector(keys[4]).protect([packet(1, 4)]), "new") == [], "nothing left for who is new"
    assert opened(ring, Protector(keys[3]).protect([report(33)]), "home"), "but for who is known there"
    assert opened(ring, Protector(keys[4]).protect([packet(2, 4)]), "new", 2 * SECOND)


def test_many_known_streams_leave_room_for_new_ones() -> None:
    keys = [a_key() for _ in range(30)]
    ring = KeyRing(keys)
    protectors = [Protector(key) for key in keys]
    for at, protector in enumerate(protectors[:-1]):
        assert opened(ring, protector.protect([packet(0, at)]), at, (at + 1) * SECOND)
    for number in range(1, 200):
        for at, protector in enumerate(protectors[:-1]):
            assert opened(ring, protector.protect([packet(number, at)]), at, 30 * SECOND)
    assert opened(ring, protectors[-1].protect([packet(0, 99)]), "new", 30 * SECOND)


def test_the_ring_is_bounded() -> None:
    keys = [a_key() for _ in range(key_ring.MOST + 1)]
    ring = KeyRing(keys[:-1])
    assert opened(ring, Protector(keys[0]).protect([packet(1, 1)]))
    ring.add(keys[-1])
    assert len(ring) == key_ring.MOST
    assert opened(ring, Protector(keys[1]).protect([packet(1, 2)])) == [], "of it nothing ever came"
    assert opened(ring, Protector(keys[0]).protect([report(1)]))
