"""Aggregate reports: ours to other domains (DMARC, TLS-RPT), and theirs about us."""
