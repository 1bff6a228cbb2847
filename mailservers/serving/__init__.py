"""What all protocol servers share: listeners, connections, TLS, limits, a clean end."""
