"""Encoders: how a chunk becomes a vector."""
