"""Bursts and gaps against RFC 3611: its example, its definition, and the transition counts of its appendix."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.account.bursts import GMIN, BurstCounts, Bursts, scaled_gmin
from receiver.account.row import Row

MS = 1_000_000


def rfc_3611_appendix(lost_flags: list[bool], gmin: int) -> tuple[float, float]:
    """Burst and gap density (0 to 1) by the transition counts of A.2, for a row that begins with a single loss in a
    gap: the appendix's counters start in the state that such a loss leaves behind."""
    c11 = c13 = c14 = c22 = c23 = c33 = 0
    lost, received = 1, 0
    for gone in lost_flags[1:]:
        if not gone:
            received += 1
            continue
        if received >= gmin:
            if lost == 1:
                c14 += 1
            else:
                c13 += 1
            lost = 1
            c11 += received
        else:
            lost += 1
            if received == 0:
                c33 += 1
            else:
                c23 += 1
                c22 += received - 1
        received = 0
    p32 = c23 / (c13 + c23 + c33)
    p23 = 1.0 if c22 + c23 < 1 else 1 - c22 / (c22 + c23)
    return p23 / (p23 + p32), c14 / (c11 + c14)


def by_definition(flags: list[bool], gmin: int) -> BurstCounts:
    """§4.7.2 word by word, a packet at a time."""
    places = [at for at, gone in enumerate(flags) if gone]
    clusters: list[list[int]] = []
    for at in places:
        if clusters and at - clusters[-1][-1] - 1 < gmin:
            clusters[-1].append(at)
        else:
            clusters.append([at])
    bursts = [cluster for cluster in clusters if len(cluster) > 1]
    packets = sum(cluster[-1] - cluster[0] + 1 for cluster in bursts)
    return BurstCounts(gmin, len(flags), len(places), len(bursts), packets, sum(map(len, bursts)))


def shown(flags: list[bool], sizes: list[int], spacing: float | None = None) -> BurstCounts:
    bursts, row, at = Bursts(), np.array(flags, bool), 0
    while at < len(row):
        for size in sizes:
            piece = row[at : at + size]
            if piece.any() and piece.all():
                bursts.bad(len(piece))
            elif piece.any():
                bursts.observe(piece)
            else:
                bursts.good(len(piece))
            at += size
    return bursts.counts(spacing)


def flags_of(drawing: str) -> list[bool]:
    return [letter in "X0" for letter in drawing if letter in "1X0"]


def test_the_example_of_the_rfc() -> None:
    # §4.7.2: 1 received, 0 lost, X discarded; its burst is of twelve packets
    before, burst, after = "1111" + "0" + "1" * 18, "X111X1011110", "1" * 18 + "X" + "1" * 18
    counts = shown(flags_of(before + burst + after), [7])
    assert (counts.bursts, counts.burst_packets) == (1, 12)
    assert counts.burst_density == pytest.approx(4 / 12)
    gap = len(before) + len(after)
    assert counts.gap_density == pytest.approx(2 / gap)
    assert counts.gap_length == gap / 2


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32), st.integers(0, 2000), st.floats(0.001, 0.9), st.floats(0.05, 1.0),
    st.lists(st.integers(1, 300), min_size=1, max_size=4), st.sampled_from([5 * MS, 20 * MS, 80 * MS]),
)  # fmt: skip
def test_pieces_give_what_the_definition_gives(
    seed: int, count: int, p: float, r: float, sizes: list[int], spacing: int
) -> None:
    flags = clustered(seed, count, p, r)
    assert shown(flags, sizes, spacing) == by_definition(flags, scaled_gmin(spacing))


@pytest.mark.parametrize("seed", range(5))
def test_densities_are_those_of_the_appendix(seed: int) -> None:
    # one single loss at each end, so that the appendix's counters begin and end within a gap
    flags = [True, *[False] * 40, *clustered(seed, 50_000, 0.01, 0.4), *[False] * 40, True]
    counts = shown(flags, [64])
    burst, gap = rfc_3611_appendix(flags, GMIN)
    assert counts.burst_density == pytest.approx(burst, rel=1e-12)
    # the appendix counts neither the single loss it starts from nor the transition into each burst as packets of a gap
    assert counts.gap_density == pytest.approx(gap, rel=0.02)


def clustered(seed: int, count: int, p: float, r: float) -> list[bool]:
    random = np.random.default_rng(seed)
    flags, bad = [], False
    for draw in random.random(count).tolist():
        bad = draw >= r if bad else draw < p
        flags.append(bad)
    return flags


def test_nothing_lost() -> None:
    counts = shown([False] * 100, [10])
    assert (counts.bursts, counts.burst_density, counts.gap_density, counts.burst_length) == (0, None, 0.0, None)
    assert counts.gap_length == 100
    assert Bursts().counts().gap_density is None


def test_reading_changes_nothing() -> None:
    bursts = Bursts()
    bursts.observe(np.array([True, False, True]))
    assert bursts.counts() == bursts.counts()
    bursts.observe(np.array([True]))
    assert bursts.counts().burst_packets == 4


@pytest.mark.parametrize(
    ("milliseconds", "gmin"),
    [(None, 16), (0, 16), (20, 16), (28, 16), (15, 16), (10, 32), (5, 64), (1.25, 256), (40, 8), (80, 4), (500, 4)],
)
def test_gmin_covers_about_320_ms(milliseconds: float | None, gmin: int) -> None:
    assert scaled_gmin(None if milliseconds is None else milliseconds * MS) == gmin


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 30)), max_size=40), st.integers(1, 17))
def test_a_row_tells_each_run_once(stretches: list[tuple[bool, int]], size: int) -> None:
    flags = np.repeat([flag for flag, _ in stretches], [n for _, n in stretches]).astype(bool)
    row, runs = Row(), []
    for at in range(0, len(flags), size):
        runs += row.add(flags[at : at + size])
    rebuilt = np.zeros(len(flags), bool)
    for begin, end in runs + row.open:
        rebuilt[begin:end] = True
    assert rebuilt.tolist() == flags.tolist()
    assert row.length == len(flags)
    assert all(first[1] < second[0] for first, second in itertools.pairwise(runs))
