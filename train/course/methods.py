"""What training knows of the delta network: the ladder of Neil et al. (ICML 2017), and training
from scratch (Chen et al., arXiv 2312.09391).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """Which of the recipe's means training in the core's arithmetic uses.

    Parameters
    ----------
    scratch
        It begins with random weights and not with a trained float network.
    rounds
        The arithmetic of the core; without it nothing follows the float network.
    noise
        Gaussian noise on what neurons see, in place of the thresholds that will be there.
    deltas
        The thresholds themselves.
    cost
        An L1 cost on the deltas.
    """

    scratch: bool = False
    rounds: bool = False
    noise: bool = False
    deltas: bool = False
    cost: bool = False


LADDER = {
    "plain": Method(),
    "rounded": Method(rounds=True),
    "noisy": Method(rounds=True, noise=True),
    "delta": Method(rounds=True, deltas=True),
    "sparse": Method(rounds=True, deltas=True, cost=True),
}
SCRATCH = {
    "dense": Method(scratch=True, rounds=True),
    "scratch": Method(scratch=True, rounds=True, deltas=True, cost=True),
}
METHODS = {**LADDER, **SCRATCH}
