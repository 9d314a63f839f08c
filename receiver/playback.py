"""Which streams are played, and their players: one video and one audio stream at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from protocol.errors import ProtocolError
from protocol.payload import registry
from receiver.events import StreamEnded
from receiver.media import AccessUnit, AudioPlayoutStatistics, Format, Image, StreamKey, VideoPlayoutStatistics
from receiver.players import REAL_TIME, AudioPlayer, Running, VideoPlayer
from receiver.playout.audio import AudioTimeline
from receiver.playout.scheduler import VideoScheduler, combined

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NOT_COUNTED = {"width", "height", "device_latency_s", "rate", "channels", "recovery_p50_ms", "recovery_p95_ms"}
TAKEOVER = 500_000_000
"""ns without a picture or sound of the stream that is played, after which another may take its place."""
MAX_IGNORED = 64
"""streams of which it is remembered that the person was told."""

Player = VideoPlayer | AudioPlayer


@dataclass(frozen=True, slots=True)
class Played:
    """One stream after the jitter buffer, as far as it was played."""

    video: VideoPlayoutStatistics | None = None
    audio: AudioPlayoutStatistics | None = None
    queue_drops: int = 0


class Playback:
    """Routes access units to players. `deliver` and `ended` belong to the network thread; reading is safe from any."""

    def __init__(
        self,
        *,
        show: Callable[[Image], None] | None,
        scheduler: VideoScheduler,
        timeline: AudioTimeline | None,
        device: Callable[[], AudioPlayoutStatistics],
        on_damage: Callable[[StreamKey, str], None],
        log: Callable[[str], None],
        running: Running = REAL_TIME,
    ) -> None:
        self._show, self._scheduler, self._timeline = show, scheduler, timeline
        self._device = device
        self._on_damage, self._log = on_damage, log
        self._running = running
        self._lock = threading.Lock()
        self._players: dict[str, Player] = {}
        self._before: dict[StreamKey, Played] = {}
        """what the output, which outlives streams, had counted when a stream began."""
        self._finished: dict[StreamKey, Played] = {}
        self._ignored: set[StreamKey] = set()
        self._unplayable: set[StreamKey] = set()
        self._over: set[str] = set()
        """media whose stream has ended; its player still counts what the output has yet to show."""

    def deliver(self, units: list[AccessUnit], now: int) -> None:
        """Units in decoding order."""
        for unit in units:
            player = self._player(unit, now)
            if player is not None:
                player.put(unit)

    def ending(self, key: StreamKey) -> None:
        """Its sender has said goodbye: silence from now on is no hole, a still picture no freeze."""
        for media, player in self._players.items():
            if player.key == key and media == "video":
                self._scheduler.rest()
            elif player.key == key and self._timeline is not None:
                self._timeline.rest()

    def ended(self, event: StreamEnded) -> None:
        """Its last units have been delivered."""
        player = self._players.get(event.format.media)
        if player is not None and player.key == event.key:
            player.close()
            self._over.add(event.format.media)

    def close(self) -> None:
        """Decodes what is queued."""
        for media, player in self._players.items():
            if media not in self._over:
                player.close()

    def statistics(self, now: int) -> dict[StreamKey, Played]:
        """Of every stream that was played."""
        with self._lock:
            alive = {p.key: _since(self._before[p.key], self._measure(p, now)) for p in self._players.values()}
            return self._finished | alive

    def _player(self, unit: AccessUnit, now: int) -> Player | None:
        media = unit.format.media
        if media == "load" or (self._show if media == "video" else self._timeline) is None:
            return None
        player = self._players.get(media)
        if player is None:
            return self._open(unit, now)
        if player.key == unit.stream:
            return player
        if self._is_alive(media, now) and player.key.ssrc != unit.stream.ssrc:
            self._ignore(unit)
            return None
        self._retire(media, now)
        return self._open(unit, now)

    def _is_alive(self, media: str, now: int) -> bool:
        return media not in self._over and now - self._players[media].played < TAKEOVER

    def _ignore(self, unit: AccessUnit) -> None:
        if unit.stream not in self._ignored and len(self._ignored) < MAX_IGNORED:
            self._ignored.add(unit.stream)
            self._log(f"a second {unit.format.media} stream comes in; --ssrc {unit.stream.ssrc} would play that one")

    def _open(self, unit: AccessUnit, now: int) -> Player | None:
        media = unit.format.media
        if unit.stream in self._unplayable:
            return None
        player: Player
        try:
            if media == "video":
                assert self._show is not None
                known = out_of_band(unit.format)
                player = VideoPlayer(unit, known, self._show, self._on_damage, now, self._running)
            else:
                assert self._timeline is not None
                player = AudioPlayer(unit, self._timeline, self._device, now, self._running)
        except ProtocolError as error:
            self._log(f"cannot play {media}: {error}")
            self._unplayable.add(unit.stream)
            return None
        with self._lock:
            self._before[player.key] = self._measure(player, None)
            self._players[media] = player
        self._over.discard(media)
        if media == "video":
            self._scheduler.begin()
        elif self._timeline is not None:
            self._timeline.begin()
        return player

    def _retire(self, media: str, now: int) -> None:
        player = self._players[media]
        if media not in self._over:
            player.close()
        with self._lock:
            self._finished[player.key] = _since(self._before.pop(player.key), self._measure(player, now))
            del self._players[media]

    def _measure(self, player: Player, now: int | None) -> Played:
        if isinstance(player, VideoPlayer):
            shown = combined(player.statistics(), self._scheduler.statistics(now))
            return Played(video=shown, queue_drops=player.dropped)
        return Played(audio=player.statistics(), queue_drops=player.dropped)


def _since(before: Played, after: Played) -> Played:
    """What was counted in between; what is no count stays as it is."""
    video = after.video and before.video and replace(after.video, **_differences(before.video, after.video))
    audio = after.audio and before.audio and replace(after.audio, **_differences(before.audio, after.audio))
    return Played(video, audio, after.queue_drops - before.queue_drops)


def _differences(before: DataclassInstance, after: DataclassInstance) -> dict[str, Any]:
    counted = (f.name for f in fields(after) if f.name not in NOT_COUNTED)
    return {name: getattr(after, name) - getattr(before, name) for name in counted}


def out_of_band(form: Format) -> bytes:
    """What a decoder of this format must be fed first."""
    return registry.depacketizer(form.encoding, form.clock_rate, form.channels, form.parameters).out_of_band()
