"""Folders: the sidebar with its counts, and making, renaming and deleting them."""
