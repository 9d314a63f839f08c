"""The receive path against its targets, beside iperf3 and GStreamer in the same run (`make bench`)."""

from __future__ import annotations

import shutil
import time

import numpy as np
import pytest

from receiver.account.ledger import Ledger
from receiver.sockets import LINUX
from tests.bench import receive

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]


@pytest.mark.parametrize(("size", "wanted"), [(1, 200_000), (64, 1_000_000), (512, 3_000_000)])
def test_the_ledger_alone(size: int, wanted: int) -> None:
    batches = [np.arange(70_000 + at, 70_000 + at + size) for at in range(0, 2000 * size, size)]
    times = np.zeros(size, np.int64)
    best = 0.0
    for _ in range(3):
        ledger = Ledger()
        begin = time.perf_counter()
        for batch in batches:
            ledger.arrive(batch, times)
            ledger.decide(int(batch[0]) - 100)
        best = max(best, 2000 * size / (time.perf_counter() - begin))
    print(f"\nledger, batches of {size}: {best:,.0f} packets/s (wanted {wanted:,})")
    assert best >= wanted


@pytest.mark.skipif(not LINUX, reason="drops are read from /proc/net/udp")
def test_a_share_of_a_core_at_50000_packets_a_second() -> None:
    shares = receive.cores_at(50_000, 3)
    for name, share in shares.items():
        print(f"\n{name}: {share:.2f} of a core at 50,000 packets/s sent one at a time")
    assert shares["account"] <= 0.35


@pytest.mark.skipif(not LINUX, reason="drops are read from /proc/net/udp")
def test_lossless_rates_beside_the_others() -> None:
    for program in ("iperf3", "gst-launch-1.0"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    print()
    found = receive.ratios(receive.measure(1.0, []))
    for what, ratio, wanted in found:
        print(f"{what}: {ratio:.1f} (wanted {wanted})")
    assert len(found) == 2
    assert all(ratio >= wanted for _, ratio, wanted in found)
