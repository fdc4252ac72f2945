"""What would have to be wrong before a bit is wrong, a kind of evidence a file."""
