"""Why some mutants live: what a test would need that is to see them."""

import re

from deltarnn.evidence.mutants.netlist import Mutation

# A pattern of what a mutation is called, and what there is to say about those that it fits.
_RULES = (
    (
        r"^(frames|cycles|events_[hx]_\d)\b",
        "upper bits of a counter, which more than 2^16 frames or cycles would show; a counter of "
        "4 and 6 bits is tested through all its values",
    ),
)


def explanation(mutation: Mutation) -> str | None:
    """What is known of it; None where nothing is."""
    return next((why for rule, why in _RULES if re.search(rule, str(mutation))), None)
