"""Networks of real numbers, their integers and their thresholds."""
