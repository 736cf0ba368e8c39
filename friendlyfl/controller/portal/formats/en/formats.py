"""Dates in English. The day comes first and the month is a word, so that no reader can take one for the other."""

DATE_FORMAT = "j F Y"
DATETIME_FORMAT = "j F Y, H:i"
