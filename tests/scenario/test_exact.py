"""The network fate of every packet, and every count, beside the network's log: random networks of any size."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from receiver.account.counts import LedgerCounts
from tests.scenario import exact
from tests.scenario.exact import MS, SECOND, Log, Network, Told

WHOLE = 1500
"""packets up to which they go through the whole receiver; more through numbering and ledger alone, which is quicker."""
SUMS = ("sent", "arrived", "lost", "in_time", "missed", "late", "duplicates", "reordered")


def runs(lost: np.ndarray) -> dict[int, int]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], lost.astype(np.int8), [0]))))
    lengths, counts = np.unique(edges[1::2] - edges[::2], return_counts=True)
    return dict(zip(lengths.tolist(), counts.tolist(), strict=True))


def check_invariants(counts: LedgerCounts, received: int) -> None:
    """As measurement.md words them."""
    fates = counts.in_time + counts.recovered_rtx + counts.recovered_fec + counts.missed
    assert counts.sent == counts.arrived + counts.lost == fates
    assert received == counts.arrived + counts.duplicates + counts.after_close + counts.before_join
    assert counts.lost == counts.lost_local + counts.lost_sender + counts.lost_network
    parts = (counts.lost_network, counts.arrived, counts.missed, counts.late, counts.in_time)
    assert all(0 <= part <= counts.sent for part in parts)
    assert counts.late <= counts.missed <= counts.late + counts.lost


def check_intervals(told: Told) -> None:
    """They add up to the counts, and each is what its own numbers say."""
    rows, counts = told.intervals, told.counts
    assert all(a.end == b.first for a, b in pairwise(rows))
    for name in SUMS:
        assert sum(getattr(row, name) for row in rows) == getattr(counts, name), name
    at = 0
    for row in rows:
        assert row.lost == np.count_nonzero(told.lost[at : at + row.sent])
        assert row.sent == row.end - row.first == row.arrived + row.lost == row.in_time + row.missed
        at += row.sent


def check_exact(network: Network, log: Log, told: Told) -> None:
    counts, arrived = told.counts, np.unique(log.rows)
    assert counts.sent == network.packets
    assert np.array_equal(told.lost, log.lost)
    assert (counts.arrived, counts.lost) == (len(arrived), network.packets - len(arrived))
    assert counts.duplicates == len(log.rows) - len(arrived)
    assert counts.replicated == np.count_nonzero(np.bincount(log.rows, minlength=1) > 1)
    assert counts.reordered == log.reordered
    assert told.loss_runs == runs(log.lost)
    assert (counts.after_close, counts.before_join, counts.undecided) == (0, 0, 0)


def log_uniform(low: float, high: float) -> st.SearchStrategy[float]:
    """Spread evenly by a hash: Hypothesis itself likes small numbers best."""
    steps = st.tuples(st.integers(0, 2**32), st.integers(0, 2**32)).map(lambda two: hash((7, *two)) % 1000)
    return steps.map(lambda step: low * (high / low) ** (step / 999))


networks = st.builds(
    Network,
    packets=log_uniform(10, 200_000).map(round),
    seconds=log_uniform(0.2, 12),
    first=st.sampled_from([65_530, 0, 1]) | st.integers(0, 65_535),
    loss=st.sampled_from([0.0, 0.001, 0.02, 0.5]),
    burst=st.sampled_from([1.0, 3.0, 20.0]),
    copies=st.sampled_from([0.0, 0.02, 0.5]),
    jitter=st.sampled_from([0, 2 * MS, 40 * MS, 150 * MS]),
    head=st.sampled_from([0, 0, 1, 3]),
    tail=st.sampled_from([0, 0, 1, 5]),
    frame=st.sampled_from([1, 1, 7, 40]),
    seed=st.integers(0, 2**32),
)  # fmt: skip


def holds(network: Network, every: int, joined: float) -> None:
    """Whatever the network did, the account of a receiver that reads every so many ns is the log. `joined`: the share
    of the run that was over when it began to listen."""
    log = exact.run(network)
    since = round(joined * network.seconds * SECOND) + SECOND if joined else 0
    heard = log.rows[log.times >= since]
    receive = exact.listen if network.packets <= WHOLE else exact.account
    streams = receive(network, log, every, since)
    if not np.any(np.isin(heard + 1, heard)):
        assert streams == [], "RFC 3550 A.1: no two consecutive numbers came"
        return
    (told,) = streams
    check_intervals(told)
    check_invariants(told.counts, len(heard))
    if not joined:
        check_exact(network, log, told)
        return
    first = network.packets - (told.counts.sent or 0)
    assert first >= heard.min()
    assert np.array_equal(told.lost, ~np.isin(np.arange(first, network.packets), heard))
    assert told.counts.before_join == np.count_nonzero(heard < first)


given_any = given(networks, st.sampled_from([2 * MS, 20 * MS, 100 * MS]), st.sampled_from([0.0, 0.0, 0.3]))
slow_is_fine = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


@settings(slow_is_fine, max_examples=100)
@given_any
def test_a_hundred_random_networks(network: Network, every: int, joined: float) -> None:
    holds(network, every, joined)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@settings(slow_is_fine, max_examples=1000)
@given_any
def test_a_thousand_random_networks(network: Network, every: int, joined: float) -> None:
    holds(network, every, joined)
