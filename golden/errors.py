"""The one shape that every refusal of bad input has."""


def refusal(name: str, found: object, expected: str) -> ValueError:
    """The error for a thing called ``name`` that is ``found`` where ``expected`` was wanted.

    The command prints its text as it stands, so it is one line and names the thing.
    """
    return ValueError(f"{name}: found {found}, expected {expected}")


def require_int(name: str, value: object, low: int, high: int | None = None) -> int:
    """``value`` as an int within [low, high], or a refusal; a bool is not an integer here."""
    in_range = (
        isinstance(value, int)
        and not isinstance(value, bool)
        and value >= low
        and (high is None or value <= high)
    )
    if not in_range:
        bound = f">= {low}" if high is None else f"from {low} to {high}"
        raise refusal(name, repr(value), f"an integer {bound}")
    assert isinstance(value, int)
    return value
