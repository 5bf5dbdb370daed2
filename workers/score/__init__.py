"""Score functions: how the scores of chunk hits are made better."""
