"""Encoders: frames in, access units out."""
