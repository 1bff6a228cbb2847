"""Writing mail: drafts, replies, forwards, attachments, sending."""
