"""The lanes, and where an event meets its weight word."""
