"""Encrypted streams on bad networks: the same account as in the clear, to the packet; strangers change nothing."""

from __future__ import annotations

import struct
from collections import Counter

import pytest

from protocol import key_file
from protocol.key_file import KeyFile
from protocol.srtp.master_key import MasterKey
from protocol.srtp.profile import Profile
from protocol.srtp.protector import Protector
from receiver.report.collect import collect
from receiver.report.snapshot import broken_invariants
from receiver.session import ReceiverSession, SessionStatistics
from tests.support.clock import MILLISECOND, SECOND
from tests.support.netem import Conditions, GilbertElliott, rtp_only
from tests.support.pair import AUDIO, REPAIRED, VIDEO, Pair, make_sender, meet
from tests.support.sealed import SealedReceiver, SealedSender, clocks, seal
from tests.support.traffic import audio, together, video

SECRET = key_file.parse(b"correct horse battery staple", "a file")
OTHER = key_file.parse(b"correct horse battery stable", "another")
KEY = bytes(range(30)).hex()
FIXED = key_file.parse(f"AES_CM_128_HMAC_SHA1_80 {KEY}\nAES_CM_128_HMAC_SHA1_80 {KEY[::-1]}".encode(), "a file")
SILENT = key_file.parse(f"AES_CM_128_HMAC_SHA1_80 {KEY}".encode(), "a file")


def encrypted(pair: Pair, there: KeyFile = SECRET, here: KeyFile | None = None) -> tuple[SealedSender, SealedReceiver]:
    theirs, ours = clocks(pair)
    return seal(pair, there.sender(**theirs), (here or there).receiver(**ours))


def traffic(seconds: int):  # type: ignore[no-untyped-def]
    return together(video(seconds * SECOND), audio(seconds * SECOND, stream=1))


def statistics(pair: Pair) -> SessionStatistics:
    assert pair.receiver is not None
    return pair.receiver.statistics()


def check_balance(told: SessionStatistics) -> None:
    snapshot = collect(
        told, {}, (), time_s=1.0, rates={}, skew=None, kernel_drops=0, kernel_drops_exact=True, output_drops={}
    )
    assert [broken_invariants(stream) for stream in snapshot.streams] == [[]] * len(snapshot.streams)


@pytest.mark.parametrize("keys", [SECRET, FIXED])
def test_the_account_is_that_of_the_network(keys: KeyFile) -> None:
    """Loss in runs, and every way of repair, as it would be without encryption."""
    conditions = Conditions(20 * MILLISECOND, bursts=GilbertElliott(0.02, 0.4))
    pair = meet(conditions, streams=REPAIRED, seed=3, repair="auto")
    there, here = encrypted(pair, keys)
    pair.run(traffic(12))
    pair.finish()
    told = statistics(pair)
    truth: Counter[tuple[int, bool]] = Counter()
    for fate in pair.forward.log:
        if rtp_only(fate.head):
            truth[int.from_bytes(fate.head[8:12]), bool(fate.arrivals)] += 1
    for stream in told.streams:
        ssrc, ledger = stream.key.ssrc, stream.ledger
        assert (ledger.arrived, ledger.lost) == (truth[ssrc, True], truth[ssrc, False])
        assert ledger.sent == ledger.arrived + ledger.lost
        assert ledger.missed < ledger.lost / 4, "repaired"
        assert (ledger.duplicates, ledger.corrupted) == (0, 0)
    assert set(told.unparsed) <= {"srtp_no_key", "unconfirmed"}
    assert told.unparsed.get("srtp_no_key", 0) < 10
    assert not here.lines
    assert not there.lines
    assert pair.sender is not None
    assert pair.sender.closed


def test_copies_and_damage() -> None:
    """Whatever came twice is a duplicate that nobody looked into; whatever was damaged is let in nowhere."""
    pair = meet(Conditions(5 * MILLISECOND, duplication=0.03, corruption=0.03), Conditions(5 * MILLISECOND), seed=9)
    encrypted(pair)
    pair.run(traffic(10))
    pair.finish()
    told = statistics(pair)
    check_balance(told)
    damaged, copies = pair.forward.counts["corrupted"], pair.forward.counts["copies"]
    assert damaged > 40
    assert copies > 40
    corrupted = sum(stream.ledger.corrupted for stream in told.streams)
    duplicates = sum(stream.ledger.duplicates for stream in told.streams)
    assert duplicates == sum(stream.ledger.duplicates_unverified for stream in told.streams)
    assert 0.9 * copies < duplicates + corrupted - damaged + told.unparsed.get("srtp_replayed", 0) < 1.1 * copies + 10
    assert corrupted > 0.8 * damaged, "the rest had its SSRC damaged, or its kind"
    assert all(stream.ledger.missed == stream.ledger.lost for stream in told.streams)


def test_a_key_that_is_not_the_same() -> None:
    pair = meet()
    there, here = encrypted(pair, SECRET, OTHER)
    pair.run(traffic(4))
    told = statistics(pair)
    assert not told.streams
    assert told.unparsed["key_announcement"] == 12, "at 0, 20, 70, 170, 370 and 770 ms, then twice a second"
    assert told.unparsed["srtp_no_key"] > 500
    assert here.lines == ["packets from None cannot be decrypted: not the same key there and here"]
    assert not there.lines


