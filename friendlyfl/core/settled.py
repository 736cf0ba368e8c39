"""What a process that stays does once it has started. Nothing here concerns one that ends with its command."""

import gc

# New objects before Python looks for circles among them. What a request or a round makes is freed without that; with
# Python's own figure a tenth of a Controller's time goes into walking over all of Django again and again.
LOOK_AFTER = (20_000, 20, 50)


def settle() -> None:
    """What start-up made stays: leave it out of the search for garbage, and search less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*LOOK_AFTER)
