"""`python -m sender --check`: what can be sent from this machine."""

from __future__ import annotations

from fractions import Fraction

from protocol.command import check
from protocol.command.check import Row
from protocol.command.devices import Device
from protocol.errors import SteadycastError
from sender.devices import cameras, microphones


def rows() -> list[Row]:
    """Devices, encoders, then what the socket can do; each was tried."""
    return [
        device_row("camera", cameras(), "connect one, or send a file or --video pattern"),
        check.sound_library_row(),
        device_row("microphone", microphones(), "connect one, or send a file, --audio tone or none"),
        *(video_row(codec) for codec in ("h264", "vp8", "jpeg")),
        *(audio_row(codec) for codec in ("opus", "l16", "pcmu", "pcma")),
        check.option_row("UDP_SEGMENT", check.SOL_UDP, check.UDP_SEGMENT, "datagrams are written one by one"),
        check.ipv6_row(),
    ]


def device_row(kind: str, devices: list[Device], advice: str) -> Row:
    if not devices:
        return Row(kind, False, "none found", advice)
    chosen = next((device for device in devices if device.default), devices[0])
    return Row(kind, True, chosen.name + (f" and {len(devices) - 1} more" if len(devices) > 1 else ""))


def video_row(codec: str) -> Row:
    from sender.encode.video import open_video_encoder

    try:
        open_video_encoder(codec, 640, 368, Fraction(30), 800_000).close()
    except (SteadycastError, OSError, ValueError) as error:
        return Row(f"{codec} encoder", False, str(error), "install the packages again: make setup", needed=True)
    return Row(f"{codec} encoder", True, "")


def audio_row(codec: str) -> Row:
    from sender.encode.audio import open_audio_encoder

    try:
        open_audio_encoder(codec, 48_000, 1).close()
    except (SteadycastError, OSError, ValueError) as error:
        return Row(f"{codec} encoder", False, str(error), "install the packages again: make setup", needed=True)
    return Row(f"{codec} encoder", True, "")
