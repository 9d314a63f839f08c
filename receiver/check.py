"""`python -m receiver --check`: what can be received and played on this machine."""

from __future__ import annotations

import socket

from protocol.command import check
from protocol.command.check import Row
from protocol.errors import SteadycastError
from receiver.config import ReceiverConfig
from receiver.devices import speakers
from receiver.media import Format

_VIDEO = (Format("H264", 90_000), Format("VP8", 90_000), Format("JPEG", 90_000))
_AUDIO = (Format("opus", 48_000, 2), Format("L16", 48_000, 1), Format("PCMU", 8_000, 1), Format("PCMA", 8_000, 1))


def rows(config: ReceiverConfig) -> list[Row]:
    """Outputs, decoders, then ports and what the socket can do; each was tried."""
    return [
        display_row(),
        check.sound_library_row(),
        speaker_row(),
        *(video_row(format) for format in _VIDEO),
        *(audio_row(format) for format in _AUDIO),
        *(check.port_row(port) for port in config.listen.ports),
        check.ipv6_row(),
        check.receive_buffer_row(),
        check.option_row("UDP_GRO", check.SOL_UDP, check.UDP_GRO, "datagrams are read one by one"),
        check.option_row(
            "SO_TIMESTAMPNS", socket.SOL_SOCKET, check.SO_TIMESTAMPNS, "arrival is when the program looks"
        ),
        check.option_row("SO_RXQ_OVFL", socket.SOL_SOCKET, check.SO_RXQ_OVFL, "local drops look like network loss"),
    ]


def display_row() -> Row:
    """Whether a window can be opened."""
    from receiver.playout.display import missing_display

    why = missing_display()
    return Row("display", why is None, why or "")


def speaker_row() -> Row:
    found = speakers()
    if not found:
        return Row("speaker", False, "none found", "without one: --audio out.wav or --audio none")
    chosen = next((device for device in found if device.default), found[0])
    return Row("speaker", True, chosen.name + (f" and {len(found) - 1} more" if len(found) > 1 else ""))


def video_row(format: Format) -> Row:
    from receiver.decode.video import VideoDecoder

    name = f"{format.encoding} decoder"
    try:
        VideoDecoder(format)
    except (SteadycastError, OSError, ValueError) as error:
        return Row(name, False, str(error), "install the packages again: make setup", needed=True)
    return Row(name, True, "")


def audio_row(format: Format) -> Row:
    from receiver.decode.audio import AudioDecoder

    name = f"{format.encoding} decoder"
    try:
        AudioDecoder(format)
    except (SteadycastError, OSError, ValueError) as error:
        return Row(name, False, str(error), "sudo apt install libopus0 (or your system's libopus)", needed=True)
    return Row(name, True, "")
