"""The crash test-bed: a real deployment, killed at seeded random instants, against a dict."""
