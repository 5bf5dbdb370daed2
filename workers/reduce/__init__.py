"""From the parts of the shards to the answer."""
