"""RTSP 1.0 (RFC 2326) without sockets or clocks: messages, their headers, and what a server and a client must know."""
