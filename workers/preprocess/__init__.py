"""Preprocessors: how a document becomes chunks."""
