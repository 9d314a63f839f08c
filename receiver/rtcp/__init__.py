"""What the receiver says back to senders in RTCP, and what it learns from their answers."""
