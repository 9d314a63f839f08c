"""Reports in pieces: there, in any order, with losses, copies and junk, and never more memory than is meant."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ProtocolError
from protocol.rtcp import report_pieces
from protocol.rtcp.app import App
from protocol.rtcp.report_pieces import (
    MAX_REPORTS,
    MAX_SIZE,
    PIECE_SIZE,
    IncomingReports,
    OutgoingReport,
    PieceAcknowledgement,
    ReportPiece,
)
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND

HERE, THERE = 0xA1A2A3A4, 0xB1B2B3B4
START = 1000 * SECOND
REPORT = random.Random(1).randbytes(20 * PIECE_SIZE + 7)


def outgoing(data: bytes = REPORT, now: int = START) -> OutgoingReport:
    return OutgoingReport(HERE, THERE, data, now)


def pieces_of(data: bytes) -> list[ReportPiece]:
    """All pieces, each once."""
    report, found, now = outgoing(data), dict[int, ReportPiece](), START
    while len(found) < max(1, -(-len(data) // PIECE_SIZE)):
        found |= {piece.index: piece for piece in report.take(now)}
        now += 100 * MS
    return [found[index] for index in sorted(found)]


def test_a_piece_by_hand() -> None:
    digest = hashlib.sha256(b"abcde").digest()[:8]
    (piece,) = outgoing(b"abcde").take(START)
    octets = "82cc0008 a1a2a3a4 53435354 b1b2b3b4" + digest.hex() + "00010005 61626364 65000000"
    assert bytes(piece.to_app()) == bytes.fromhex(octets)
    said = PieceAcknowledgement(THERE, HERE, digest, 0b101)
    octets = "83cc0007 b1b2b3b4 53435354 a1a2a3a4" + digest.hex() + "0000000000000005"
    assert bytes(said.to_app()) == bytes.fromhex(octets)


U8, U32, U64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 32, 64))
DIGESTS = st.binary(min_size=8, max_size=8)
PLACES = st.integers(1, 64).flatmap(lambda count: st.tuples(st.integers(0, count - 1), st.just(count)))


@given(U32, U32, DIGESTS, PLACES, st.binary(max_size=60))
def test_pieces_there_and_back(ssrc: int, to: int, digest: bytes, place: tuple[int, int], data: bytes) -> None:
    piece = ReportPiece(ssrc, to, digest, *place, data)
    assert report_pieces.parse(piece.to_app()) == piece


@given(U32, U32, DIGESTS, U64)
def test_acknowledgements_there_and_back(ssrc: int, to: int, digest: bytes, received: int) -> None:
    said = PieceAcknowledgement(ssrc, to, digest, received)
    assert report_pieces.parse(said.to_app()) == said


@given(st.builds(App, U32, st.integers(0, 5), st.sampled_from([b"SCST", b"SCSU"]), st.binary(max_size=60)))
def test_any_octets_give_a_value_or_a_protocol_error(app: App) -> None:
    try:
        part = report_pieces.parse(app)
    except ProtocolError:
        return
    assert (part is None) == (app.name != b"SCST" or app.subtype not in (2, 3))


@pytest.mark.parametrize("place", [(0, 0), (1, 1), (0, 65)])
def test_a_piece_outside_its_report_is_refused(place: tuple[int, int]) -> None:
    with pytest.raises(ProtocolError, match="rtcp_report"):
        report_pieces.parse(ReportPiece(1, 2, bytes(8), *place, b"").to_app())


@pytest.mark.parametrize("size", [0, 1, PIECE_SIZE, PIECE_SIZE + 1, MAX_SIZE])
def test_a_report_of_any_size_comes_whole_and_once(size: int) -> None:
    data = random.Random(size).randbytes(size)
    incoming = IncomingReports()
    whole = [incoming.receive(piece)[1] for piece in pieces_of(data) * 2]
    assert [report for report in whole if report is not None] == [data]


def test_a_report_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 64 pieces"):
        outgoing(bytes(MAX_SIZE + 1))


@pytest.mark.parametrize("loss", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_losses_copies_and_disorder_both_ways(loss: float, seed: int) -> None:
    """A way of 30 to 90 ms there and back, on which everything may be lost or come twice."""
    rng = random.Random(seed)
    there, back = outgoing(), IncomingReports()
    flying: list[tuple[int, ReportPiece | PieceAcknowledgement]] = []
    came: list[bytes] = []
    now = START
    while not there.over(now):
        sent: list[ReportPiece | PieceAcknowledgement] = list(there.take(now))
        for _, part in [each for each in flying if each[0] <= now]:
            if isinstance(part, PieceAcknowledgement):
                there.acknowledge(part, now)
                continue
            answer, whole = back.receive(part)
            sent.append(answer)
            came += [whole] if whole is not None else []
        flying = [each for each in flying if each[0] > now]
        for part in sent:
            copies = 0 if rng.random() < loss else 2 if rng.random() < 0.2 else 1
            flying += [(now + rng.randrange(30 * MS, 90 * MS), part) for _ in range(copies)]
        now += MS
    assert there.delivered
    assert came == [REPORT]


def test_without_an_answer_all_pieces_have_their_turn_and_the_end_comes_after_two_seconds() -> None:
    there, sent = outgoing(), list[tuple[int, int]]()
    now = START
    while not there.over(now):
        sent += [(now - START, piece.index) for piece in there.take(now)]
        now = there.next_time()
    assert {index for _, index in sent} == set(range(21))
    assert {time for time, _ in sent} == {n * 100 * MS for n in range(20)}
    assert now == START + 2 * SECOND
    assert not there.delivered


def test_what_waits_for_room_leaves_as_soon_as_there_is_some() -> None:
    there = outgoing()
    first = there.take(START)
    assert len(first) == 16
    bits = sum(1 << piece.index for piece in first)
    there.acknowledge(PieceAcknowledgement(THERE, HERE, first[0].digest, bits), START + 10 * MS)
    assert [piece.index for piece in there.take(START + 10 * MS)] == [16, 17, 18, 19, 20]


def test_acknowledgements_of_others_and_of_other_reports_change_nothing() -> None:
    there = outgoing()
    digest = there.take(START)[0].digest
    everything = (1 << 64) - 1
    there.acknowledge(PieceAcknowledgement(THERE + 1, HERE, digest, everything), START)
    there.acknowledge(PieceAcknowledgement(THERE, HERE, bytes(8), everything), START)
    assert not there.delivered
    there.acknowledge(PieceAcknowledgement(THERE, HERE, digest, everything), START)
    assert there.delivered


def test_pieces_that_do_not_fit_together_are_forgotten_and_the_right_ones_still_make_a_report() -> None:
    incoming, right = IncomingReports(), pieces_of(REPORT)
    wrong = ReportPiece(HERE, THERE, right[0].digest, 3, right[0].count, b"junk")
    answers = [incoming.receive(piece) for piece in [wrong, *right]]
    assert [whole for _, whole in answers if whole is not None] == []
    assert answers[-1][0].received == 0, "whoever sends them knows that they are needed again"
    assert [whole for piece in right if (whole := incoming.receive(piece)[1]) is not None] == [REPORT]


def test_a_piece_of_another_count_changes_nothing() -> None:
    incoming, right = IncomingReports(), pieces_of(REPORT)
    incoming.receive(right[0])
    answer, _ = incoming.receive(ReportPiece(HERE, THERE, right[0].digest, 1, 2, b"junk"))
    assert answer.received == 1


def test_reports_of_several_come_beside_each_other() -> None:
    incoming = IncomingReports()
    parts = [ReportPiece(ssrc, THERE, p.digest, p.index, p.count, p.data) for p in pieces_of(REPORT) for ssrc in (5, 6)]
    whole = [(piece.ssrc, report) for piece in parts if (report := incoming.receive(piece)[1]) is not None]
    assert whole == [(5, REPORT), (6, REPORT)]


def test_junk_takes_no_more_memory_than_a_few_reports() -> None:
    incoming = IncomingReports()
    for number in range(2000):
        digest = number.to_bytes(8)
        for index in range(3):
            incoming.receive(ReportPiece(number, THERE, digest, index, 64, bytes(PIECE_SIZE)))
    assert len(incoming) <= MAX_REPORTS
    assert [whole for piece in pieces_of(REPORT) if (whole := incoming.receive(piece)[1]) is not None] == [REPORT]
