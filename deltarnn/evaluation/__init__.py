"""A model on the user's own data: what it answers, how right that is, what it costs."""
