"""RTSP at the receiver: streams that are asked for, and streams that are announced to us."""
