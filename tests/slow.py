"""Which instances of a test `make test` takes; `make check` takes all of them."""

from collections.abc import Container, Iterable, Mapping
from typing import Any

import pytest


def quick(cases: Mapping[str, Any], names: Container[str]) -> list[Any]:
    """``cases`` as parameters under their names; all but those of ``names`` are slow."""
    return [
        pytest.param(case, id=name, marks=_marks(name in names)) for name, case in cases.items()
    ]


def every(n: int, values: Iterable[Any]) -> list[Any]:
    """``values``, tuples where there are several names, as parameters.

    The first is quick, and after it each ``n``th.
    """
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=_marks(k % n == 0))
        for k, value in enumerate(values)
    ]


def _marks(quick: bool) -> Any:
    return () if quick else pytest.mark.slow
