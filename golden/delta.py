"""The delta encoder (docs/numerics.md; Neil et al., ICML 2017, section 3.2)."""

import numpy as np

from golden.fixed import Integers


class DeltaEncoder:
    """Sends an element of a vector only when it moved by more than a threshold.

    Parameters
    ----------
    size
        Elements of the vector.
    batch
        Independent sequences, each with a memory of its own.

    Attributes
    ----------
    memory : int64 [batch, size]
        v^, the value last sent, in LSBs; 0 at reset.
    """

    def __init__(self, size: int, batch: int = 1) -> None:
        self.memory: Integers = np.zeros((batch, size), dtype=np.int64)
        self._resends = False

    def reset(self) -> None:
        self.memory[:] = 0
        self._resends = False

    def resend(self) -> None:
        """The next ``encode`` sends v^ itself: what was made of all deltas before is void.

        Its elements fire where v^ is not 0 then (docs/training-core.md, "Chunks").
        """
        self._resends = True

    def encode(self, v: Integers, theta: int) -> Integers:
        """The deltas d = v - v^ of the elements with |d| > theta, 0 for all others.

        ``v`` and the result are int64 [batch, size]. An element fires exactly where the result is
        not 0, because |d| > theta >= 0 excludes d = 0.
        """
        d = v - self.memory
        d[np.abs(d) <= theta] = 0
        self.memory += d
        if self._resends:
            self._resends = False
            return self.memory.copy()
        return d
