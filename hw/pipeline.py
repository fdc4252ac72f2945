"""Registers in a row."""

from amaranth.hdl import Const, Module, Signal, Value

ALWAYS = Const(1)


def delayed(m: Module, value: Value, cycles: int, name: str, step: Value = ALWAYS) -> Value:
    """``value``, ``cycles`` later, of those in which it may ``step``.

    For data: the registers have no reset.
    """
    for n in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{n}", reset_less=True)
        with m.If(step):
            m.d.sync += register.eq(value)
        value = register
    return value


def staged(
    m: Module, valid: Value, payload, cycles: int, name: str, step: Value = ALWAYS
) -> tuple[list[Value], list]:
    """``valid`` and ``payload`` after 0, 1, ... ``cycles`` cycles, of those that may ``step``.

    A reset makes them invalid.
    """
    valids, payloads = [valid], [payload]
    for n in range(1, cycles + 1):
        valid = Signal(len(valid), name=f"{name}_valid_{n}")
        payload = Signal.like(payloads[-1], name=f"{name}_{n}", reset_less=True)
        with m.If(step):
            m.d.sync += [valid.eq(valids[-1]), payload.eq(payloads[-1])]
        valids.append(valid)
        payloads.append(payload)
    return valids, payloads


def strobed(m: Module, strobe: Value, cycles: int, name: str) -> list[Value]:
    """``strobe``, or several, after 0, 1, ... ``cycles`` cycles. A reset makes them 0."""
    strobes = [strobe]
    for n in range(1, cycles + 1):
        strobes.append(Signal(len(strobe), name=f"{name}_{n}"))
        m.d.sync += strobes[n].eq(strobes[n - 1])
    return strobes
