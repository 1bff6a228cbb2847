"""Backups: made while mail flows, proved by digests, restored as a whole, by user or by message.

A backup is a directory:

    manifest.json       what it is, when and of what, and the SHA-256 of the two files below
    database.sqlite3    a snapshot of all tables, whatever database the installation uses
    blobs.jsonl         one line for each file of a large body: name, octets, SHA-256
    blobs/ab/NAME       those files; hard links where an earlier backup on the same disk has them
    secret.key          what the DKIM keys are encrypted with

Each is whole by itself: an earlier one may be removed, though later ones were made from it.
"""
