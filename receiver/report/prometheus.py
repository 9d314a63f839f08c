"""The snapshot as Prometheus text (exposition format 0.0.4), in base units. What was not measured has no sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from receiver.report.snapshot import Percentiles, Snapshot, SocketSnapshot, StreamSnapshot, ratios

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]
Samples = Iterator[tuple[Labels, float | None]]
_COUNTER, _GAUGE, _SUMMARY = "counter", "gauge", "summary"
_RUN_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class _Family:
    """One metric of a stream: `read` gives its samples, the stream's own labels not among them."""

    name: str
    kind: str
    help: str
    read: Callable[[StreamSnapshot], Samples]


def prometheus_text(snapshot: Snapshot) -> str:
    """The whole page, ending in a line feed."""
    lines: list[str] = []
    for family in _STREAM_FAMILIES:
        samples = [
            ({**_stream_labels(stream), **labels}, value)
            for stream in snapshot.streams
            for labels, value in family.read(stream)
        ]
        lines += _family(family.name, family.kind, family.help, samples)
    lines += _loss_runs(snapshot.streams)
    for name, kind, text, read in _SOCKET_FAMILIES:
        lines += _family(name, kind, text, read(snapshot.socket))
    lines += _family("steadycast_run_seconds", _GAUGE, "Time since the receiver started.", [({}, snapshot.time_s)])
    return "\n".join(lines) + "\n"


def _family(name: str, kind: str, text: str, samples: Iterable[tuple[Labels, float | None]]) -> list[str]:
    known = [f"{name}{_labels(labels)} {_value(value)}" for labels, value in samples if value is not None]
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *known] if known else []


def _labels(labels: Labels) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _value(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9g}"


def _stream_labels(stream: StreamSnapshot) -> Labels:
    return {
        "ssrc": f"{stream.ssrc:#010x}",
        "epoch": str(stream.epoch),
        "media": stream.media,
        "encoding": stream.encoding,
    }


def _loss_runs(streams: tuple[StreamSnapshot, ...]) -> list[str]:
    """A histogram: how long the runs of consecutive lost packets were."""
    name = "steadycast_loss_run_packets"
    lines = []
    for stream in streams:
        labels, runs = _stream_labels(stream), stream.loss_runs
        for edge in _RUN_BUCKETS:
            below = sum(count for length, count in runs.items() if length <= edge)
            lines.append(f"{name}_bucket{_labels({**labels, 'le': str(edge)})} {below}")
        total = sum(runs.values())
        lines.append(f"{name}_bucket{_labels({**labels, 'le': '+Inf'})} {total}")
        lines.append(f"{name}_sum{_labels(labels)} {sum(length * count for length, count in runs.items())}")
        lines.append(f"{name}_count{_labels(labels)} {total}")
    text = "Lengths of runs of consecutive lost packets."
    return [f"# HELP {name} {text}", f"# TYPE {name} histogram", *lines] if lines else []


# What a stream has. Counts that can still fall, because a packet may yet come, are gauges.


def _one(read: Callable[[StreamSnapshot], float | None]) -> Callable[[StreamSnapshot], Samples]:
    def samples(stream: StreamSnapshot) -> Samples:
        yield {}, read(stream)

    return samples


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1e3


def _quantiles(read: Callable[[StreamSnapshot], Percentiles | None]) -> Callable[[StreamSnapshot], Samples]:
    def samples(stream: StreamSnapshot) -> Samples:
        values = read(stream)
        if values is not None:
            yield {"quantile": "0.5"}, _seconds(values.p50)
            yield {"quantile": "0.95"}, _seconds(values.p95)
            yield {"quantile": "0.99"}, _seconds(values.p99)
            yield {"quantile": "0.999"}, _seconds(values.p99_9)

    return samples


def _lost(stream: StreamSnapshot) -> Samples:
    yield {"cause": "network"}, stream.ledger.lost_network
    yield {"cause": "local"}, stream.ledger.lost_local
    yield {"cause": "sender"}, stream.ledger.lost_sender


