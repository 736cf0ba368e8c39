"""The agent: the threads that collect, deliver, work and keep time. They meet in the database and at one bell.

No thread keeps a fact of its own: any of them may die with the process at any moment, and the next start reads the
journal, redoes what has an intent and no done mark, and carries on.
"""
