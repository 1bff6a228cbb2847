"""What is made of delivery events in the background: a summary of each trace, by which it is found, and hourly counts.

`summary` and `hours` say what events come to, `feeding` reads the events and writes that, `finding` searches.
Deliveries pay nothing for it: events are read after they are committed, from where the last reading ended.
"""
