"""The recurrent cells there are, by the kind of layer."""

from hw.cell import Cell
from hw.gru import GRUCell
from hw.lstm import LSTMCell

CELLS: dict[str, type[Cell]] = {"gru": GRUCell, "lstm": LSTMCell}
