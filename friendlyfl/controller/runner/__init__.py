"""The runner: a child process, one a run, that reads the table once and answers one job after the other.

`child` is the program in the process: it sees files, a task and numbers; no key, no address, no Django. `parent`
starts it, asks it, watches its limits and ends it. Jobs and their outcomes are the agent's business.
"""
