"""Which instances of a test `make test` takes; `make check` takes all of them."""

from collections.abc import Container, Iterable, Mapping
from typing import Any

import pytest


def quick(cases: Mapping[str, Any], names: Container[str]) -> list[Any]:
    """``cases`` as parameters under their names; all but those of ``names`` are slow."""
    return [
        pytest.param(case, id=name, marks=() if name in names else pytest.mark.slow)
        for name, case in cases.items()
    ]


def every(n: int, values: Iterable[Any]) -> list[Any]:
    """``values`` as parameters; the first is quick, and after it each ``n``th."""
    return [
        pytest.param(value, marks=pytest.mark.slow if k % n else ())
        for k, value in enumerate(values)
    ]
