"""`python -m sender serve`: receivers come by themselves, over RTSP."""
