"""What the sender session is made of."""
