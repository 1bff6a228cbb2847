"""Bytes in, values out: MIME, headers, addresses, dates and the protocol grammars.

Standard library only; no Django, no I/O, no clock. Everything here takes hostile input: parsers of messages never
raise, run in linear time and stop at named limits.
"""
