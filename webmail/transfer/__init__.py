"""One's mail into files and back, in the browser."""
