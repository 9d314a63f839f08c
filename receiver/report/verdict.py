"""What happened, in plain words, each share with what it is a share of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from protocol.command.check import buffer_advice
from receiver.account.needed_buffer import buffer_for
from receiver.report.snapshot import Ratio, Snapshot, SocketSnapshot, StreamSnapshot, broken_invariants, ratios

_NAMES = {"video": "video", "audio": "sound"}
_ENOUGH = 0.001
"""share of packets that may come too late for a buffer that is said to be enough."""
_CONGESTED = 0.005
"""loss from which on a queue that holds packets up is taken for its cause."""
_HELD_UP = 100.0
"""ms."""


def verdict(snapshot: Snapshot, ports: Sequence[int] = ()) -> str:
    """Sentences, the most important first; `ports` are where packets were expected."""
    if not snapshot.streams:
        return _nothing(snapshot.socket, ports)
    streams = sorted(snapshot.streams, key=lambda stream: stream.media != "video")
    sentences = [sentence for stream in streams for sentence in _network(stream)]
    sentences.append(_machine(snapshot.socket))
    sentences += [_waiting(stream) for stream in streams]
    sentences += [_picture(stream) for stream in streams]
    sentences += [_sound(stream) for stream in streams]
    sentences.append(_unparsed(snapshot.socket))
    sentences += [f"The ledger does not balance, please report it: {rule}." for rule in broken(snapshot)]
    return " ".join(sentence for sentence in sentences if sentence)


def broken(snapshot: Snapshot) -> list[str]:
    """Every invariant that does not hold, with the stream it belongs to."""
    return [
        f"{stream.media} {stream.ssrc:#010x}: {rule}"
        for stream in snapshot.streams
        for rule in broken_invariants(stream)
    ]


def _nothing(socket: SocketSnapshot, ports: Sequence[int]) -> str:
    where = f" {min(ports)}–{max(ports)}" if ports else ""
    if not socket.datagrams:
        return (
            "No packet came. Check that the sender runs and names this machine,"
            f" and that the firewall lets UDP{where} in."
        )
    reasons = f" ({_counts(socket.unparsed)})" if socket.unparsed else ""
    return (
        f"{socket.datagrams} datagrams came, but no stream was among them{reasons}."
        " Check what sends to this port, and whether its payload types need --map or an SDP file."
    )


def _network(stream: StreamSnapshot) -> list[str]:
    counts, name = stream.ledger, _stream_name(stream)
    if not counts.sent_known:
        missing = f"{Ratio(counts.lost, counts.span)}{_runs(stream)}"
        return [
            f"How much {name} was sent is not known: its sender does not say, so a loss before the first packet"
            f" heard or after the last cannot be seen. Between them the loss was {missing}."
        ]
    if not counts.sent:
        return [f"The sender sent no {name} while this receiver listened."]
    sentences = []
    if counts.lost_network:
        loss = ratios(counts)["network_loss"]
        sentences.append(f"The network lost {loss} of the {name}{_runs(stream)}.")
        sentences.append(_congestion(stream, loss))
    else:
        sentences.append(f"The network lost nothing of the {name} (0/{counts.sent}{_bound(counts.sent)}).")
    if counts.lost_sender:
        sentences.append(f"The sender could not hand over {Ratio(counts.lost_sender, counts.sent)} of the {name}.")
    return sentences


def _congestion(stream: StreamSnapshot, loss: Ratio) -> str:
    """Packets that wait long before others are lost stand in a queue that runs over."""
    held = stream.delay_variation_ms.p95 if stream.delay_variation_ms is not None else None
    if held is None or held < _HELD_UP or (loss.value or 0.0) < _CONGESTED:
        return ""
    return (
        f"One packet in twenty was held up by {held:.0f} ms or more: the path seems to carry less than is sent,"
        " so let the sender send less (--bitrate)."
    )


def _bound(sent: int) -> str:
    """The rule of three: having lost none of n, the loss is below 3/n with 95 % confidence."""
    return f"; with 95 % confidence its loss is below {max(300 / sent, 1e-4):.2g} %" if sent > 3 else ""


def _runs(stream: StreamSnapshot) -> str:
    longest = max(stream.loss_runs, default=0)
    return f", in runs of up to {longest}" if longest > 1 else ", one packet at a time" if longest else ""


def _machine(socket: SocketSnapshot) -> str:
    if socket.kernel_drops is None:
        return "Whether this machine dropped packets of its own is not known: its kernel does not say."
    if not socket.kernel_drops:
        return "This machine dropped nothing."
    number = f"{'' if socket.kernel_drops_exact else 'at least '}{socket.kernel_drops}"
    return (
        f"This machine's kernel dropped {number} because its receive buffer was full:"
        f" allow a larger one with `{buffer_advice()}`, or give it less other work."
    )


def _waiting(stream: StreamSnapshot) -> str:
    """What came too late, and what buffer would have been enough."""
    late, name = stream.ledger.late, _stream_name(stream)
    enough = buffer_for(stream.needed_buffer, _ENOUGH)
    milliseconds = None if enough is None else _rounded_up(enough)
    if not late:
        return "" if milliseconds is None else f"{milliseconds} ms of buffer would have been enough for the {name}."
    share = Ratio(late, stream.ledger.sent if stream.ledger.sent_known else stream.ledger.span)
    told = f"{share} of the {name} came too late to be played"
    if milliseconds is None:
        return f"{told}: a longer --latency would have kept it."
    return f"{told}: {milliseconds} ms of buffer would have been enough (--latency {milliseconds}ms)."


def _rounded_up(milliseconds: float) -> int:
    step = 1 if milliseconds <= 20 else 5
    return max(1, step * math.ceil(milliseconds / step))


def _picture(stream: StreamSnapshot) -> str:
    video = stream.video
    if video is None:
        return ""
    if not video.frames_rendered:
        return f"No picture was shown ({video.frames_received} came, {video.frames_decoded} could be decoded)."
    if not video.freeze_count:
        return "The picture never froze."
    times = "once" if video.freeze_count == 1 else f"{video.freeze_count} times"
    return f"The picture froze {times}, {video.total_freezes_duration_s:.1f} s in all."


def _sound(stream: StreamSnapshot) -> str:
    audio = stream.audio
    if audio is None or not audio.total_samples_received:
        return ""
    if not audio.concealed_samples:
        return "No sound had to be made up."
    share = Ratio(audio.concealed_samples, audio.total_samples_received)
    times = "once" if audio.concealment_events == 1 else f"{audio.concealment_events} times"
    return f"Sound was made up {times} to cover holes: {share} of the samples."


def _unparsed(socket: SocketSnapshot) -> str:
    total = sum(socket.unparsed.values())
    return f"{total} of {socket.datagrams} datagrams were not understood." if total else ""


def _stream_name(stream: StreamSnapshot) -> str:
    name = _NAMES.get(stream.media, stream.media)
    return f"{name} (restart {stream.epoch})" if stream.epoch else name


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(counts.items()))
