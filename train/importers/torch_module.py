"""A PyTorch module in memory, taken as its state_dict is."""

from typing import TYPE_CHECKING

from golden.errors import refusal
from train.importers.torch_state import network_of
from train.quantised.float_network import FloatNetwork

if TYPE_CHECKING:
    import torch


def network_in(module: "torch.nn.Module") -> FloatNetwork:
    """The recurrent layers and the read-out of ``module``, whatever lies between them.

    Raises ValueError where it is no module, or holds something that the core cannot do.
    """
    import torch  # a second to import: whoever has a module has done so

    if not isinstance(module, torch.nn.Module):
        raise refusal("network", type(module).__name__, "a torch module, or the path of a file")
    state = {
        key: value.detach().cpu().double().numpy() for key, value in module.state_dict().items()
    }
    return network_of(state, type(module).__name__, in_order=True)
