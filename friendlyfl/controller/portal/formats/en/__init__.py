"""The formats of dates in English, as a package that Django can find. The formats are in formats.py."""
