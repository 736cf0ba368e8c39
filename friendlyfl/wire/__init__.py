"""What crosses between hospitals: keys, trust, envelopes, sealing, numbers as bytes.

The Routing Server uses `canonical`, `fields`, `keys`, `requests`, `invitation`, `trust` and `message`; none
of these imports numpy or a module that can open post (`seal`, `codec`, `ring`). No clock and no network in
this room: time and bytes are handed in.
"""
