"""The `deltarnn` command: a thin front door that calls the rooms behind it."""
