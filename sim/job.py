"""What a simulation is to do."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from golden.errors import refusal
from hw.bus.registers import ADDRESS_WIDTH

WHOLE = 0b1111  # the strobe of a write to all bytes of a register
BYTES_IN_A_ROW = [((1 << n) - 1) << first for first in range(4) for n in range(1, 5 - first)]


def merged(old: int, value: int, strobe: int) -> int:
    """What 32 bits are after a write of those bytes of ``value`` that ``strobe`` says."""
    mask = sum(0xFF << 8 * n for n in range(4) if strobe >> n & 1)
    return (old & ~mask) | (value & mask)


@dataclass
class Job:
    """What is to be done with a core, step by step, and how the buses behave meanwhile.

    Parameters
    ----------
    gaps
        Fraction of cycles in which an input offers nothing: frames, weights, what accesses
        registers.
    pauses
        Fraction of cycles in which an output is not taken: results, what registers answer.
    seed
        What all of them are drawn from.
    unloaded
        Where the core's weights must be loaded: the job begins without them, and loads them itself.
    streams
        C: the job's frames are those of so many streams in turn.
    """

    gaps: float = 0.0
    pauses: float = 0.0
    seed: int = 1
    unloaded: bool = False
    streams: int = 1
    steps: list[list[Any]] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def frames(self, frames: np.ndarray) -> "Job":
        """Sends frames [T, n] back to back; n may be wrong on purpose."""
        return self._step("frames", self._keep(np.asarray(frames)))

    def rounds(self, frames: np.ndarray) -> "Job":
        """Sends frames [T, C, n], of C streams in turn, back to back."""
        return self.frames(frames.reshape(-1, frames.shape[2]))

    def load(self, weights: bytes) -> "Job":
        """Sends weights, right or wrong ones, when all frames so far have been taken.

        The step is over when the core has taken them all.
        """
        return self._step("load", self._keep(np.frombuffer(weights, dtype=np.uint8)))

    def loaded_first(self, weights: bytes) -> "Job":
        """The same job with ``weights`` loaded before its first step."""
        job = replace(self, steps=list(self.steps), arrays=dict(self.arrays)).load(weights)
        job.steps.insert(0, job.steps.pop())
        return job

    @property
    def loads(self) -> list[np.ndarray]:
        """What its load steps send."""
        return [self.arrays[step[1]] for step in self.steps if step[0] == "load"]

    def reset(self) -> "Job":
        """Asks for a state reset when all frames so far have been taken."""
        return self._step("reset")

    def write(self, address: int, value: int, strobe: int = WHOLE) -> "Job":
        """Writes a register when all frames so far have been taken; gives one reply.

        ``strobe`` says which of its four bytes are written: some in a row.
        """
        return self._step("write", _word_address(address), value, _in_a_row(strobe))

    def write_at_once(self, address: int, value: int) -> "Job":
        """Writes a register though frames may be on their way; gives one reply."""
        return self._step("write_at_once", _word_address(address), value, WHOLE)

    def wait(self, cycles: int) -> "Job":
        """Lets ``cycles`` go by."""
        return self._step("wait", cycles)

    def read(self, address: int) -> "Job":
        """Reads a register; gives one reply."""
        return self._step("read", _word_address(address))

    def settle(self) -> "Job":
        """Waits until the results of all frames so far are out."""
        return self._step("settle")

    def _keep(self, array: np.ndarray) -> str:
        key = f"array_{len(self.arrays)}"
        self.arrays[key] = array
        return key

    def _step(self, *words: Any) -> "Job":
        self.steps.append(list(words))
        return self


def _in_a_row(strobe: int) -> int:
    if strobe not in BYTES_IN_A_ROW:
        raise refusal("strobe", strobe, "bytes 0 to 3, some in a row")
    return strobe


def _word_address(address: int) -> int:
    if address % 4 or not 0 <= address < 1 << ADDRESS_WIDTH:
        raise refusal("address", address, f"a multiple of 4 below {1 << ADDRESS_WIDTH}")
    return address
