import numpy as np
import pytest

from golden.fixed import Q
from golden.gru import update_state, visible
from golden.parameters import Formats
from hw.activation import ActivationUnit
from tests.bench import run_bench
from tests.networks import random_model

FORMATS = {
    "Q3.4": Formats(),
    "Q2.5": Formats(activation=Q(2, 5), state=Q(2, 5)),
    "state Q1.14": Formats(state=Q(1, 14)),
    "state coarser than the gate": Formats(state=Q(3, 3)),
    "readout coarser than the preactivation": Formats(readout=Q(7, 2)),
    "no fraction to round away": Formats(gate=Q(1, 2), readout=Q(7, 2), preactivation=Q(3, 6)),
}


@pytest.mark.parametrize("formats", FORMATS.values(), ids=FORMATS)
def test_equals_golden(formats):
    """Random units of two layers without a gap; every extreme of the readout among them."""
    rng = np.random.default_rng(1)
    network = random_model((3, 7, 11), formats=formats).parameters
    dut = ActivationUnit(network)
    readout = formats.readout
    # Golden reads out by itself: a weight_frac for which R(M) = M leaves the values as they are.
    identity = readout.f - formats.activation.f
    places = [(k, unit) for k, units in ((0, 7), (1, 11)) for unit in range(units)]
    states = dict.fromkeys(places, 0)
    units, expected = [], []
    for _ in range(40):
        for k, unit in places:
            values = rng.integers(readout.min, readout.max + 1, 4)
            if rng.random() < 0.3:
                values = rng.choice([readout.min, -1, 0, 1, readout.max], 4)
            if rng.random() < 0.5:
                values = values // 16  # around 0, where the tables are not flat
            state = np.array([[states[k, unit]]])
            h = update_state(formats, identity, values.reshape(1, 4, 1), state)
            states[k, unit] = int(h[0, 0])
            units.append((k, unit, values.tolist()))
            expected.append((k, unit, int(h[0, 0]), int(visible(formats, h)[0, 0])))
    found, gaps = [], 0

    async def send(ctx):
        ctx.set(dut.i.valid, 1)
        for k, unit, values in units:
            ctx.set(dut.i.payload.layer, k)
            ctx.set(dut.i.payload.unit, unit)
            for name, value in zip(("m_r", "m_u", "m_xc", "m_hc"), values, strict=True):
                ctx.set(dut.i.payload.m[name], value)
            await ctx.tick()
        ctx.set(dut.i.valid, 0)

    async def receive(ctx):
        nonlocal gaps
        while len(found) < len(expected):
            await ctx.tick()
            o = dut.o.payload
            if ctx.get(dut.o.valid):
                found.append((ctx.get(o.layer), ctx.get(o.unit), ctx.get(o.h), ctx.get(o.a)))
            else:
                gaps += 1

    run_bench(dut, send, receive)
    assert found == expected
    assert gaps == dut.latency - 1  # none but the pipeline's own
