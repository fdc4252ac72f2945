"""What shows that the parts are right, one file a kind of evidence."""
