"""Pure decisions: what a version is, who wins, what goes out in which order, what an entry that came in does.

Nothing here reads a file, a clock or a random number; whatever it needs arrives as an argument, so that thousands of
simulated histories a second run through the very code that runs in production.
"""
