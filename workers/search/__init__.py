"""Shards of the indexes, served."""
