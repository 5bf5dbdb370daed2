"""Reducers: how the scores of a document's chunks become one."""