def _recovered(stream: StreamSnapshot) -> Samples:
    yield {"by": "retransmission"}, stream.ledger.recovered_rtx
    yield {"by": "fec"}, stream.ledger.recovered_fec


def _octets(stream: StreamSnapshot) -> Samples:
    if stream.traffic is not None:
        for kind in ("media", "repair", "headers", "rtcp"):
            yield {"kind": kind}, getattr(stream.traffic, kind)


def _dropped_frames(stream: StreamSnapshot) -> Samples:
    if stream.video is not None:
        for cause in ("network", "late", "decode", "display"):
            yield {"cause": cause}, getattr(stream.video, f"dropped_{cause}")


def _buffer_delay(stream: StreamSnapshot) -> float | None:
    mean = stream.buffer.delay_mean_ms
    return None if mean is None else mean * stream.buffer.emitted / 1e3


def _packets(name: str, text: str) -> _Family:
    """A counter of the ledger."""
    return _Family(
        f"steadycast_packets_{name}_total", _COUNTER, text, _one(lambda stream: getattr(stream.ledger, name))
    )


def _ratio(name: str, text: str) -> _Family:
    return _Family(f"steadycast_{name}_ratio", _GAUGE, text, _one(lambda stream: ratios(stream.ledger)[name].value))


def _video(metric: str, member: str, text: str) -> _Family:
    return _Family(f"steadycast_{metric}", _COUNTER, text, _one(lambda stream: getattr(stream.video, member, None)))


def _audio(metric: str, member: str, text: str) -> _Family:
    return _Family(f"steadycast_{metric}", _COUNTER, text, _one(lambda stream: getattr(stream.audio, member, None)))


