"""Repair packets of our own kind: a Reed–Solomon code over packets, and its payload."""
