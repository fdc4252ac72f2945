"""The space of all cases: what a model file may say, and a little beyond, for what is refused.

Everything that may differ by layer does. Strategies of hypothesis, so that a case that fails
shrinks to the smallest of its kind.
"""

from hypothesis import strategies as st

from boards.family.targets import TARGETS
from deltarnn.evidence.case import BIAS_STYLES, FRAME_STYLES, WEIGHT_STYLES, Case, Step
from golden.kinds import KINDS

RECURRENT = sorted(name for name, kind in KINDS.items() if kind.recurrent)
# Formats: m and f from and to. Those of the project lie inside; some that are refused do, too.
_WIDTHS = {
    "activation": ((0, 5), (1, 11)),
    "state": ((0, 3), (0, 14)),
    "gate": ((1, 2), (1, 12)),
    "readout": ((0, 8), (0, 12)),
    "preactivation": ((0, 4), (1, 8)),
    "cell": ((0, 4), (0, 14)),
}
_STILL = st.sampled_from((0.0, 0.3, 0.7, 0.95))  # the fraction of cycles in which a stream waits


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any case."""
    kinds = tuple(draw(st.lists(st.sampled_from(RECURRENT), min_size=1, max_size=_few(draw, 6))))
    most = _few(draw, 40)
    sizes = tuple(draw(st.integers(1, most)) for _ in range(len(kinds) + 1))
    outputs = draw(st.none() | st.integers(1, most))
    layers = len(kinds) + (outputs is not None)
    formats = draw(st.just({}) | st.fixed_dictionaries({k: _q(*q) for k, q in _WIDTHS.items()}))
    m, f = formats.get("activation", (3, 4))
    theta = _thresholds(1 << (m + f))
    activations = draw(st.sampled_from((1, 1, 2, 4)))
    memory = draw(st.sampled_from((None, None, None, (0, 0.0), (5, 0.3), (30, 0.0), (0, 0.8))))
    groups = st.integers(1, 8) if memory is None else st.sampled_from((1, 2, 4, 8))
    return Case(
        kinds=kinds,
        sizes=sizes,
        outputs=outputs,
        formats=formats,
        weight_fracs=tuple(draw(st.integers(0, 9)) for _ in range(layers)),
        thetas=tuple((draw(theta), draw(theta)) for _ in range(layers)),
        shifts=tuple(draw(st.sampled_from((0, 0, 1, 2, 3))) for _ in kinds),
        weights=draw(st.sampled_from(sorted(WEIGHT_STYLES))),
        biases=draw(st.sampled_from(sorted(BIAS_STYLES))),
        lanes=activations * draw(groups),
        activations=activations,
        target=draw(st.sampled_from(("generic", *TARGETS))),
        gaps=draw(_STILL),
        pauses=draw(_STILL),
        seed=draw(st.integers(0, 1 << 20)),
        steps=tuple(draw(_steps(kinds, layers, sizes[0], theta))),
        streams=draw(st.sampled_from((1, 1, 1, 2, 3, 4))),
        memory=memory,
    )


def _few(draw: st.DrawFn, most: int) -> int:
    """Mostly a small number: large cores take long, and go wrong in the same ways."""
    return draw(st.sampled_from((max(2, most // 4), max(2, most // 3), most)))


def _q(m: tuple[int, int], f: tuple[int, int]) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(*m), st.integers(*f))


def _thresholds(greatest: int) -> st.SearchStrategy[int]:
    """0, small, at the greatest code, and above everything."""
    edges = (0, 1, 2, 5, greatest - 1, greatest, 2 * greatest - 1, 2 * greatest, 4 * greatest)
    return st.sampled_from(edges) | st.integers(0, greatest)


@st.composite
def _steps(
    draw: st.DrawFn, kinds: tuple[str, ...], layers: int, inputs: int, theta: st.SearchStrategy[int]
) -> list[Step]:
    frames = st.tuples(st.just("frames"), st.sampled_from(sorted(FRAME_STYLES)), st.integers(1, 24))
    vectors = [(k, vector) for k in range(layers) for vector in ("xh" if k < len(kinds) else "x")]
    on_the_way = draw(st.booleans())
    name = "threshold at once" if on_the_way else "threshold"
    threshold = st.tuples(st.just(name), st.sampled_from(vectors), theta).map(
        lambda step: (step[0], *step[1], step[2])
    )
    others = [
        st.just(("reset",)),
        threshold,
        st.just(("load",)),
        st.tuples(st.just("wait"), st.integers(1, 200)),
    ]
    if not on_the_way:  # with a threshold that changes in mid-frame nobody knows what was sent
        others.append(st.tuples(st.just("broken"), st.integers(1, 2 * inputs)))
        others.append(st.just(("counters",)))
    rest = draw(st.lists(frames | frames | st.one_of(others), max_size=8))
    return [draw(frames), *rest]
