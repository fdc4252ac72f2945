"""What differs from one family of chips to the next: the primitives a core is made of."""

from dataclasses import dataclass, replace

from golden.errors import refusal, require_int
from golden.parameters import CoreParameters
from hw.primitive.accumulators import Accumulators
from hw.primitive.columns import ColumnWeights
from hw.primitive.lane import Lane
from hw.primitive.masters import MasterStore
from hw.primitive.multiply_add import MultiplyAdd
from hw.primitive.serializer import Serializer, ShiftSerializer
from hw.primitive.weights import WeightMemory
from hw.walk.column_layout import ColumnLayout
from hw.walk.layout import CoreLayout

# With a slower memory a row of a linear layer, which comes again after one other row or two cycles
# of skipping, would be opened again before it has been written back.
READ_LATENCY_MAX = 2


@dataclass(frozen=True)
class Target:
    """A family's primitives. The defaults, which are any family's, use no vendor cells.

    Attributes
    ----------
    weights : type
        The store of the weights (hw.primitive.weights.WeightMemory).
    masters : type
        The store of the masters, where a core learns (hw.primitive.masters.MasterStore). It stands
        in for ``weights`` and is no slower.
    accumulators, slow_accumulators : type
        The memory of M (hw.primitive.accumulators.Accumulators), and the one that takes its place
        where weights come no faster than a word in two cycles. Only a core with its weights outside
        may have one that is not there at power-up, or wants more than a cycle for a slot.
    lane : type
        A lane (hw.primitive.lane.Lane), slower than a memory: its sum comes later than M.
    multiply_add : MultiplyAdd
        What the activation unit multiplies with.
    read_latency : int
        Cycles from an address to a memory's data: 1, or 2 where the data want a register before
        anything is done with them.
    stage_lanes : int or None
        Lanes that do the same in the same cycle. The next ones do it a cycle later, so that what
        all lanes need reaches them by way of each other and no register has to drive them all.
        None: one stage, however many lanes; it must be so where the store may wait or be loaded.
    serializer : type
        What a block's units leave through (hw.primitive.serializer.Serializer).
    block_rows : int
        Lanes of a core up to which accumulators, and the errors of these where it learns, lie in
        block RAM, however few their rows are; in wider ones Yosys decides.
    block_shapes : tuple of (int, int)
        Words, and bits of each, that a block RAM may be read as. None where they may be any: then
        no table is folded to save block RAM (hw.unit.table).

    Raises
    ------
    ValueError
        Where primitives do not go together.
    """

    name: str = "generic"
    weights: type[WeightMemory] = WeightMemory
    masters: type[MasterStore] = MasterStore
    accumulators: type[Accumulators] = Accumulators
    slow_accumulators: type[Accumulators] = Accumulators
    lane: type[Lane] = Lane
    multiply_add: MultiplyAdd = MultiplyAdd()  # noqa: RUF009  # it has no state
    read_latency: int = 1
    stage_lanes: int | None = None
    serializer: type[Serializer] = ShiftSerializer
    block_rows: int = 0
    block_shapes: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        where = f"of target {self.name}"
        require_int(f"read_latency {where}", self.read_latency, 1, READ_LATENCY_MAX)
        if self.lane.latency <= self.read_latency:
            raise refusal(
                f"latency of a lane {where}",
                self.lane.latency,
                f"more than the {self.read_latency} of its memory",
            )
        rows = self.accumulators
        if (rows.loads or rows.interval > 1) and not (self.by_column and not self.weights.loads):
            found = "a memory that is loaded or has one port"
            raise refusal(f"accumulators {where}", found, "another one: weights lie inside")
        if self.stage_lanes is not None:
            require_int(f"stage_lanes {where}", self.stage_lanes, 1)
            if self.weights.loads or self.weights.waits:
                raise refusal(
                    f"stage_lanes {where}",
                    self.stage_lanes,
                    "None, one stage, where weights are loaded or may wait",
                )

    @property
    def loads(self) -> bool:
        """Weights come at run time."""
        return self.weights.loads

    @property
    def late(self) -> int:
        """Cycles that a row waits before it is written back: where one port reads in every second
        cycle, it writes in the others.
        """
        return self.read_latency % 2 if self.accumulators.interval > 1 else 0

    @property
    def by_column(self) -> bool:
        """Weights lie outside the core (hw.primitive.columns.ColumnWeights)."""
        return self.weights.by_column

    def with_columns(self, weights: type[ColumnWeights] = ColumnWeights) -> "Target":
        """The same with the weights outside the core."""
        return replace(self, weights=weights, stage_lanes=None)

    def with_slow_columns(self, weights: type[ColumnWeights]) -> "Target":
        """The same with the weights where a word of them takes two cycles or more."""
        return replace(self.with_columns(weights), accumulators=self.slow_accumulators)

    def layout(self, core: CoreParameters) -> CoreLayout | ColumnLayout:
        """Where the weights of a core lie."""
        return self.column_layout(core) if self.by_column else CoreLayout(core)

    def column_layout(self, core: CoreParameters) -> ColumnLayout:
        """Where they lie outside it."""
        return ColumnLayout(core, self.weights.checked)

    def require_training(self) -> None:
        """Refuses a core that trains where weights are loaded, may wait, or outrun masters."""
        if self.weights.loads or self.weights.waits:
            raise refusal("target", self.name, "one whose weights are always there, to train")
        if self.masters.latency > self.weights.latency:
            raise refusal(
                f"latency of masters of target {self.name}",
                self.masters.latency,
                f"at most the {self.weights.latency} of its weights",
            )

    @property
    def reopen(self) -> int:
        """Cycles after which a closed row of accumulators may be opened again."""
        return 2 + self.read_latency + self.late

    def blocks(self, words: int, bits: int) -> int:
        """Block RAMs that a memory takes; 0 where their shapes are not known."""
        each = (-(-words // deep) * -(-bits // wide) for deep, wide in self.block_shapes)
        return min(each, default=0)

    def stages(self, core: CoreParameters) -> list[range]:
        """The lanes of each stage; whole groups of those that are activated together."""
        lanes, together = core.lanes, core.activations
        size = -(-(self.stage_lanes or lanes) // together) * together
        return [range(low, min(low + size, lanes)) for low in range(0, lanes, size)]


GENERIC = Target()
