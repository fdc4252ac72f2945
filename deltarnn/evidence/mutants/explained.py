"""Why some mutants live: what a test would need that is to see them."""

import re

from deltarnn.evidence.mutants.netlist import Mutation

# A pattern of what a mutation is called, and what there is to say about those that it fits.
_RULES = (
    (
        r"^(frames|cycles|events_[hx]_\d)\b",
        "a bit of a counter that takes 2^16 frames, or 2^32 cycles, to show; tests take counters "
        "of 4 and 6 bits through all their values",
    ),
    (r"^s_axil_rdata\b", "a bit that is 1 in nothing but a counter beyond 2^16"),
    (r"^port\.write_strobe\b", "all accesses write whole words here; tests of the port do not"),
    (
        r"^_(104|286)_\$mux A\[2\]|^_005_\$mux A\[4\]",
        "counts only where a write to a threshold leaves bytes out, which no job does",
    ),
    (r"^gate\.", "no reset is written in mid-frame here; tests of the gate do that"),
    (
        r"^engine\.activation\.lstm_\d_[ac]_was_",
        "only says whether c or h moved, and no layer stood still where that decided",
    ),
)


def explanation(mutation: Mutation) -> str | None:
    """What is known of it; None where nothing is."""
    return next((why for rule, why in _RULES if re.search(rule, str(mutation))), None)
