"""The software at the other end of the link."""
