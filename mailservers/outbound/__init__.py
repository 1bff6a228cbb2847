"""Sending: the queue, its runner, where mail goes and how it is handed over, and what is said when it cannot be."""
