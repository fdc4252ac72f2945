"""Registers in a row."""

from amaranth.hdl import Module, Signal, Value


def delayed(m: Module, value: Value, cycles: int, name: str) -> Value:
    """``value``, ``cycles`` later. For data: the registers have no reset."""
    for n in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{n}", reset_less=True)
        m.d.sync += register.eq(value)
        value = register
    return value


def staged(m: Module, valid: Value, payload, cycles: int, name: str) -> tuple[list[Value], list]:
    """``valid`` and ``payload`` after 0, 1, ... ``cycles`` cycles; reset makes them invalid."""
    valids, payloads = [valid], [payload]
    for n in range(1, cycles + 1):
        valid = Signal(len(valid), name=f"{name}_valid_{n}")
        payload = Signal.like(payloads[-1], name=f"{name}_{n}", reset_less=True)
        m.d.sync += [valid.eq(valids[-1]), payload.eq(payloads[-1])]
        valids.append(valid)
        payloads.append(payload)
    return valids, payloads
