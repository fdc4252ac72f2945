"""What would have to be wrong before a bit is wrong, a kind of evidence a file.

The soak (case, space, soak) runs wherever the command does. What mutates, damages or kills takes
its cases from ``tests/``, and runs from a clone alone.
"""
