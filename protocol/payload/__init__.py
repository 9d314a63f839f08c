"""Payload formats: frames to RTP payloads and back, knowing no codec."""
