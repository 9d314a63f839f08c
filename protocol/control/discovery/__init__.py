"""Who is there to connect to: DNS-SD over multicast DNS (RFC 6763, RFC 6762), type `_rtsp._tcp`.

Names, addresses and fingerprints found so are hearsay: anybody in the network can say them. They save typing; whom to
trust is `protocol.control.trust`'s to say.
"""
