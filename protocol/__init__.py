"""The wire: bytes to values and back, and the arithmetic both ends must agree on."""
