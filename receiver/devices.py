"""Speakers and displays of this machine."""

from __future__ import annotations

import contextlib

from protocol.command.devices import Device


def speakers() -> list[Device]:
    """What PortAudio can play to; [] also without PortAudio."""
    try:
        import sounddevice
    except OSError:
        return []
    with contextlib.suppress(sounddevice.PortAudioError):
        found = [device for device in sounddevice.query_devices() if device["max_output_channels"] > 0]
        default = sounddevice.default.device[1]
        return [
            Device(
                "speaker",
                device["index"],
                device["name"],
                f"--audio speaker:{device['index']}",
                f"{device['max_output_channels']} channels, {device['default_samplerate']:.0f} Hz",
                device["index"] == default,
            )
            for device in found
        ]
    return []
