"""The command line: thin commands over actions, client and testing. Heavy imports stay inside commands."""
