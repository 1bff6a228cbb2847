"""Searching mail: a key tree is narrowed by the database, then judged exactly.

`finding` puts the two together; `narrowing` writes a condition of SQL that every match fulfils, with the full-text
index (`fulltext`) where there is one; `judging` decides on the kept texts (`texts`) or, for contents that the
background task (`indexer`) has not reached, on the octets: so results are never stale.
"""
