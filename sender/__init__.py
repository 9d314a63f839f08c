"""Capture, encode, packetize, pace, send."""
