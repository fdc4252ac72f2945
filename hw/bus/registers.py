"""The register map of a core: the one list for hardware, manifest, C header and benches."""

from dataclasses import dataclass

from golden.errors import refusal
from golden.parameters import NetworkParameters

IDENTITY = 0x44524E4E  # "DRNN"
INTERFACE_VERSION = (0, 2, 0)
LAYER_BASE = 0x100
LAYER_STRIDE = 0x10
ADDRESS_WIDTH = 12
WORD = 0xFFFFFFFF  # the greatest value of a register

CONTROL, STATUS, LANES = 0x08, 0x0C, 0x10
# Bits of CONTROL and STATUS; the C header has all names that begin so.
CONTROL_RESET_STATE, CONTROL_CLEAR_COUNTERS = 0, 1
STATUS_ACTIVE, STATUS_RESETTING, STATUS_UNLOADED, STATUS_LEARNING = 0, 1, 2, 3
STATUS_FRAME_SHORT, STATUS_FRAME_LONG, STATUS_LOAD_BROKEN, STATUS_STREAM_WRONG = 8, 9, 10, 11
STATUS_TAPE_FULL, STATUS_LABEL_UNKNOWN, STATUS_SATURATED = 12, 13, 14
TRAIN_RECORD, TRAIN_READOUT_ONLY = 0, 1
MASTER_LANE_BITS = 10  # of MASTER_INDEX: a core has at most 1024 lanes


@dataclass(frozen=True)
class Register:
    """One 32-bit register: byte address, access and meaning."""

    name: str
    address: int
    access: str
    description: str


TRAINING_STATUS = (
    "; bit 3 a sequence is being learned, or waits to be; write 1 to clear: bit 12 a sequence was "
    "dropped that the tape has not all of, bit 13 one whose label was not known, bit 14 a master "
    "moved to an end of its range"
)
TRAINING = [
    (
        "TRAIN",
        0x30,
        "rw",
        "bit 0 frames are recorded, and no layer is skipped; bit 1 only the read-out learns; for "
        "between two sequences",
    ),
    (
        "LABEL",
        0x34,
        "wo",
        "ends the sequence of the frames that were taken: its class. It is "
        "learned, and the state is reset. While STATUS says bit 3 a write does nothing",
    ),
    (
        "ERROR",
        0x38,
        "wo",
        "in place of LABEL: the error of the next result, in error LSBs. That of "
        "the last one ends the sequence",
    ),
    (
        "RATE",
        0x3C,
        "rw",
        "learning rate 2^(RATE - 11), 1 to 8, or none, 0; greater values act as 8",
    ),
    (
        "KNOWN",
        0x40,
        "rw",
        "classes that are known, the first ones; others act as the nearest that there may be",
    ),
    ("LAMBDA", 0x44, "rw", "the cost of deltas, in error LSBs; greater values act as 4095"),
    ("DECIDED", 0x48, "ro", "the class that the last sequence's results decided"),
    ("SEQUENCES", 0x4C, "ro", "sequences learned, modulo 2^32"),
    (
        "LEARNING_LO",
        0x50,
        "ro",
        "cycles of learning, from a sequence's last frame to the reset of "
        "the state; reading them latches LEARNING_HI",
    ),
    ("LEARNING_HI", 0x54, "ro", "bits 47:32 of these"),
    ("MASTER_INDEX", 0x58, "rw", "a master: bits 9:0 the lane, bits 31:10 the word"),
    (
        "MASTER",
        0x5C,
        "rw",
        "that master, and on to the next one; SLVERR while a frame is under way "
        "or a sequence is being learned",
    ),
]


def register_map(network: NetworkParameters, *, trains: bool = False) -> tuple[Register, ...]:
    """All registers of a core for ``network``, by address. Any other address answers SLVERR.

    ``trains``: those of learning are among them.

    Raises ValueError for more layers than there are addresses.
    """
    most = ((1 << ADDRESS_WIDTH) - LAYER_BASE) // LAYER_STRIDE
    if len(network.layers) > most:
        raise refusal("layers", len(network.layers), f"at most {most} in one core")
    fixed = [
        ("ID", 0x00, "ro", "0x44524E4E, 'DRNN'"),
        ("VERSION", 0x04, "ro", "interface version: major, minor, patch in bits 23:16, 15:8, 7:0"),
        (
            "CONTROL",
            CONTROL,
            "wo",
            "write 1: bit 0 resets the state once the frames that have begun are done, "
            "bit 1 clears all counters, which is for when no frame is under way; reads 0",
        ),
        (
            "STATUS",
            STATUS,
            "rw1c",
            "bit 0 a frame is under way, bit 1 a state reset is asked for or under way, bit 2 the "
            "weights are yet to be loaded; write 1 to clear: bit 8 a frame ended early, bit 9 a "
            "frame ended late, bit 10 a load of weights had another length, bit 11 a frame had the "
            "tid of a stream whose turn it was not" + (TRAINING_STATUS if trains else ""),
        ),
        ("LANES", LANES, "ro", "lanes"),
        ("LAYERS", 0x14, "ro", "layers"),
        ("FRAMES", 0x18, "ro", "frames of each stream begun, modulo 2^32"),
        ("CYCLES_LO", 0x20, "ro", "cycles with a frame under way; reading them latches CYCLES_HI"),
        ("CYCLES_HI", 0x24, "ro", "bits 47:32 of the cycles"),
    ]
    registers = [Register(*entry) for entry in [*fixed, *(TRAINING if trains else [])]]
    for k, layer in enumerate(network.layers):
        base = LAYER_BASE + k * LAYER_STRIDE
        theta = "threshold in activation LSBs; greater values act as the greatest that fits"
        registers.append(Register(f"THETA_X_{k}", base, "rw", f"layer {k}, x: {theta}"))
        if layer.recurrent:
            registers.append(Register(f"THETA_H_{k}", base + 4, "rw", f"layer {k}, h: {theta}"))
        registers.append(
            Register(f"EVENTS_X_{k}", base + 8, "ro", f"events of x in layer {k}, modulo 2^32")
        )
        if layer.recurrent:
            registers.append(
                Register(f"EVENTS_H_{k}", base + 12, "ro", f"events of h in layer {k}, modulo 2^32")
            )
    return tuple(registers)
