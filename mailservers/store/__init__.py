"""The only code that writes mail tables. See `engine` for how operations run, and docs/architecture.md."""