_STREAM_FAMILIES = (
    _packets("sent", "Numbers the sender assigned while this receiver listened."),
    _packets("arrived", "Packets of which at least one copy came."),
    _packets("in_time", "Packets that came before their deadline."),
    _packets("missed", "Packets the jitter buffer had to go on without."),
    _packets("late", "Missed packets that arrived afterwards."),
    _packets("duplicates", "Further copies of packets that had come."),
    _packets("reordered", "Packets that came after a higher number (RFC 4737)."),
    _packets("corrupted", "Copies that could not be used."),
    _packets("after_close", "Packets that came when their interval was already final."),
    _packets("closed", "Numbers whose fate is final."),
    _packets("closed_lost", "Numbers that are final and did not arrive."),
    _Family("steadycast_packets_recovered_total", _COUNTER, "Packets repaired before their deadline.", _recovered),
    _Family("steadycast_packets_lost", _GAUGE, "Packets that have not arrived; may fall while they still can.", _lost),
    _ratio("network_loss", "Share of the sent packets that the network lost."),
    _ratio("local_drop", "Share of the sent packets that this machine's kernel dropped."),
    _ratio("late", "Share of the sent packets that arrived after their deadline."),
    _ratio("recovered", "Share of the sent packets that were repaired."),
    _ratio("effective_loss", "Share of the sent packets that were not there when needed."),
    _Family("steadycast_received_bytes_total", _COUNTER, "Octets received.", _octets),
    _Family(
        "steadycast_payload_bytes_per_second",
        _GAUGE,
        "RTP payload over the last second or so.",
        _one(lambda stream: None if stream.bitrate_bps is None else stream.bitrate_bps / 8),
    ),
    _Family(
        "steadycast_interarrival_jitter_seconds",
        _GAUGE,
        "Interarrival jitter (RFC 3550 section 6.4.1).",
        _one(lambda stream: _seconds(stream.jitter_ms)),
    ),
    _Family(
        "steadycast_delay_variation_seconds",
        _SUMMARY,
        "Delay above the least seen, since the start (RFC 5481).",
        _quantiles(lambda stream: stream.delay_variation_ms),
    ),
    _Family(
        "steadycast_round_trip_seconds",
        _GAUGE,
        "Round trip from RTCP reports.",
        _one(lambda stream: _seconds(stream.rtt_ms)),
    ),
    _Family(
        "steadycast_one_way_delay_seconds",
        _GAUGE,
        "One-way delay of the least transit.",
        _one(lambda stream: _seconds(stream.one_way_delay_ms)),
    ),
    _Family(
        "steadycast_one_way_delay_error_seconds",
        _GAUGE,
        "Bound of the error of the one-way delay.",
        _one(lambda stream: _seconds(stream.one_way_delay_error_ms)),
    ),
    _Family(
        "steadycast_clock_skew_ratio",
        _GAUGE,
        "By which the sender's clock runs slower than this one.",
        _one(lambda stream: None if stream.clock_skew_ppm is None else stream.clock_skew_ppm / 1e6),
    ),
    _Family(
        "steadycast_jitter_buffer_delay_seconds_total",
        _COUNTER,
        "Time that all units handed on spent in the buffer (jitterBufferDelay).",
        _one(_buffer_delay),
    ),
    _Family(
        "steadycast_jitter_buffer_emitted_total",
        _COUNTER,
        "Units the buffer handed on (jitterBufferEmittedCount).",
        _one(lambda stream: stream.buffer.emitted),
    ),
    _Family(
        "steadycast_jitter_buffer_target_seconds",
        _GAUGE,
        "Delay that the jitter buffer aims at.",
        _one(lambda stream: _seconds(stream.buffer.target_ms)),
    ),
    _Family(
        "steadycast_playout_delay_seconds",
        _SUMMARY,
        "Playout after capture and least transit, since the start.",
        _quantiles(lambda stream: stream.playout_delay_ms),
    ),
    _video("frames_received_total", "frames_received", "Frames that left the jitter buffer with data."),
    _video("frames_decoded_total", "frames_decoded", "Frames decoded."),
    _video("frames_rendered_total", "frames_rendered", "Frames shown."),
    _Family("steadycast_frames_dropped_total", _COUNTER, "Frames that were not shown.", _dropped_frames),
    _video("freezes_total", "freeze_count", "Times the picture stood still."),
    _video("freeze_seconds_total", "total_freezes_duration_s", "Time the picture stood still."),
    _audio("samples_received_total", "total_samples_received", "Samples handed to the device."),
    _audio("samples_concealed_total", "concealed_samples", "Samples made up to cover holes."),
    _audio("concealment_events_total", "concealment_events", "Holes that were covered."),
    _Family(
        "steadycast_mean_opinion_score",
        _GAUGE,
        "Estimate of ITU-T G.107.",
        _one(lambda stream: None if stream.e_model is None else stream.e_model.mos),
    ),
)


def _named(label: str, counts: Mapping[str, int]) -> Samples:
    for name, count in sorted(counts.items()):
        yield {label: name}, count


def _datagrams(socket: SocketSnapshot) -> Samples:
    yield {}, socket.datagrams


def _kernel_drops(socket: SocketSnapshot) -> Samples:
    yield {}, socket.kernel_drops


_SOCKET_FAMILIES: tuple[tuple[str, str, str, Callable[[SocketSnapshot], Samples]], ...] = (
    ("steadycast_datagrams_total", _COUNTER, "Datagrams received, of any kind.", _datagrams),
    (
        "steadycast_unparsed_datagrams_total",
        _COUNTER,
        "Datagrams that could not be used.",
        lambda socket: _named("reason", socket.unparsed),
    ),
    (
        "steadycast_kernel_drops_total",
        _COUNTER,
        "Datagrams (aggregates under UDP_GRO) that this machine's kernel dropped.",
        _kernel_drops,
    ),
    (
        "steadycast_queue_drops_total",
        _COUNTER,
        "What bounded queues inside the program threw away.",
        lambda socket: _named("queue", socket.queue_drops),
    ),
)
