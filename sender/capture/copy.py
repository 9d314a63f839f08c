"""The coded pictures of a file, a camera or another sender, passed on as they are."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import Any

from protocol.errors import UsageError
from protocol.payload.h264 import PPS, SPS, format_parameters, nal_units, to_annexb
from sender.capture.demuxer import SECOND, Demuxer, Parcel
from sender.capture.pace import Pace
from sender.libraries import av
from sender.media import AccessUnit

CLOCK_RATE = 90_000
ENCODINGS = {"h264": "H264", "vp8": "VP8", "mjpeg": "JPEG"}


class PacketCopy:
    """An EncodedSource, in decoding order.

    With B-frames a picture is sent after some that are shown later. So everything goes out later by the reordering
    delay, and no picture leaves before the moment it is to be seen at, which is its `capture_time`.
    """

    def __init__(self, demuxer: Demuxer, pace: Pace) -> None:
        """Raises UsageError for a codec that RTP can't carry here."""
        stream = demuxer.streams["video"]
        context = stream.codec_context
        if context.name not in ENCODINGS:
            raise UsageError(f"cannot copy {context.name} video: use --video-codec h264")
        self.encoding = ENCODINGS[context.name]
        self.width: int = context.width
        self.height: int = context.height
        self.frame_rate = Fraction(stream.average_rate or stream.guessed_rate or 30)
        self._parameter_sets = parameter_sets(context.extradata or b"") if self.encoding == "H264" else b""
        self.format_parameters = _format_parameters(self._parameter_sets) if self.encoding == "H264" else {}
        self._demuxer, self._pace = demuxer, pace
        self._ready: deque[tuple[Any, int]] = deque()
        self._filter: Any = None
        self._filtered: Any = None
        self._last = 0
        self._reorder_delay: int | None = None

    def read(self) -> AccessUnit | None:
        """Raises ResourceError when the file can no longer be read."""
        while not self._ready:
            parcel = self._demuxer.get("video")
            if parcel is None:
                return None
            self._ready.extend((packet, parcel.offset) for packet in self._unwrap(parcel))
        packet, offset = self._ready.popleft()
        shown, decoded = self._times(packet, offset)
        if self._reorder_delay is None:
            self._reorder_delay = max(0, shown - decoded)
        capture_time = self._pace.due(shown)
        if not self._pace.wait(max(capture_time, self._pace.due(decoded + self._reorder_delay))):
            return None
        timestamp = (shown * CLOCK_RATE + SECOND // 2) // SECOND
        data, key_frame = self._complete(bytes(packet), packet.is_keyframe)
        return AccessUnit(data, timestamp, capture_time, key_frame)

    def close(self) -> None:
        self._pace.close()
        self._demuxer.close("video")

    def _unwrap(self, parcel: Parcel) -> list[Any]:
        """MP4 and Matroska keep lengths where Annex B has start codes; in any other container nothing changes."""
        if parcel.packet is None:
            return []
        if self.encoding != "H264":
            return [parcel.packet]
        if parcel.stream is not self._filtered:
            self._filter = av.BitStreamFilterContext("h264_mp4toannexb", parcel.stream)
            self._filtered = parcel.stream
        try:
            return list(self._filter.filter(parcel.packet))
        except av.error.InvalidDataError:
            return []

    def _times(self, packet: Any, offset: int) -> tuple[int, int]:
        """(when it is shown, when it is decoded), ns since the source began."""
        known = packet.pts if packet.pts is not None else packet.dts
        if known is None:
            shown = self._last + int(SECOND / self.frame_rate)
        else:
            shown = int(known * packet.time_base * SECOND) + offset
        self._last = shown
        decoded = shown if packet.dts is None else int(packet.dts * packet.time_base * SECOND) + offset
        return shown, decoded

    def _complete(self, data: bytes, key_frame: bool) -> tuple[bytes, bool]:
        """Before every picture to begin with stand its parameter sets, also where the file has them once only."""
        if self.encoding != "H264" or not key_frame:
            return data, key_frame
        found = parameter_sets(data)
        if found:
            self._parameter_sets = found
            return data, True
        return self._parameter_sets + data, bool(self._parameter_sets)


def parameter_sets(data: bytes) -> bytes:
    """The H.264 sequence and picture parameter sets, as Annex B, of an access unit or of a container's codec data
    (Annex B, or the AVCDecoderConfigurationRecord of ISO/IEC 14496-15 §5.3.3.1). Empty when there are none."""
    if not data:
        return b""
    units = _configuration_units(data) if data[0] == 1 else nal_units(data)
    return to_annexb([unit for unit in units if unit[0] & 0x1F in (SPS, PPS)])


def _configuration_units(record: bytes) -> list[bytes]:
    units: list[bytes] = []
    position = 5
    for mask in (0x1F, 0xFF):  # the number of SPS is the low five bits of its byte
        if position >= len(record):
            break
        count = record[position] & mask
        position += 1
        for _ in range(count):
            size = int.from_bytes(record[position : position + 2], "big")
            units.append(record[position + 2 : position + 2 + size])
            position += 2 + size
    return [unit for unit in units if unit]


def _format_parameters(sets: bytes) -> dict[str, str]:
    return format_parameters(sets) if sets else {"packetization-mode": "1"}
