"""A processor that is emulated: a program's results, and how many instructions it takes."""

import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deltarnn.bench.cortex_m.sources import Program, sources
from golden.files import temporary_folder
from golden.fixed import Integers
from golden.model import Model

HERE = Path(__file__).parent
FLAGS = ("-std=c99", "-O3", "-ffreestanding", "-Wall", "-Wextra", "-Werror")
FLASH, MEMORY = 0, 0x2000_0000
SIZE = 1 << 20  # bytes of either; no network of the bench comes near it
STOP = FLASH + SIZE - 4  # where a call returns to: there is no code
LOADED = 1  # the kind of an ELF file's part that goes into memory


@dataclass(frozen=True)
class Processor:
    """A processor.

    Attributes
    ----------
    compiler, emulator
        Their names of it.
    clocks
        MHz of chips that are sold.
    whole
        Whether it multiplies 64 bits by itself; else the compiler's library does.
    """

    name: str
    compiler: str
    emulator: str
    clocks: tuple[int, ...]
    whole: bool


M0_PLUS = Processor("Cortex-M0+", "cortex_m0plus", "UC_CPU_ARM_CORTEX_M0", (133,), whole=False)
M4 = Processor("Cortex-M4", "cortex_m4", "UC_CPU_ARM_CORTEX_M4", (64, 120), whole=True)


def compiled(program: Program, model: Model, processor: Processor) -> bytes:
    """The ELF file of ``program`` for ``model``; RuntimeError with what the compiler said."""
    with temporary_folder() as folder:
        for name, text in sources(program, model).items():
            (folder / name).write_text(text, encoding="ascii")
        output = folder / "program"
        target = ("--target=thumb-freestanding-eabi", f"-mcpu={processor.compiler}")
        paths = (f"-I{folder}", f"-I{HERE}", f"-Wl,-T,{HERE / 'layout.ld'}", "-o", str(output))
        library = ("-nostdlib",) if processor.whole else ()
        zig = (sys.executable, "-m", "ziglang", "cc")
        command = [*zig, *target, *FLAGS, *library, *paths, str(HERE / program.source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"zig cc: {done.stderr}")
        return output.read_bytes()


class Machine:
    """A processor with a program of ``model`` in its memory, reset.

    The table of program.h says what is called and read.
    """

    def __init__(self, elf: bytes, processor: Processor, model: Model) -> None:
        import unicorn
        from unicorn import arm_const

        mode = unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS
        self._core = unicorn.Uc(unicorn.UC_ARCH_ARM, mode)  # type: ignore[reportPrivateImportUsage]
        self._core.ctl_set_cpu_model(getattr(arm_const, processor.emulator))
        self._sp, self._lr = arm_const.UC_ARM_REG_SP, arm_const.UC_ARM_REG_LR
        for start in (FLASH, MEMORY):
            self._core.mem_map(start, SIZE)
        for address, data in parts(elf):
            self._core.mem_write(address, data)
        self._executed = 0
        self._core.hook_add(unicorn.UC_HOOK_CODE, self._count)
        table = struct.unpack("<7I", self._core.mem_read(FLASH, 28))
        self._reset, self._frame, self._x, results, kept, result_bytes, kept_bytes = table
        network = model.parameters
        self._results = results, result_bytes, network.outputs
        self._kept = kept, kept_bytes, network.recurrent[-1].units
        self.reset()

    def reset(self) -> None:
        """Begins a recording."""
        self._call(self._reset)

    def frame(self, x: Integers) -> tuple[Integers, Integers, int]:
        """Results, what the last recurrent layer keeps, and instructions of a frame int [I]."""
        before = self._executed
        self._core.mem_write(self._x, x.astype("i1").tobytes())
        self._call(self._frame)
        return self._read(*self._results), self._read(*self._kept), self._executed - before

    def _count(self, *_: Any) -> None:
        self._executed += 1

    def _call(self, function: int) -> None:
        self._core.reg_write(self._sp, MEMORY + SIZE)
        self._core.reg_write(self._lr, STOP | 1)
        self._core.emu_start(function | 1, STOP)

    def _read(self, address: int, width: int, count: int) -> Integers:
        data = bytes(self._core.mem_read(address, width * count))
        return np.frombuffer(data, f"<i{width}").astype(np.int64)


def parts(elf: bytes) -> list[tuple[int, bytes]]:
    """Address and bytes of all that goes from a 32-bit ELF file into memory."""
    (offset,) = struct.unpack_from("<I", elf, 28)
    size, count = struct.unpack_from("<2H", elf, 42)
    headers = [struct.unpack_from("<5I", elf, offset + size * n) for n in range(count)]
    return [(to, elf[at : at + length]) for kind, at, to, _, length in headers if kind == LOADED]
