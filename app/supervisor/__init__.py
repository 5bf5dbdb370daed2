"""The supervisor: one deployment's broker, workers and API, kept alive and taken down together."""
