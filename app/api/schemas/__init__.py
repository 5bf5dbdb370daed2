"""What travels in and out as JSON: models that check requests and describe answers."""
