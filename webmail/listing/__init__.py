"""Message lists and keeping them in step with the store."""
