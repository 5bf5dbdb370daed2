"""What the YAML means, and what travels between the processes it starts."""
