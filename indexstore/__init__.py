"""Where documents are kept and found: ledger, log, segments, shards, engines."""
