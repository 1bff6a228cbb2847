"""What other programs look up about a domain of ours over HTTP: its MTA-STS policy, and how clients are set up."""
