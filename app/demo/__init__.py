"""`make demo`: search everything your Python can do."""
