"""A model and its recordings as one page that computes the network itself, in a browser."""
