"""What happened to every packet."""
