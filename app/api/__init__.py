"""The HTTP interface: who asked, may they, what did they mean, and what do they get."""
