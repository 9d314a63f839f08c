"""GStreamer's RTSP server as a program: `python3 tests/support/gst_rtsp_server.py --help`.

It runs on the system's Python, which has GStreamer's bindings, and needs nothing of ours. It prints `ready PORT` once
it listens, and ends on SIGTERM.
"""

from __future__ import annotations

import argparse
import sys

import gi

for _name in ("Gst", "GstRtsp", "GstRtspServer"):
    gi.require_version(_name, "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

PROFILES = {
    "avp": GstRtsp.RTSPProfile.AVP,
    "avpf": GstRtsp.RTSPProfile.AVPF,
    "savp": GstRtsp.RTSPProfile.SAVP,
    "savpf": GstRtsp.RTSPProfile.SAVPF,
}
PROTOCOLS = {
    "udp": GstRtsp.RTSPLowerTrans.UDP,
    "tcp": GstRtsp.RTSPLowerTrans.TCP,
    "multicast": GstRtsp.RTSPLowerTrans.UDP_MCAST,
}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--path", default="/stream")
    parser.add_argument("--launch", required=True, help="elements named pay0, pay1, or depay0 with --record")
    parser.add_argument("--record", action="store_true", help="clients send to it")
    parser.add_argument("--protocols", default="udp,tcp", help="of " + ", ".join(PROTOCOLS))
    parser.add_argument("--profiles", default="avp", help="of " + ", ".join(PROFILES))
    parser.add_argument("--retransmission", type=int, default=0, metavar="MS", help="of the history for RFC 4588")
    parser.add_argument("--cert", help="PEM file with certificate and key: TLS")
    parser.add_argument("--user", metavar="NAME:PASSWORD", help="Digest")
    parser.add_argument("--basic", action="store_true", help="Basic instead")
    return parser.parse_args()


def authentication(user: str, basic: bool) -> GstRtspServer.RTSPAuth:
    name, _, password = user.partition(":")
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    if basic:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(name, password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(name, password, token)
    return auth


def factory(given: argparse.Namespace) -> GstRtspServer.RTSPMediaFactory:
    made = GstRtspServer.RTSPMediaFactory()
    made.set_launch(f"( {given.launch} )")
    made.set_shared(not given.record)
    made.set_latency(100)
    if given.record:
        made.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    protocols = GstRtsp.RTSPLowerTrans(0)
    for name in given.protocols.split(","):
        protocols |= PROTOCOLS[name]
    made.set_protocols(protocols)
    profiles = GstRtsp.RTSPProfile(0)
    for name in given.profiles.split(","):
        profiles |= PROFILES[name]
    made.set_profiles(profiles)
    if given.retransmission:
        made.set_retransmission_time(given.retransmission * Gst.MSECOND)
        made.set_do_retransmission(True)
    if "multicast" in given.protocols:
        pool = GstRtspServer.RTSPAddressPool()
        pool.add_range("239.255.77.1", "239.255.77.9", 21000, 21040, 1)
        made.set_address_pool(pool)
    if given.user:
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_role("user")
        for what in ("access", "construct"):
            permissions.add_permission_for_role("user", f"media.factory.{what}", True)
        made.set_permissions(permissions)
    return made


def main() -> int:
    given = options()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(given.port))
    auth = authentication(given.user, given.basic) if given.user else None
    if given.cert:
        auth = auth or GstRtspServer.RTSPAuth()
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(given.cert))
    if auth is not None:
        server.set_auth(auth)
    server.get_mount_points().add_factory(given.path, factory(given))
    if not server.attach(None):
        print("cannot listen", file=sys.stderr)
        return 1
    print("ready", server.get_bound_port(), flush=True)
    GLib.MainLoop().run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
