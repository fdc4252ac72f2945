"""Both players see what changes on a stream while it waits for ready, whoever drives it."""

from dataclasses import replace

import pytest

import sim.fast.harness
from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from hw.bus.registers import register_map
from hw.emit.verilog import TOP, Emission, emit
from sim.build import build
from sim.compare import first_mismatch
from sim.fast.harness import Harness
from sim.run import Job, play, trace_of
from sim.simulators import SIMULATORS
from tests.networks import random_frames, random_model
from tests.slow import quick

pytestmark = pytest.mark.slow  # minutes of simulations and syntheses


MODEL = random_model((3, 6), theta=(0, 0))
CORE = CoreParameters(MODEL.parameters, 4, 4)  # several results a beat, so that there is a tkeep
THETA = next(r.address for r in register_map(MODEL.parameters) if r.name == "THETA_X_0")
PLAYERS = {"harness": Harness(), "icarus": SIMULATORS["icarus"]}


def wrapped(emission: Emission, body: str = "", **ports: str) -> Emission:
    """The core in another one of its name: each of ``ports``, in or out, is what its text says.

    The text of an output is what comes out, with ``{}`` for what the core inside gives; that of an
    input is what the core inside gets. ``odd`` is 1 in every other cycle.
    """
    whole = emission.verilog.replace(f"module {TOP}(", f"module {TOP}_whole(")
    assert whole != emission.verilog
    declared, connected, wires = [], [], []
    for port in emission.manifest["ports"]:
        name, out = port["name"], port["direction"] == "out"
        width = f"[{port['width'] - 1}:0]"
        declared.append(f"{port['direction']}put {width} {name}")
        connected.append(f".{name}(whole_{name})")
        text = ports.get(name, "{}").format(f"whole_{name}" if out else name)
        to = name if out else f"whole_{name}"
        wires.append(f"wire {width} whole_{name}; assign {to} = {text};")
    text = f"module {TOP}({', '.join(declared)});\nreg odd = 0; always @(posedge clk) odd <= ~odd;"
    text += "\n".join(["", *wires, f"{TOP}_whole whole({', '.join(connected)});", body])
    return replace(emission, verilog=f"{whole}\n{text}\nendmodule\n")


def job() -> Job:
    frames = random_frames(MODEL, 8)
    job = Job(gaps=0.3, pauses=0.6).frames(frames[:6])
    for n in range(6):
        job.write(THETA, 0).read(THETA).write_at_once(THETA, 0).wait(n)
    return job.frames(frames[6:])


EMISSION = emit(CORE, MODEL)
# What a core may do wrong: the stream, the port, and what comes out of it.
BROKEN = {
    "m_axis_tdata": ("m_axis", "{} ^ m_axis_tready"),
    "m_axis_tlast": ("m_axis", "{} ^ odd"),
    "m_axis_tkeep": ("m_axis", "{} ^ m_axis_tready"),
    "m_axis_tvalid": ("m_axis", "{} & odd"),
    "s_axil_bresp": ("s_axil b", "{} ^ s_axil_bready"),
    "s_axil_bvalid": ("s_axil b", "{} & odd"),
    "s_axil_rdata": ("s_axil r", "{} ^ (s_axil_rready << 31)"),
    "s_axil_rresp": ("s_axil r", "{} ^ odd"),
    "s_axil_rvalid": ("s_axil r", "{} & odd"),
}


@pytest.mark.parametrize("player", quick(PLAYERS, ("icarus",)))
@pytest.mark.parametrize("port", quick({port: port for port in BROKEN}, ("m_axis_tdata",)))
def test_a_core_that_changes_what_it_offers_is_rejected(player, port):
    channel, text = BROKEN[port]
    ports = {port: text}
    if port.endswith("valid"):  # what is not seen is not taken either
        ports[port.replace("valid", "ready")] = "{} & odd"
    simulation = build(wrapped(EMISSION, **ports), player)
    with pytest.raises(RuntimeError, match=rf"{story(channel)}: {port} was "):
        play(simulation, CORE, job())


TAKEN = ("s_axis_t", "s_axil_aw", "s_axil_w", "s_axil_ar")  # what the ports' names begin with
# What the bench may do wrong: the stream and a port of it. So that it waits it is taken in every
# other cycle, although the core would take it at once.
DRIVEN = {
    "s_axis_tdata": "s_axis",
    "s_axis_tlast": "s_axis",
    "s_axis_tvalid": "s_axis",
    "s_axil_awaddr": "s_axil aw",
    "s_axil_awvalid": "s_axil aw",
    "s_axil_wdata": "s_axil w",
    "s_axil_wstrb": "s_axil w",
    "s_axil_araddr": "s_axil ar",
    "s_axil_arvalid": "s_axil ar",
}


def slowed(body: str = "") -> Emission:
    """The core, which takes what comes in every other cycle."""
    ports = {f"{prefix}{wire}": "{} & odd" for prefix in TAKEN for wire in ("valid", "ready")}
    return wrapped(EMISSION, body, **ports)


@pytest.mark.parametrize("player", quick(PLAYERS, ("icarus",)))
def test_a_core_that_is_slow_to_take_is_no_fault(player):
    frames = random_frames(MODEL, 8)
    record = play(build(slowed(), player), CORE, job())
    assert first_mismatch(DeltaNetwork(MODEL).run(frames), trace_of(record, CORE)) is None


@pytest.mark.parametrize("port", quick({port: port for port in DRIVEN}, ("s_axil_wdata",)))
def test_a_bench_that_changes_what_it_offers_is_rejected(port):
    """In Icarus Verilog can force an input to what nobody has driven."""
    channel = DRIVEN[port]
    prefix = next(prefix for prefix in TAKEN if port.startswith(prefix))
    width = next(p["width"] for p in EMISSION.manifest["ports"] if p["name"] == port)
    body = f"""
        reg [{width - 1}:0] wrong;
        always @(posedge clk) if (!rst & {prefix}valid & !{prefix}ready) begin
            #1 wrong = ~{port};
            force {port} = wrong;
        end
    """
    simulation = build(slowed(body), SIMULATORS["icarus"])
    with pytest.raises(RuntimeError, match=rf"{story(channel)}: {port} was "):
        play(simulation, CORE, job())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong", "channel"),
    [
        ("if (stream_.valid && !taken_) return;", "", "s_axis"),
        ("if (address_taken_) core_.s_axil_awvalid", "core_.s_axil_awvalid", "s_axil aw"),
        ("if (data_taken_)", "core_.s_axil_wdata += 1; if (data_taken_)", "s_axil w"),
        ("if (asked_taken_) core_.s_axil_arvalid", "core_.s_axil_arvalid", "s_axil ar"),
    ],
)
def test_a_harness_that_changes_what_it_offers_is_rejected(right, wrong, channel, monkeypatch):
    text = sim.fast.harness.harness_source()
    assert text.count(right) == 1
    monkeypatch.setattr(sim.fast.harness, "harness_source", lambda: text.replace(right, wrong))
    with pytest.raises(RuntimeError, match=story(channel)):
        play(build(slowed(), Harness()), CORE, job())


def story(channel: str) -> str:
    return rf"failed: .*{channel} changed while it waited for ready: cycle \d+"
