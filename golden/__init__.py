"""The specification in code: docs/numerics.md in NumPy integers.

Nothing here knows about hardware. Every other folder may import this one; it imports none of them.
"""
