"""A pair of sessions in the seeded network whose receiver keeps a capture, as the program does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from protocol.datagram import Batch
from protocol.payload.registry import (
    DEFAULT_PAYLOAD_TYPES,
    DEFAULT_RTX_PAYLOAD_TYPES,
    FEC_PAYLOAD_TYPE,
    RED_PAYLOAD_TYPE,
)
from receiver.capture.recorded import RecordedSession
from receiver.capture.writing import Capture
from receiver.config import Latency
from receiver.media import Format
from receiver.session import SessionConfig
from receiver.transport import UdpPath
from tests.support import pair
from tests.support.netem import Conditions

PATH = UdpPath(5004, ("10.0.0.1", 6000))


class Addressed(RecordedSession):
    """The network of the tests knows no addresses."""

    def handle_datagrams(self, batch: Batch, now: int) -> None:
        super().handle_datagrams(replace(batch, path=PATH), now)


def meet(
    file: Path,
    conditions: Conditions = pair.CLEAN,
    *,
    seed: int = 1,
    latency: Latency = pair.ADAPTIVE,
    fail: Callable[[str], None] = print,
    repair: bool = False,
) -> tuple[pair.Pair, Capture]:
    """The two, and the capture, which is complete once it is closed."""
    streams = pair.REPAIRED if repair else (pair.VIDEO, pair.AUDIO)
    meeting = pair.meet(conditions, seed=seed, latency=latency, streams=streams, repair="auto" if repair else "none")
    capture = Capture(str(file), fail, host="10.0.0.2")
    formats = {number: Format(*described) for number, described in DEFAULT_PAYLOAD_TYPES.items()}
    rtx = DEFAULT_RTX_PAYLOAD_TYPES if repair else {}
    fec, red = (FEC_PAYLOAD_TYPE, RED_PAYLOAD_TYPE) if repair else (None, None)
    config = SessionConfig(formats, latency, cname="receiver@test", seed=seed, rtx=rtx, fec=fec, red=red)
    meeting.receiver = Addressed(config, meeting.clock.now, capture, {"kernel_drops_exact": True})
    return meeting, capture
