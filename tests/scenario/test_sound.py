"""Sound over a bad path: what the decoder is given to mend it with, and that the delay finds its place."""

from __future__ import annotations

from tests.scenario import told
from tests.support import pair, traffic
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.netem import Conditions, rtp_only


def test_a_missing_unit_brings_the_payload_after_it_for_in_band_fec() -> None:
    """RFC 6716 §2.1.7: the packet after a lost one carries a copy of it."""
    lost = frozenset({20, 40, 41, 60})
    p = pair.meet(Conditions(delay=20 * MS, drop=lost, only=rtp_only), streams=(pair.AUDIO,))
    p.run(traffic.audio(2 * SECOND), SECOND)
    units = [unit for _, unit in told.units(p, "audio")]
    missing = {n: unit for n, unit in enumerate(units) if not unit.data}
    assert set(missing) == lost
    assert {n: unit.following and traffic.frame_number(unit.following) for n, unit in missing.items()} == {
        20: 21, 40: None, 41: 42, 60: 61,
    }  # fmt: skip
