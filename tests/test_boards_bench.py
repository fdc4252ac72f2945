"""Whole boards against golden, with partners from another hand on their UART and their flash."""

import numpy as np
import pytest

from boards.family.targets import TARGETS
from boards.flow.design import TOP, design
from boards.link.protocol import Flag
from deltarnn.demo import held_out
from golden.network import DeltaNetwork
from golden.parameters import CoreParameters
from hw.bus.registers import register_map
from hw.emit.verilog import emit
from tests.board_player import ADDRESS, BoardBench
from tests.networks import random_frames, random_model

pytestmark = pytest.mark.slow
DIVISOR = 4

# The board as it is, and beside it the flash that it boots from, or none.
BENCH = f"""
`timescale 1ns/1ps
module bench(input clk, input rst, input rx, output tx);
  wire cs_n, sck, copi;
  wire [3:0] io;
  assign io[0] = copi;
  {TOP} board(.clk(clk), .rst(rst), .rx(rx), .tx(tx)
`ifdef FLASH
    , .flash_cs_n(cs_n), .flash_sck(sck), .flash_copi(copi), .flash_cipo(io[1]));
  qspi_flash #(.MEM_DEPTH(262144)) flash(.clk(sck), .csb(cs_n), .io(io));
`else
    );
`endif
endmodule
"""


SMALL = random_model((4, 5), 3, theta=(2, 2))  # so that what is tried is the board


def on_board(model, lanes, *, flash):
    """A bench of a model on a UP5K board, with a flash or without."""
    core = CoreParameters(model.parameters, lanes)
    choice = TARGETS["up5k"]
    emission = emit(core, model, choice.target)
    # A slow clock, for which a flash wakes up in few cycles.
    made = design(core, model, emission, 1.0, round(1e6 / DIVISOR), ADDRESS if flash else None)
    texts = made.verilog() | {"models.v": choice.cells.models(), "bench.v": BENCH}
    return BoardBench(made, texts, DIVISOR, flash=flash)


def outputs_of(model, frames):
    return DeltaNetwork(model).run(frames).outputs


def test_power_up_a_hundred_real_frames_and_new_thresholds_on_the_way(tmp_path):
    model, utterances, _ = held_out()
    frames = np.concatenate(utterances)[:100]
    board = on_board(model, 8, flash=True)
    address = {register.name: register.address for register in register_map(model.parameters)}
    golden = DeltaNetwork(model)
    # Up to as many as a packet holds.
    pieces = [(0, 7), (7, 8), (8, 35), (35, 36), (36, 63), (63, 90), (90, 100)]
    assert board.design.link.frames == 27
    settings = {8: (5, 3), 36: (0, 0), 63: (255, 1)}
    steps, outputs, events = [], [], []
    for low, high in pieces:
        if low in settings:
            # Those of x: a new one of h is first seen a frame later (tests/test_sim_bus.py).
            golden.layers[0].theta_x, golden.layers[1].theta_x = settings[low]
            for k, theta in enumerate(settings[low]):
                steps.append(["write", address[f"THETA_X_{k}"], theta])
        steps.append(["frames", low, high])
        trace = golden.run(frames[low:high])
        outputs += trace.outputs.tolist()
        events.append(
            [
                int(trace.events_x[:, 0].sum()),
                int(trace.events_h[:, 0].sum()),
                int(trace.events_x[:, 1].sum()),
            ]
        )
    found = board.play("frames", tmp_path, {"steps": steps, "patience": 3000}, frames=frames)
    assert found["flags"] == 1 << Flag.LOADS
    assert found["retries"] == 0
    assert found["outputs"] == outputs
    counted = np.array(found["counters"])
    assert counted[:, 0].tolist() == [high for _, high in pieces]
    assert np.diff(counted[:, 2:], axis=0, prepend=0).tolist() == events


def test_seven_hundred_damaged_exchanges(tmp_path):
    """Nothing hangs the board, no frame is run twice or not at all, no answer is wrong."""
    frames = random_frames(SMALL, 700, moving=0.4)
    arrays = {"frames": frames, "outputs": outputs_of(SMALL, frames)}
    found = on_board(SMALL, 2, flash=False).play("damaged_lines", tmp_path, {"seed": 1}, **arrays)
    assert sum(found["counts"].values()) == 700
    assert found["wrong"] == []
    assert found["retries"] > 300  # damage was done
    assert found["flags"] >> Flag.DROPPED & 1


def test_forty_damaged_flash_images(tmp_path):
    """Each is flagged, none answers a frame, and the host can load the weights instead."""
    frames = random_frames(SMALL, 1)
    job = {"seed": 2, "count": 40}
    arrays = {"frames": frames, "outputs": outputs_of(SMALL, frames)}
    found = on_board(SMALL, 2, flash=True).play("damaged_flash", tmp_path, job, **arrays)
    assert sum(found["counts"].values()) == 40
    assert (found["unflagged"], found["answered"], found["recovered"]) == (0, 0, 10)
