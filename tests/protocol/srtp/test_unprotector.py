from __future__ import annotations

import random
import resource
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.datagram import Batch
from protocol.srtp import unprotector
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile
from protocol.srtp.protector import Protector
from protocol.srtp.unprotector import Unprotector

GCM = Profile.AEAD_AES_128_GCM
KEYS = {profile: MasterKey.generate(profile) for profile in Profile}


def packet(number: int, ssrc: int = 1, payload: bytes = b"media") -> bytes:
    return struct.pack("!BBHII", 0x80, 96, number & 0xFFFF, 0, ssrc) + payload


def report(ssrc: int = 1) -> bytes:
    return struct.pack("!BBHI", 0x80, 201, 1, ssrc)


def datagrams(batch: Batch) -> list[bytes]:
    return [batch.datagram(index) for index in range(len(batch))]


@pytest.mark.parametrize("profile", Profile)
def test_a_batch_comes_out_as_it_went_in(profile: Profile) -> None:
    clear = [packet(1), report(), packet(2, ssrc=2, payload=b"x" * 1200), packet(2)]
    sent = Batch.of(Protector(KEYS[profile]).protect(clear), 77, "path")
    sent.arrival_times[:] = [10, 20, 30, 40]
    got = Unprotector(KEYS[profile]).unprotect_batch(sent)
    assert datagrams(got) == clear
    assert got.arrival_times.tolist() == [10, 20, 30, 40]
    assert got.path == "path"


def test_what_is_not_authentic_is_left_out_and_counted() -> None:
    protector, receiver = Protector(KEYS[GCM]), Unprotector(KEYS[GCM])
    good = protector.protect([packet(n) for n in range(4)])
    bad = bytearray(good[1])
    bad[20] ^= 1
    strange = Protector(MasterKey.generate(GCM)).protect([packet(9), report()])
    mixed = [good[0], bytes(bad), b"", b"\x80", good[2][:20], *strange, packet(5), good[0], good[3]]
    batch = Batch(*_columns(mixed), "p", kernel_drops=3, drops_exact=False, steered=True)
    got = receiver.unprotect_batch(batch)
    assert datagrams(got) == [packet(0), packet(3)]
    assert got.arrival_times.tolist() == [0, len(mixed) - 1]
    assert (got.kernel_drops, got.drops_exact, got.steered) == (3, False, True)
    assert receiver.refused.reasons == {"srtp_unauthenticated": 1, "srtp_truncated": 4}
    assert receiver.refused.corrupted == {1: 2}
    assert receiver.refused.replayed == [(1, 0)]
    assert receiver.authentic == 2


def _columns(mixed: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    plain = Batch.of(mixed, 0)
    return plain.buffer, plain.offsets, plain.lengths, np.arange(len(mixed), dtype=np.int64)


def test_an_empty_batch_keeps_what_it_tells() -> None:
    none = np.zeros(0, np.int64)
    got = Unprotector(KEYS[GCM]).unprotect_batch(Batch(np.zeros(0, np.uint8), none, none, none, "p", 5))
    assert (len(got), got.kernel_drops) == (0, 5)


def test_the_batch_that_came_is_not_touched() -> None:
    sent = Batch.of(Protector(KEYS[GCM]).protect([packet(1)]), 0)
    before = sent.buffer.copy()
    Unprotector(KEYS[GCM]).unprotect_batch(sent)
    assert (sent.buffer == before).all()


@pytest.mark.parametrize("profile", Profile)
def test_any_order_within_eight_thousand_packets(profile: Profile) -> None:
    protected = Protector(KEYS[profile]).protect([packet(n) for n in range(60_000, 60_000 + 8193)])
    receiver = Unprotector(KEYS[profile])
    assert receiver.unprotect(protected[0], 0)
    assert receiver.unprotect(protected[-2], 0)
    others = [*range(1, 8191), 8192]
    random.Random(5).shuffle(others)
    # The last one moves the window on: then the first of all is too old, whatever it is.
    others.remove(8192)
    assert all(receiver.unprotect(protected[n], 0) == packet(60_000 + n) for n in others)
    assert receiver.unprotect(protected[8192], 0)
    assert not any(receiver.unprotect(one, 0) for one in protected[:5000])
    assert receiver.refused.replayed == [(1, (60_000 + n) & 0xFFFF) for n in range(5000)]


def test_replayed_reports() -> None:
    protected = Protector(KEYS[GCM]).protect([report(), report()])
    receiver = Unprotector(KEYS[GCM])
    assert [bool(receiver.unprotect(one, 0)) for one in protected * 2] == [True, True, False, False]
    assert receiver.refused.reasons == {"srtp_replayed": 2}
    assert not receiver.refused.replayed, "of media, for its account"


def test_what_one_direction_sends_the_other_cannot_have_sent() -> None:
    """Reflected packets are not authentic where each direction has its own key."""
    there, back = MasterKey.generate(GCM), MasterKey.generate(GCM)
    receiver = Unprotector(back)
    assert receiver.unprotect(Protector(there).protect([packet(1)])[0], 0) is None


def test_strangers_make_no_state() -> None:
    """Neither in the table of streams nor in libsrtp: half a million SSRCs cost nothing that stays."""
    receiver = Unprotector(KEYS[GCM])
    protector = Protector(KEYS[GCM])
    template = bytearray(Protector(MasterKey.generate(GCM)).protect([packet(1)])[0])
    assert receiver.unprotect(protector.protect([packet(0)])[0], 0)

    def flood(first: int, count: int) -> None:
        for ssrc in range(first, first + count):
            template[8:12] = ssrc.to_bytes(4)
            assert receiver.unprotect(bytes(template), 0) is None

    flood(1000, 2000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    flood(10_000, 50_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4000, "kB; a stream of libsrtp takes 1.5"
    assert receiver.ssrcs == {1}
    assert receiver.unprotect(protector.protect([packet(1)])[0], 0)


def test_streams_of_one_key_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unprotector, "MAX_STREAMS", 3)
    protector, receiver = Protector(KEYS[GCM]), Unprotector(KEYS[GCM])
    clear = [packet(1, ssrc=ssrc) for ssrc in range(5)] + [report(ssrc) for ssrc in range(5)]
    got = [receiver.unprotect(one, 0) for one in protector.protect(clear)]
    assert [one is not None for one in got] == [True, True, True, False, False] * 2
    assert receiver.refused.reasons == {"srtp_streams": 4}
    more = [receiver.unprotect(one, 0) for one in protector.protect([packet(2, ssrc=2), packet(2, ssrc=4)])]
    assert [one is not None for one in more] == [True, False]


@given(st.lists(st.binary(max_size=100), max_size=12))
def test_junk_raises_nothing(junk: list[bytes]) -> None:
    for key in KEYS.values():
        receiver = Unprotector(key)
        assert len(receiver.unprotect_batch(Batch.of(junk, 0))) == 0
        assert sum(receiver.refused.reasons.values()) == len(junk)


@given(st.data())
def test_damage_is_found_wherever_it_is(data: st.DataObject) -> None:
    profile = data.draw(st.sampled_from(Profile))
    clear = data.draw(st.sampled_from([packet(1), report(), packet(3, payload=b"")]))
    protected = bytearray(Protector(KEYS[profile]).protect([clear])[0])
    at = data.draw(st.integers(0, len(protected) * 8 - 1))
    protected[at // 8] ^= 1 << at % 8
    assert Unprotector(KEYS[profile]).unprotect(bytes(protected), 0) is None
