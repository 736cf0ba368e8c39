"""FriendlyFL: hospitals learn from their data together without the data leaving any of them.

The package root imports nothing, so that the Routing Server stays free of numpy and a task author of Django.
"""

__version__ = "0.1.0"
