"""Media brought from the web, without a way into the private network."""
