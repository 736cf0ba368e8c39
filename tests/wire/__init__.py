"""Tests of what crosses.

`reference.py` is a second, naive reading of the protocol; `people.py` are the hospitals in it.
"""
