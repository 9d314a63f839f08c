"""`python -m sender rtsp://…`: a presentation that is announced to a server, and sent there."""
