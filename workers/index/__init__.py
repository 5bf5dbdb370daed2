"""From encoded documents to the log, and from the ledger to the queues."""
