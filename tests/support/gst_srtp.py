"""GStreamer receives with one key for every SSRC, for Debian's Python: cipher, key in hexadecimal, pipeline.

Ctrl-C ends the stream, and with it the files that are written.
"""

from __future__ import annotations

import signal
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

Gst.init(None)
cipher, key, description = sys.argv[1:]
authentication = "null" if "gcm" in cipher else "hmac-sha1-80"
terms = Gst.Caps.from_string(
    f"application/x-srtp,roc=(uint)0,srtp-key=(buffer){key},srtp-cipher={cipher},srtp-auth={authentication},"
    f"srtcp-cipher={cipher},srtcp-auth={authentication}"
)
pipeline = Gst.parse_launch(description)
elements = pipeline.iterate_all_by_element_factory_name("srtpdec")
while True:
    found, element = elements.next()
    if found != Gst.IteratorResult.OK:
        break
    element.connect("request-key", lambda *_: terms.copy())
loop = GLib.MainLoop()
bus = pipeline.get_bus()
bus.add_signal_watch()
bus.connect("message::eos", lambda *_: loop.quit())
GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGINT, lambda: pipeline.send_event(Gst.Event.new_eos()))
pipeline.set_state(Gst.State.PLAYING)
loop.run()
pipeline.set_state(Gst.State.NULL)
