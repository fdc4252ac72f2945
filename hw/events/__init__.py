"""From vectors to lists of events: frames in, what moved, one event after another."""
