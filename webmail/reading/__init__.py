"""Showing one message: what it is made of, its text, its HTML made safe, its attachments."""
