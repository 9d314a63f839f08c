"""The receiver over a recorded capture, in virtual time."""
