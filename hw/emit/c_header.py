"""The manifest as a C header, for software on a processor beside the core."""

from typing import Any

from hw.bus import registers

_TEXT = """\
#ifndef DELTARNN_CORE_H
#define DELTARNN_CORE_H

#include <stdint.h>

// What a core of this kind answers at ID and VERSION.
#define DELTARNN_IDENTITY 0x{identity:08X}u
#define DELTARNN_VERSION 0x{version:06X}u

// Shapes; widths and formats in bits.
{shapes}

// The model's thresholds in activation LSBs, which the core has after reset.
{thresholds}

// Byte addresses of the 32-bit registers, from the core's base.
{addresses}

// Bits of registers.
{bits}

static inline uint32_t deltarnn_read(const volatile uint32_t *base, uint32_t address)
{{
    return base[address / 4u];
}}

static inline void deltarnn_write(volatile uint32_t *base, uint32_t address, uint32_t value)
{{
    base[address / 4u] = value;
}}

// Whether a core of this version, with these lanes and layers, is there.
static inline int deltarnn_found(const volatile uint32_t *base)
{{
    return deltarnn_read(base, DELTARNN_REG_ID) == DELTARNN_IDENTITY
        && deltarnn_read(base, DELTARNN_REG_VERSION) == DELTARNN_VERSION
        && deltarnn_read(base, DELTARNN_REG_LANES) == DELTARNN_LANES
        && deltarnn_read(base, DELTARNN_REG_LAYERS) == DELTARNN_LAYERS;
}}

// 48 bits: the low word first, because reading it latches the high one.
static inline uint64_t deltarnn_cycles(const volatile uint32_t *base)
{{
    const uint32_t low = deltarnn_read(base, DELTARNN_REG_CYCLES_LO);
    return (uint64_t)deltarnn_read(base, DELTARNN_REG_CYCLES_HI) << 32 | low;
}}

// Multiplications done since the counters were cleared; a dense network does FRAMES *
// DELTARNN_STREAMS * DELTARNN_DENSE_MACS. Right as long as no EVENTS register has counted 2^32
// events: clear the counters before, or add up what is read now and then and clear them each time.
static inline uint64_t deltarnn_macs(const volatile uint32_t *base)
{{
    uint64_t macs = 0;
{macs}
    return macs;
}}

#endif
"""


def c_header(manifest: dict[str, Any]) -> str:
    """The header of the core that ``manifest`` describes: freestanding C99, also C++."""
    major, minor, patch = registers.INTERFACE_VERSION
    layers = manifest["layers"]
    shapes = {
        "LANES": manifest["lanes"],
        "LAYERS": len(layers),
        "STREAMS": manifest["streams"],
        "INPUTS": manifest["input"]["elements"],
        "OUTPUTS": manifest["output"]["results"],
        "OUTPUT_WIDTH": manifest["output"]["width"],
        "OUTPUT_FRACTION_BITS": manifest["output"]["fraction_bits"],
    }
    for name, q in manifest["formats"].items():
        shapes[f"{name.upper()}_FRACTION_BITS"] = q.partition(".")[2]
    for k, layer in enumerate(layers):
        shapes[f"MACS_PER_EVENT_{k}"] = layer["macs_per_event"]
    columns = [k["inputs"] + (0 if k["theta_h"] is None else k["units"]) for k in layers]
    dense = sum(n * k["macs_per_event"] for n, k in zip(columns, layers, strict=True))
    shapes["DENSE_MACS"] = dense
    # As a register holds them: any greater value acts as the greatest that fits, and need not be
    # one that C has a type for.
    m, f = map(int, manifest["input"]["format"].removeprefix("Q").split("."))
    most = (1 << (1 + m + f)) - 1
    thresholds = {
        f"{theta.upper()}_{k}": min(layer[theta], most)
        for k, layer in enumerate(layers)
        for theta in ("theta_x", "theta_h")
        if layer[theta] is not None
    }
    counters = [r["name"] for r in manifest["registers"] if r["name"].startswith("EVENTS_")]
    names = ("CONTROL_", "STATUS_", *(["TRAIN_"] if "training" in manifest else []))
    bits = {k: v for k, v in vars(registers).items() if k.startswith(names)}
    return _TEXT.format(
        identity=registers.IDENTITY,
        version=major << 16 | minor << 8 | patch,
        shapes=_defines(shapes),
        thresholds=_defines(thresholds),
        addresses="\n".join(
            f"#define DELTARNN_REG_{r['name']} 0x{r['address']:03X}u "
            f"// {r['access']}: {r['description']}"
            for r in manifest["registers"]
        ),
        bits=_defines({name: f"(1u << {bit})" for name, bit in bits.items()}),
        macs="\n".join(
            f"    macs += (uint64_t)deltarnn_read(base, DELTARNN_REG_{name})"
            f" * DELTARNN_MACS_PER_EVENT_{name.rpartition('_')[2]};"
            for name in counters
        ),
    )


def _defines(values: dict[str, Any]) -> str:
    return "\n".join(f"#define DELTARNN_{name} {value}" for name, value in values.items())
