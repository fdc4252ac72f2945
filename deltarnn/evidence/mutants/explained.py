"""Why some mutants live: what a test would need that is to see them."""

import re

from deltarnn.evidence.mutants.netlist import Mutation

# A pattern of what a mutation is called, and what there is to say about those that it fits.
_RULES = (
    (
        r"^_(104|286)_\$mux A\[2\]",
        "counts only where a write to this threshold of h leaves its lowest byte out; jobs do that "
        "to the thresholds of x",
    ),
    (
        r"^engine\.activation\.lstm_\d_output_product_\d\$dff D\[[0-6]\]",
        "rounding drops this bit: it lies below the half that decides",
    ),
)


def explanation(mutation: Mutation) -> str | None:
    """What is known of it; None where nothing is."""
    return next((why for rule, why in _RULES if re.search(rule, str(mutation))), None)
