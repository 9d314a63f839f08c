"""Streams that are joined, or heard of again, after their numbers have wrapped."""

from __future__ import annotations

import struct
import time

import pytest

from protocol.srtp import rollover
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile
from protocol.srtp.protector import Protector
from protocol.srtp.unprotector import Unprotector
from tests.support import srtp_reference as reference

SECOND = 1_000_000_000
KEYS = {profile: MasterKey.generate(profile) for profile in Profile}
GCM = KEYS[Profile.AEAD_AES_128_GCM]
SSRC = 0x1234


def packet(number: int, ssrc: int = SSRC) -> bytes:
    return struct.pack("!BBHII", 0x80, 96, number & 0xFFFF, 0, ssrc) + b"media"


def sent(key: MasterKey, index: int, ssrc: int = SSRC) -> bytes:
    """The packet of that index, as RFC 3711 has it: a sender that has wrapped that often."""
    encrypt = reference.rtp_gcm if key.profile.aead else reference.rtp_cm
    return encrypt(key.key, key.salt, packet(index, ssrc), index >> 16)


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("number", [0, 1, 9000, 32767, 32768, 40_000, 65_535])
def test_joining_after_two_wraps(profile: Profile, number: int) -> None:
    key = KEYS[profile]
    receiver = Unprotector(key)
    for index in range(2 << 16 | number, (2 << 16 | number) + 40):
        assert receiver.unprotect(sent(key, index), SECOND) == packet(index)
    assert not receiver.refused


@pytest.mark.parametrize("profile", Profile)
def test_our_own_sender_after_two_wraps(profile: Profile) -> None:
    key = KEYS[profile]
    protector, receiver = Protector(key), Unprotector(key)
    for index in range(0, 2 << 16, 100):
        protector.protect([packet(index)])
    (late,) = protector.protect([packet(2 << 16)])
    assert receiver.unprotect(late, SECOND) == packet(0)


def test_packets_from_before_the_one_that_was_joined_with() -> None:
    receiver = Unprotector(GCM)
    order = [200_000, 199_999, 199_000, 196_600, 196_609, 192_500]
    assert [receiver.unprotect(sent(GCM, index), SECOND) for index in order] == [packet(index) for index in order]
    assert not any(receiver.unprotect(sent(GCM, index), SECOND) for index in order)
    assert receiver.refused.replayed == [(SSRC, index & 0xFFFF) for index in order]


def test_joined_right_behind_a_wrap() -> None:
    """The sender began at 65,530: its first packets come last."""
    receiver = Unprotector(GCM)
    for index in (65_537, 65_530, 65_536, 65_535):
        assert receiver.unprotect(sent(GCM, index), SECOND) == packet(index)


@pytest.mark.parametrize("roc", [1, 15, 16, 40, 3000])
def test_a_counter_that_came_with_the_key(roc: int) -> None:
    key = MasterKey(GCM.profile, GCM.key, GCM.salt, rocs={SSRC: roc})
    receiver = Unprotector(key)
    assert receiver.unprotect(sent(key, roc << 16 | 77), SECOND) == packet(77)
    assert receiver.unprotect(sent(key, roc << 16 | 78), SECOND) == packet(78)
    assert receiver.unprotect(sent(key, 78), SECOND) is None, "what the counter says is over"


def test_a_counter_that_is_a_little_old() -> None:
    key = MasterKey(GCM.profile, GCM.key, GCM.salt, rocs={SSRC: 40})
    assert Unprotector(key).unprotect(sent(key, 41 << 16 | 5), SECOND) == packet(5)


def test_after_sixteen_wraps_somebody_must_tell() -> None:
    receiver = Unprotector(GCM)
    assert receiver.unprotect(sent(GCM, rollover.TRIED << 16), SECOND) == packet(0)
    receiver = Unprotector(GCM)
    assert receiver.unprotect(sent(GCM, (rollover.TRIED + 1) << 16), SECOND) is None


@pytest.mark.parametrize("missed", [40_000, 65_536, 100_000, 500_000])
@pytest.mark.parametrize("profile", Profile)
def test_a_minute_without_network_in_which_numbers_wrapped(profile: Profile, missed: int) -> None:
    key = KEYS[profile]
    receiver = Unprotector(key)
    for index in range(60_000, 60_100):
        assert receiver.unprotect(sent(key, index), SECOND)
    for index in range(60_100 + missed, 60_150 + missed):
        assert receiver.unprotect(sent(key, index), 61 * SECOND) == packet(index)
    assert not any(receiver.unprotect(sent(key, index), 62 * SECOND) for index in range(60_000, 60_100))
    assert receiver.unprotect(sent(key, 60_150 + missed), 62 * SECOND)


def test_while_a_stream_is_heard_nothing_is_looked_for() -> None:
    """What claims to be of it is forged or from long ago: an attempt would cost as much as thirty packets."""
    receiver = Unprotector(GCM)
    assert receiver.unprotect(sent(GCM, 1), SECOND)
    assert receiver.unprotect(sent(GCM, 100_000), 2 * SECOND) is None
    assert receiver.unprotect(sent(GCM, 2), 2 * SECOND)


def test_strangers_cost_little_and_take_nothing_from_those_who_report() -> None:
    receiver = Unprotector(GCM)
    other = MasterKey.generate(GCM.profile)
    now, began = SECOND, time.process_time()
    for ssrc in range(20_000):
        now += 1000
        receiver.unprotect(sent(other, 5, ssrc=ssrc + 9) if not ssrc else _spoofed(other, ssrc), now)
    assert time.process_time() - began < 3.0, "150 µs each would be as much"
    assert receiver.unprotect(sent(GCM, 2 << 16), now) is None, "nothing is left for strangers"
    (report,) = Protector(GCM).protect([struct.pack("!BBHI", 0x80, 201, 1, SSRC)])
    assert receiver.unprotect(report, now)
    assert receiver.unprotect(sent(GCM, 2 << 16), now) == packet(0)


def _spoofed(key: MasterKey, ssrc: int) -> bytes:
    return struct.pack("!BBHII", 0x80, 96, 5, 0, ssrc) + bytes(5 + key.rtp_overhead)


def test_attempts_come_back_with_time() -> None:
    receiver = Unprotector(GCM)
    other = MasterKey.generate(GCM.profile)
    for ssrc in range(200):
        receiver.unprotect(_spoofed(other, ssrc), SECOND)
    assert receiver.unprotect(sent(GCM, 2 << 16), SECOND) is None
    assert receiver.unprotect(sent(GCM, (2 << 16) + 1), 2 * SECOND) == packet(1)
