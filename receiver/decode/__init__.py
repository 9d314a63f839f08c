"""Decoders: access units in, pictures and samples out."""
