"""What loss leaves of speech: PESQ (ITU-T P.862.2, wide band), ours beside GStreamer's opusdec on the same packets.

    python -m tests.bench.speech_quality [--seeds 4]

Real speech is encoded and packed as the sender does it, sent through a seeded network in virtual time, and played by
the receiver's own session, decoder and timeline. The datagrams that came through are then sent again, at the moments
they had arrived, to a real GStreamer. Everything is said twice and judged the second time, when delays have settled,
aligned with the source by correlation. PESQ comes from the package `pesq` (pip install pesq; it needs a C compiler).
"""

from __future__ import annotations

import argparse
import socket
import tempfile
import time
import wave
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from receiver.config import Latency
from receiver.decode.audio import AudioDecoder
from receiver.playout.audio import AudioTimeline
from receiver.playout.sound_file import VirtualSoundCard
from sender.encode.audio import open_audio_encoder
from sender.libraries import av
from sender.media import Sound
from tests.support import pair, peers
from tests.support.clock import MILLISECOND as MS
from tests.support.clock import SECOND
from tests.support.media import SPEECH
from tests.support.netem import Conditions, rtp_only
from tests.support.traffic import Item

Samples = NDArray[np.float32]
RATE = 48_000
LOSS = 0.10
PATH = 20 * MS
JITTER_BUFFER = 150
"""ms that GStreamer waits, and ours for comparison; by itself ours waits as briefly as it can."""
_SLACK = RATE // 10
DECODE = 2 * MS
"""between a unit that comes out of the session and its samples in the timeline."""


@dataclass(frozen=True, slots=True)
class Played:
    """One run of our receiver, and what had arrived."""

    sound: Samples
    arrived: list[tuple[int, bytes]]
    concealed: float
    """of the frames handed to the card."""
    rebuilt: int
    """frames from in-band FEC."""
    delay: float
    """ms beyond the path by which sound was played, on average."""


def speech() -> Samples:
    """The spoken words, mono, 48 kHz."""
    with wave.open(str(SPEECH)) as file:
        assert file.getframerate() == RATE
        assert file.getnchannels() == 1
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


def packets(sound: Samples, *, bitrate: int, in_band: bool) -> Iterator[Item]:
    """Opus as the sender makes it, of everything twice; a second of silence lets the last words be heard."""
    encoder = open_audio_encoder("opus", RATE, 1, bitrate, forward_error_correction=in_band)
    padded = np.concatenate([sound, sound, np.zeros(RATE, np.float32)])[:, None]
    units = encoder.encode(Sound(padded, 0, 0)) + encoder.flush()
    for unit in units:
        yield Item(unit.timestamp * SECOND // RATE + 20 * MS, 0, unit.data, unit.timestamp)


def ours(items: list[Item], loss: float, seed: int, repair: pair.Repair = "none", wait: int | None = None) -> Played:
    """Through the network, both sessions, decoder and timeline, in virtual time. `wait`: ms, instead of what suits."""
    conditions = Conditions(delay=PATH, loss=loss, only=rtp_only)
    latency = pair.ADAPTIVE if wait is None else Latency(fixed=wait * MS)
    stream = pair.AUDIO if repair == "none" else pair.REPAIRED[1]
    met = pair.meet(conditions, Conditions(delay=PATH), seed=seed, streams=(stream,), repair=repair, latency=latency)
    arrived: list[tuple[int, bytes]] = []
    deliver = met.forward.arrivals

    def noted(now: int) -> list[pair.Arrived]:
        got = deliver(now)
        arrived.extend((at, data) for at, data, _ in got)
        return got

    met.forward.arrivals = noted  # type: ignore[method-assign]
    met.run(items, SECOND)
    return play(met, arrived)


def play(met: pair.Pair, arrived: list[tuple[int, bytes]]) -> Played:
    """What a sound card plays of the units that came out of the session."""
    timeline, blocks = AudioTimeline(RATE, 1), list[Samples]()
    first = met.units[0][0]
    card = VirtualSoundCard(timeline, [lambda block, _: blocks.append(block)], first)
    decoder, delays = AudioDecoder(met.units[0][1].format), list[float]()
    for out, unit in met.units:
        card.advance(out + DECODE)
        if unit.data:
            delays.append((unit.playout_time + timeline.delay + timeline.lag - unit.arrival_time) / MS)
        for samples in decoder.decode(unit):
            timeline.push(samples)
    card.advance(met.units[-1][0] + SECOND)
    statistics = timeline.statistics()
    concealed = statistics.concealed_samples / statistics.total_samples_received
    return Played(
        np.concatenate(blocks)[:, 0], arrived, concealed, decoder.fec_recovered_samples, float(np.mean(delays))
    )


def gstreamer(arrivals: list[list[tuple[int, bytes]]], folder: Path) -> list[Samples]:
    """What opusdec with concealment and in-band FEC makes of each run's packets, all at once in real time."""
    caps = "application/x-rtp,media=audio,clock-rate=48000,encoding-name=OPUS,payload=97"
    outputs = [folder / f"{number}.raw" for number in range(len(arrivals))]
    ports = [peers.free_ports() for _ in arrivals]
    with ExitStack() as stack:
        running = []
        for port, output in zip(ports, outputs, strict=True):
            pipeline = (
                f"udpsrc port={port} caps={caps} ! rtpjitterbuffer latency={JITTER_BUFFER} do-lost=true ! "
                "rtpopusdepay ! opusdec plc=true use-inband-fec=true ! audioconvert ! audioresample ! "
                f"audio/x-raw,format=S16LE,rate={RATE},channels=1 ! filesink location={output} sync=false"
            )
            command = ["gst-launch-1.0", "-q", "-e", *pipeline.split()]
            running.append(stack.enter_context(peers.Process(command, folder, f"gstreamer-{port}")))
        for port, process in zip(ports, running, strict=True):
            process.wait_for_port(port)
        send_again(arrivals, ports)
        for process in running:
            process.interrupt()
    return [np.frombuffer(output.read_bytes(), "<i2").astype(np.float32) / 32768 for output in outputs]


def send_again(arrivals: list[list[tuple[int, bytes]]], ports: list[int]) -> None:
    """Every RTP packet to its port, at its moment."""
    start = min(run[0][0] for run in arrivals)
    due = sorted((at - start, port, data) for run, port in zip(arrivals, ports, strict=True) for at, data in run)
    began = time.monotonic_ns()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for at, port, data in due:
            if data[1] & 0x7F != pair.AUDIO.payload_type:
                continue
            time.sleep(max(0, began + at - time.monotonic_ns()) / SECOND)
            out.sendto(data, ("127.0.0.1", port))
    time.sleep(0.5)


def score(source: Samples, played: Samples) -> float:
    """PESQ, wide band, of the second time that `source` is said in `played`, after the best constant shift."""
    from pesq import pesq

    second = shift(np.tile(source, 2), played, 2 * RATE) + len(source) - _SLACK
    second += shift(source, played[second:], 2 * _SLACK)
    heard = played[second : second + len(source)]
    heard = np.pad(heard, (0, len(source) - len(heard)))
    return float(pesq(16_000, narrower(source), narrower(heard), "wb"))


def shift(source: Samples, played: Samples, most: int) -> int:
    """Samples (fewer than `most`) by which `source` is found later in `played`."""
    size = 1 << (len(source) + len(played)).bit_length()
    both = np.fft.rfft(played, size) * np.fft.rfft(source, size).conj()
    return int(np.argmax(np.fft.irfft(both, size)[:most]))


def narrower(sound: Samples) -> NDArray[np.int16]:
    """16 kHz, 16 bit, by FFmpeg's resampler."""
    resampler = av.AudioResampler("s16", "mono", 16_000)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound)[None], "flt", "mono")
    frame.sample_rate = RATE
    return np.concatenate([part.to_ndarray()[0] for part in [*resampler.resample(frame), *resampler.resample(None)]])


