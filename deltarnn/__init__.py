"""Delta recurrent networks on small FPGAs: bit-exact RTL from a trained GRU or LSTM."""

from deltarnn.api import Network, convert, load

__all__ = ["Network", "convert", "load"]
