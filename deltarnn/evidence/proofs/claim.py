"""What a proof claims: a component with assertions, whose inputs a solver may choose."""

from pathlib import Path
from sys import modules
from types import ModuleType

from amaranth.hdl import Assert, Elaboratable, Module, Signal, Value

from golden.errors import refusal


class Claim(Elaboratable):
    """Assertions around the component ``dut``.

    ``inputs`` are free: in every cycle a solver chooses them, as far as an ``Assume`` lets it.
    """

    def __init__(self, dut: Elaboratable, *inputs) -> None:
        self.dut = dut
        self.inputs: list[Value] = [Value.cast(value) for value in inputs]

    def free(self, shape, name: str) -> Signal:
        """One more input."""
        signal = Signal(shape, name=name)
        self.inputs.append(Value.cast(signal))
        return signal

    def chosen(self, m: Module, shape, name: str) -> Signal:
        """A number that the solver chooses once, in the first cycle."""
        anything, kept = self.free(shape, name), Signal(shape, name=f"{name}_kept")
        started = Signal(name=f"{name}_started")
        m.d.sync += [started.eq(1), Value.cast(kept).eq(Value.cast(constant := Signal(shape)))]
        with m.If(started):
            m.d.comb += constant.eq(kept)
        with m.Else():
            m.d.comb += constant.eq(anything)
        return constant


def stays(m: Module, name: str, waits: Value, *what) -> None:
    """Asserts that ``waits``, and ``what`` is offered, is so in the next cycle, too."""
    values = [Value.cast(value) for value in what]
    waited = Signal(name=f"{name}_waited")
    m.d.sync += waited.eq(waits)
    for n, value in enumerate(values):
        was = Signal(len(value), name=f"{name}_was_{n}")
        m.d.sync += was.eq(value)
        m.d.comb += Assert(~waited | (value == was))


def variant(kind: type, *changes: tuple[str, str], **parts: object) -> type:
    """``kind`` as it would be if its file said ``wrong`` in place of ``right``, for each such pair
    of ``changes``, and if the names that ``parts`` gives stood for something else in it.

    Raises ValueError where the file does not say ``right`` exactly once, or has no such name.
    """
    path = Path(str(modules[kind.__module__].__file__))
    source = path.read_text()
    for right, wrong in changes:
        if (found := source.count(right)) != 1:
            raise refusal(f"{path.name}, {right!r}", f"{found} times", "once")
        source = source.replace(right, wrong)
    twin = ModuleType(kind.__module__)
    exec(compile(source, str(path), "exec"), twin.__dict__)
    for name, part in parts.items():
        if name not in twin.__dict__:
            raise refusal(f"{path.name}, {name}", "no such name", "that of a part")
        setattr(twin, name, part)
    return getattr(twin, kind.__name__)
