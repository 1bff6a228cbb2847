"""SMTP: relay (port 25) and submission (587, 465). `session` is the protocol, `server` the sockets."""
