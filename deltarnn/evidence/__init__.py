"""What shows that the project does what it says: a file a kind of evidence."""
