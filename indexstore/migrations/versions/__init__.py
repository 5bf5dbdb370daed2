"""The revisions, oldest first; each knows how to go up and down by one."""
