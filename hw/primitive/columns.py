"""Weights that lie outside the core, which asks for them column by column."""

from amaranth.hdl import unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from hw.primitive.weights import WeightMemory, word_layout


def columns_signature(words: int, longest: int, lanes: int) -> wiring.Signature:
    """A store of ``words`` words in columns of up to ``longest``, as the core sees it.

    ``request``: ``address`` of a column's first word, and how many ``words`` it has, at least one.
    ``word`` (hw.primitive.weights.word_layout): those words, column after column in the order of
    the requests. Both are streams, and may wait at any time. The core asks for columns before it
    can take their words.
    """
    request = data.StructLayout(
        {"address": unsigned(ceil_log2(words)), "words": unsigned(bits_for(longest))}
    )
    return wiring.Signature(
        {
            "request": Out(stream.Signature(request)),
            "word": In(stream.Signature(word_layout(lanes))),
        }
    )


class ColumnWeights(WeightMemory):
    """What a target says whose weights lie outside (hw.target.Target.weights).

    No such store is ever made: the core has ports in its place.
    """

    waits = True
    by_column = True
