"""What is true: the life of a run, errors, limits. Standard library only; no clock, no randomness, no I/O."""
