"""Captures of which some octets are others: a report, or one line."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from random import Random

import pytest

from protocol.errors import FatalError
from receiver.config import ReceiverConfig
from receiver.replay.run import run
from tests.support import captures, recording, traffic
from tests.support.clock import SECOND

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "15"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A capture of ours, and one of another program."""
    path = tmp_path_factory.mktemp("fuzz") / "own.pcapng"
    meeting, capture = recording.meet(path)
    meeting.run(traffic.together(traffic.video(SECOND // 2), traffic.audio(SECOND // 2, stream=1)))
    assert meeting.receiver is not None
    meeting.receiver.close(meeting.clock.now)
    capture.close()
    return {"own": path.read_bytes(), "pcap": captures.pcap(captures.stream(30), link=101)}


@pytest.mark.parametrize("name", ["own", "pcap"])
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_any_octets(whole: dict[str, bytes], tmp_path: Path, seed: int, name: str) -> None:
    octets, random = bytearray(whole[name]), Random(seed)
    places = range(len(octets)), range(400), range(len(octets) - 400, len(octets))
    for _ in range(random.randint(1, 8)):
        octets[random.choice(random.choice(places))] = random.choice((0, 1, 127, 128, 255, random.randrange(256)))
    if random.random() < 0.5:
        del octets[random.randrange(len(octets) // 2, len(octets)) :]
    path = captures.save(tmp_path / "fuzz", bytes(octets))
    told: list[str] = []
    try:
        code, report = run(ReceiverConfig(), str(path), log=told.append, status=lambda _: None, stop=threading.Event())
    except FatalError as error:
        told.append(str(error))
    else:
        assert code in (0, 3)
        assert report["capture"]
    assert not any("\n" in line for line in told)