def test_fixed_keys_that_are_not_the_same() -> None:
    other = key_file.parse(f"AES_CM_128_HMAC_SHA1_80 {KEY[::-1]}".encode(), "b")
    pair = meet()
    _, here = encrypted(pair, SILENT, other)
    pair.run(traffic(3))
    assert set(statistics(pair).unparsed) == {"srtp_unauthenticated"}
    assert here.lines == ["packets from None cannot be decrypted: not the same key there and here"]


def test_a_sender_in_the_clear_is_not_let_in() -> None:
    pair = meet()
    _, ours = clocks(pair)
    assert pair.receiver is not None
    here = SealedReceiver(pair.receiver, SECRET.receiver(**ours), pair.clock)
    pair.receiver = here  # type: ignore[assignment]
    pair.run(traffic(3))
    assert not statistics(pair).streams
    assert len(here.lines) == 1


def test_a_receiver_without_a_key_of_its_own_is_silent() -> None:
    pair = meet(Conditions(5 * MILLISECOND))
    encrypted(pair, SILENT)
    pair.run(traffic(4))
    assert not pair.back.log
    assert all(stream.ledger.lost == 0 for stream in statistics(pair).streams)
    assert len(statistics(pair).streams) == 2


def test_a_sender_that_begins_again() -> None:
    pair = meet(Conditions(5 * MILLISECOND), repair="auto", streams=REPAIRED)
    encrypted(pair)
    pair.run(traffic(3))
    theirs, _ = clocks(pair)
    again = [stream.__class__(**{**_fields(stream), "ssrc": stream.ssrc + 99}) for stream in (VIDEO, AUDIO)]
    session = make_sender(pair.clock, pair.sender_clock, again, seed=77)
    pair.sender = SealedSender(session, SECRET.sender(**theirs))  # type: ignore[assignment]
    pair.run(traffic(3))
    pair.finish()
    told = statistics(pair)
    assert len(told.streams) == 4
    assert sum(told.unparsed.values()) == 0


def _fields(stream: object) -> dict[str, object]:
    return {name: getattr(stream, name) for name in stream.__slots__}  # type: ignore[attr-defined]


# Moving


def test_a_sender_somewhere_else_is_followed_at_once() -> None:
    pair = meet(Conditions(5 * MILLISECOND))
    there, here = encrypted(pair)
    there.path = "home"
    pair.run(traffic(3))
    there.path = "away"
    moved = pair.clock.now
    pair.run(traffic(3))
    assert {path for moment, path in here.left if moment < moved} == {"home"}
    assert {path for moment, path in here.left if moment > moved + 20 * MILLISECOND} == {"away"}
    told = statistics(pair)
    assert [stream.key.epoch for stream in told.streams] == [0, 0]
    assert all(stream.ledger.lost == 0 for stream in told.streams)


def test_who_only_claims_to_be_the_sender_is_not() -> None:
    """Forged packets with the right SSRC and the next numbers, and kept ones from elsewhere, lead nowhere."""
    pair = meet(Conditions(5 * MILLISECOND))
    there, here = encrypted(pair)
    there.path = "home"
    kept: list[bytes] = []
    send = pair.forward.send

    def keeping(datagram: bytes, now: int, path: object = None):  # type: ignore[no-untyped-def]
        kept.append(datagram)
        return send(datagram, now, path)

    pair.forward.send = keeping  # type: ignore[method-assign]
    pair.run(traffic(2))
    stranger = Protector(MasterKey.generate(Profile.AEAD_AES_128_GCM))
    newest = {int.from_bytes(d[8:12]): int.from_bytes(d[2:4]) for d in kept if rtp_only(d)}
    forged = [
        stranger.protect([struct.pack("!BBHII", 0x80, 96, number + ahead & 0xFFFF, 1, ssrc) + bytes(50)])[0]
        for ssrc, number in newest.items()
        for ahead in range(1, 40)
    ]
    again = kept[-200:]
    for datagram in [*forged, *again]:
        send(datagram, pair.clock.now, "evil")
    pair.run(traffic(2))
    pair.finish()
    assert "evil" not in {path for _, path in here.left}
    told = statistics(pair)
    check_balance(told)
    assert sum(stream.ledger.corrupted for stream in told.streams) == len(forged)
    replayed = [stream.ledger.duplicates_unverified for stream in told.streams]
    assert sum(replayed) == sum(rtp_only(datagram) for datagram in again)
    assert all(stream.ledger.lost == 0 for stream in told.streams)
    reports = pair.sender.statistics(0).streams if isinstance(pair.sender, SealedSender) else []
    assert all(stream.reception.cumulative_lost >= 0 for stream in reports), "what is unverified hides no loss"


def test_what_is_refused_at_the_end_changes_nothing() -> None:
    pair = meet()
    _, here = encrypted(pair)
    pair.run(traffic(2))
    assert isinstance(here.session, ReceiverSession)
    here.session.close(pair.clock.now)
    before = statistics(pair)
    here.session.refuse(_some_refused(), pair.clock.now)
    assert statistics(pair).unparsed == before.unparsed


def _some_refused():  # type: ignore[no-untyped-def]
    from protocol.srtp.refused import Refusal, Refused

    refused = Refused()
    refused.add(Refusal("srtp_unauthenticated"))
    return refused
