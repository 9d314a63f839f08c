"""One end of a GStreamer pair with retransmission (RFC 4588) and key frames on request, by Debian's own Python.

gstreamer_node.py send FIFO BITRATE RTP_TO RTCP_TO
gstreamer_node.py show FIFO LATENCY RTP_AT RTCP_AT RTCP_TO
"""

from __future__ import annotations

import signal
import sys
from typing import Any

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

WIDTH, HEIGHT, FPS, GROUP, PACKET = 640, 360, 30, 60, 1200
MEDIA, RETRANSMISSION = 96, 97
COMMON = "application/x-rtp,media=video,clock-rate=90000"
CAPS = {
    MEDIA: f"{COMMON},encoding-name=H264,payload={MEDIA},rtcp-fb-nack-pli=(boolean)true",
    RETRANSMISSION: f"{COMMON},encoding-name=RTX,payload={RETRANSMISSION},apt=(string){MEDIA}",
}
FEEDBACK_BANDWIDTH = 10_000_000
"""bytes a second, of which RTCP may have a twentieth: at the usual allowance a request waits too long."""
FEEDBACK_INTERVAL = 20


def around(factory: str) -> Any:
    """A retransmission element in a bin with the pads rtpbin looks for."""
    element = Gst.ElementFactory.make(factory, None)
    types = f"application/x-rtp-pt-map,{MEDIA}=(uint){RETRANSMISSION}"
    element.set_property("payload-type-map", Gst.Structure.new_from_string(types))
    if factory == "rtprtxsend":
        element.set_property("max-size-time", 1000)
    box = Gst.Bin.new(None)
    box.add(element)
    for pad in ("sink", "src"):
        box.add_pad(Gst.GhostPad.new(f"{pad}_0", element.get_static_pad(pad)))
    return box


def one_socket(source: Any, sink: Any) -> None:
    """RTCP leaves from the port where it arrives."""
    source.set_state(Gst.State.READY)
    sink.set_property("socket", source.get_property("used-socket"))
    sink.set_property("close-socket", False)


def sender(fifo: str, bitrate: str, rtp_to: str, rtcp_to: str) -> Any:
    pipeline = Gst.parse_launch(
        f"filesrc location={fifo} blocksize={WIDTH * HEIGHT * 3 // 2} "
        f"! rawvideoparse width={WIDTH} height={HEIGHT} format=i420 framerate={FPS}/1 "
        f"! x264enc tune=zerolatency speed-preset=ultrafast bitrate={int(bitrate) // 1000} vbv-buf-capacity=600 "
        f"key-int-max={GROUP} threads=1 option-string=scenecut=0 ! video/x-h264,profile=constrained-baseline "
        f"! rtph264pay name=media pt={MEDIA} mtu={PACKET} config-interval=-1 aggregate-mode=zero-latency "
        "rtpbin name=session rtp-profile=avpf "
        f"udpsink name=rtp host=127.0.0.1 port={rtp_to} sync=false async=false "
        f"udpsink name=reports host=127.0.0.1 port={rtcp_to} sync=false async=false "
        "udpsrc name=heard address=127.0.0.1 port=0 caps=application/x-rtcp"
    )
    part = pipeline.get_by_name
    session = part("session")
    session.connect("request-aux-sender", lambda *_: around("rtprtxsend"))
    one_socket(part("heard"), part("reports"))
    part("media").link_pads("src", session, "send_rtp_sink_0")
    session.link_pads("send_rtp_src_0", part("rtp"), "sink")
    session.link_pads("send_rtcp_src_0", part("reports"), "sink")
    part("heard").link_pads("src", session, "recv_rtcp_sink_0")
    return pipeline


def receiver(fifo: str, latency: str, rtp_at: str, rtcp_at: str, rtcp_to: str) -> Any:
    pipeline = Gst.parse_launch(
        f"rtpbin name=session rtp-profile=avpf latency={latency} do-retransmission=true do-lost=true "
        "drop-on-latency=false "  # it would drop what the start of the sender sends at once
        f'udpsrc name=rtp address=127.0.0.1 port={rtp_at} buffer-size=4000000 caps="{CAPS[MEDIA]}" '
        f"udpsrc name=heard address=127.0.0.1 port={rtcp_at} caps=application/x-rtcp "
        f"udpsink name=reports host=127.0.0.1 port={rtcp_to} sync=false async=false "
        "rtph264depay name=media request-keyframe=true ! avdec_h264 automatic-request-sync-points=true "
        "! videoconvert ! video/x-raw,format=I420 "
        f"! filesink location={fifo} buffer-mode=unbuffered async=false sync=true processing-deadline=0"
    )
    part = pipeline.get_by_name
    session = part("session")
    session.connect("request-pt-map", lambda _bin, _session, kind: Gst.Caps.from_string(CAPS.get(kind, CAPS[MEDIA])))
    session.connect("request-aux-receiver", lambda *_: around("rtprtxreceive"))
    session.connect("pad-added", lambda _bin, pad: shown(pad, part("media").get_static_pad("sink")))
    one_socket(part("heard"), part("reports"))
    part("rtp").link_pads("src", session, "recv_rtp_sink_0")
    part("heard").link_pads("src", session, "recv_rtcp_sink_0")
    session.link_pads("send_rtcp_src_0", part("reports"), "sink")
    inner = session.emit("get-internal-session", 0)
    inner.set_property("bandwidth", float(FEEDBACK_BANDWIDTH))
    inner.set_property("rtcp-min-interval", FEEDBACK_INTERVAL * Gst.MSECOND)
    return pipeline


def shown(pad: Any, media: Any) -> None:
    """The stream's pad appears when its first packet has come."""
    if pad.get_name().startswith("recv_rtp_src") and pad.get_name().endswith(f"_{MEDIA}") and not media.is_linked():
        pad.link(media)


def main() -> None:
    what, *arguments = sys.argv[1:]
    Gst.init(None)
    pipeline = (sender if what == "send" else receiver)(*arguments)
    loop = GLib.MainLoop()
    for number in (signal.SIGINT, signal.SIGTERM):
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, loop.quit)
    bus = pipeline.get_bus()
    bus.add_signal_watch()
    bus.connect("message::latency", lambda *_: pipeline.recalculate_latency())
    bus.connect("message::error", lambda _bus, message: (print(message.parse_error(), flush=True), loop.quit()))
    pipeline.set_state(Gst.State.PLAYING)
    loop.run()


if __name__ == "__main__":
    main()
