import json
import subprocess
from dataclasses import replace

import pytest

from golden.parameters import CoreParameters
from hw.bus import registers
from hw.emit.c_header import c_header
from hw.emit.verilog import TOP, emit
from tests.networks import random_model

# A name that would end a comment of the one kind and continue one of the other.
MODEL = replace(random_model((3, 5, 4), 2), name="*/ /* ??/ \\")
STRICT = ["-std=c99", "-ffreestanding", "-Wall", "-Wextra", "-Werror", "-pedantic"]
NAMES = [register.name for register in registers.register_map(MODEL.parameters)]
BITS = [name for name in vars(registers) if name.startswith(("CONTROL_", "STATUS_"))]


@pytest.fixture(scope="module")
def emission():
    return emit(CoreParameters(MODEL.parameters, 4), MODEL)


@pytest.fixture
def run(emission, tmp_path):
    """What a C program says that includes the header and prints JSON, run as C or as C++."""

    def run(body: str, compiler: str = "gcc", flags: list[str] = STRICT) -> dict:
        emission.write(tmp_path)
        main = f'#include "{TOP}.h"\n#include <stdio.h>\nint main(void) {{\n{body}\nreturn 0; }}\n'
        (tmp_path / "main.c").write_text(main)
        subprocess.run([compiler, *flags, "-o", "main", "main.c"], cwd=tmp_path, check=True)
        done = subprocess.run(tmp_path / "main", capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    return run


def printed(values: dict[str, str]) -> str:
    """C that prints unsigned values as a JSON object."""
    pairs = ", ".join(f'\\"{name}\\": %llu' for name in values)
    arguments = "".join(f", (unsigned long long){value}" for value in values.values())
    return f'printf("{{{pairs}}}\\n"{arguments});'


def test_every_register_and_bit_has_its_name(run):
    names = {name: f"DELTARNN_REG_{name}" for name in NAMES}
    names |= {name: f"DELTARNN_{name}" for name in BITS}
    expected = {r.name: r.address for r in registers.register_map(MODEL.parameters)}
    expected |= {name: 1 << getattr(registers, name) for name in BITS}
    assert run(printed(names)) == expected


def test_the_models_shapes_and_formats(run):
    expected = {
        "IDENTITY": registers.IDENTITY,
        "VERSION": int.from_bytes(registers.INTERFACE_VERSION, "big"),
        "LANES": 4,
        "LAYERS": 3,
        "INPUTS": 3,
        "OUTPUTS": 2,
        "OUTPUT_WIDTH": MODEL.parameters.output_width,
        "OUTPUT_FRACTION_BITS": MODEL.parameters.output_frac,
        "ACTIVATION_FRACTION_BITS": 4,
        "STATE_FRACTION_BITS": 4,
        "GATE_FRACTION_BITS": 6,
        "READOUT_FRACTION_BITS": 8,
        "PREACTIVATION_FRACTION_BITS": 4,
        "MACS_PER_EVENT_0": 15,
        "MACS_PER_EVENT_1": 12,
        "MACS_PER_EVENT_2": 2,
        "DENSE_MACS": MODEL.parameters.weights,
    }
    for k, layer in enumerate(MODEL.parameters.layers):
        expected[f"THETA_X_{k}"] = layer.theta_x
        if layer.recurrent:
            expected[f"THETA_H_{k}"] = layer.theta_h
    assert run(printed({name: f"DELTARNN_{name}" for name in expected})) == expected


@pytest.mark.parametrize(
    ("compiler", "flags"),
    [("gcc", STRICT), ("g++", ["-x", "c++", "-Wall", "-Wextra", "-Werror", "-pedantic"])],
)
def test_the_helpers_read_and_write_the_registers(compiler, flags, run):
    """On a memory in the core's place, in which register n holds n but for those that are set."""
    body = """
    static volatile uint32_t core[1024];
    uint32_t n;
    for (n = 0; n < 1024; n++) core[n] = n;
    core[DELTARNN_REG_ID / 4] = DELTARNN_IDENTITY;
    core[DELTARNN_REG_VERSION / 4] = DELTARNN_VERSION;
    core[DELTARNN_REG_LANES / 4] = DELTARNN_LANES;
    core[DELTARNN_REG_LAYERS / 4] = DELTARNN_LAYERS;
    core[DELTARNN_REG_EVENTS_X_0 / 4] = 0xFFFFFFFFu;
    int found = deltarnn_found(core);
    deltarnn_write(core, DELTARNN_REG_LAYERS, 99);
    """
    values = {
        "found": "found",
        "found, another core": "deltarnn_found(core)",
        "cycles": "deltarnn_cycles(core)",
        "macs": "deltarnn_macs(core)",
        **{name: f"deltarnn_read(core, DELTARNN_REG_{name})" for name in NAMES},
    }
    answer = run(body + printed(values), compiler, flags)
    assert answer["found"] == 1
    assert answer["found, another core"] == 0
    assert answer["cycles"] == (0x24 // 4 << 32) + 0x20 // 4
    macs = (15, 12, 2)
    events = [name for name in NAMES if name.startswith("EVENTS_")]
    assert answer["macs"] == sum(answer[name] * macs[int(name[-1])] for name in events)
    assert answer["EVENTS_X_0"] == 0xFFFFFFFF


def test_a_threshold_that_no_register_holds_is_the_greatest_that_one_does():
    model = random_model((2, 3), theta=((10**20, 5),))
    core = CoreParameters(model.parameters, 2)
    header = c_header(emit(core, model).manifest)
    assert "#define DELTARNN_THETA_X_0 255\n" in header
    assert "#define DELTARNN_THETA_H_0 5\n" in header
