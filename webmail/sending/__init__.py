"""After Send: taking it back, what became of it for each recipient, and how a user wants mail to be sent."""
