"""The ladder of Neil et al. (ICML 2017): what training knows of the delta network."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """Which of the recipe's means the second part of training, after the float network's, uses.

    Parameters
    ----------
    rounds
        The arithmetic of the core; without it there is no second part.
    noise
        Gaussian noise on what neurons see, in place of the thresholds that will be there.
    deltas
        The thresholds themselves.
    cost
        An L1 cost on the deltas.
    """

    rounds: bool = False
    noise: bool = False
    deltas: bool = False
    cost: bool = False


METHODS = {
    "plain": Method(),
    "rounded": Method(rounds=True),
    "noisy": Method(rounds=True, noise=True),
    "delta": Method(rounds=True, deltas=True),
    "sparse": Method(rounds=True, deltas=True, cost=True),
}
