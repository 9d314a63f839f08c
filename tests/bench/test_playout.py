"""Sound's target delay on cellular paths: how far below NetEq's at its own share of late packets (`make bench`)."""

from __future__ import annotations

import time

import numpy as np
import pytest

from receiver.config import Latency
from receiver.jitter.target import policy
from tests.bench import playout

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]
RATIO, COST = 0.6, 15.0
"""of NetEq's delay, where 0.6 is wanted; µs of CPU for a packet, on a busy machine."""


@pytest.mark.parametrize("name", playout.NAMES)
def test_it_waits_less_than_neteq_at_the_same_late_loss(name: str) -> None:
    if not (playout.TRACES / name).exists():
        pytest.skip(f"no mahimahi traces in {playout.TRACES}")
    result = playout.measure(name)
    print(playout.line(result))
    assert result.ours.late <= result.neteq.late
    assert result.ratio <= RATIO


def test_one_packet_costs_microseconds() -> None:
    target = policy(Latency(), "audio")
    late = (np.random.default_rng(1).gamma(2.0, 8.0, 20_000) * playout.MS).astype(np.int64).tolist()
    start = time.process_time()
    for number, lateness in enumerate(late):
        target.awaited(lateness, number * 20 * playout.MS + lateness)
        target.observe(lateness, number * 20 * playout.MS + lateness)
    cost = (time.process_time() - start) / len(late) * 1e6
    print(f"{cost:.1f} µs a packet")
    assert cost <= COST
