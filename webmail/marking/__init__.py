"""Marks, moves and deletions of one or many messages, with Undo."""
