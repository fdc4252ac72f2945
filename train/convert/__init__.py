"""From a network of real numbers to a model of integers."""
