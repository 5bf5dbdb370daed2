"""The command line: `gnes`, one file a group of commands."""
