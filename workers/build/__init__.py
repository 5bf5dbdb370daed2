"""Segments, built beside what is served."""