@dataclass(frozen=True, slots=True)
class Case:
    """One way to send, under loss."""

    name: str
    bitrate: int = 64_000
    in_band: bool = False
    repair: pair.Repair = "none"
    against: bool = True
    """whether GStreamer gets the same packets."""


CASES = (
    Case("as by default"),
    Case("in-band FEC", in_band=True),
    Case("in-band FEC, 24 kbit/s", bitrate=24_000, in_band=True),
    Case("with repair", repair="auto", against=False),
)


@dataclass(frozen=True, slots=True)
class Scores:
    """PESQ scores of one case; the means of several losses' seeds."""

    clean: float
    ours: float
    as_late: float
    """ours with as long a wait as theirs."""
    theirs: float | None


def measure(case: Case, seeds: range, folder: Path) -> Scores:
    """Runs a case and prints what came of each seed."""
    source = speech()
    items = list(packets(source, bitrate=case.bitrate, in_band=case.in_band))
    clean = score(source, ours(items, 0.0, 1).sound)
    runs = [ours(items, LOSS, seed, case.repair) for seed in seeds]
    late = [ours(items, LOSS, seed, case.repair, JITTER_BUFFER) for seed in seeds]
    mine, later = ([score(source, run.sound) for run in some] for some in (runs, late))
    theirs = [score(source, s) for s in gstreamer([r.arrived for r in runs], folder)] if case.against else []
    print(f"{case.name}, {LOSS:.0%} random loss: clean {clean:.2f}")
    for number, (seed, run) in enumerate(zip(seeds, runs, strict=True)):
        beside = f", GStreamer {theirs[number]:.2f}" if theirs else ""
        print(f"  seed {seed}: {mine[number]:.2f} at {run.delay:.0f} ms, {later[number]:.2f} at {JITTER_BUFFER} ms"
              f"{beside}; {run.concealed:.1%} concealed, {run.rebuilt / RATE:.2f} s of in-band FEC")  # fmt: skip
    found = Scores(clean, *(float(np.mean(some)) for some in (mine, later)), float(np.mean(theirs)) if theirs else None)
    print(f"  mean {found.ours:.2f}, {found.as_late:.2f}" + (f", GStreamer {found.theirs:.2f}" if theirs else ""))
    return found


def main() -> None:
    """All cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4)
    count = parser.parse_args().seeds
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            measure(case, range(1, count + 1), Path(folder))


if __name__ == "__main__":
    main()
