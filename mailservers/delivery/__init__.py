"""Accepting mail: who an address leads to, and the one transaction that takes responsibility for a message."""
