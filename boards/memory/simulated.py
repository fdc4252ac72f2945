"""A core with its weights in an SDRAM, to be simulated: controller and chips joined to it."""

from importlib.resources import files
from pathlib import Path

from boards.memory.litedram import Controller
from boards.memory.sdram import SdramColumns
from golden.errors import refusal
from hw.emit.enclosed import COLUMNS, enclosed
from hw.emit.verilog import Emission, converted

DEVICE, CHIPS, MHZ = "LFE5U-85F-6BG381C", "MT48LC16M16", 100.0  # whose times the chips' model has
LANES = 2  # two weights are the 16 bits of a word
STARTS = 50  # cycles: chips that are simulated need no 200 us to wake up
_NAME = "deltarnn_sdram_columns"

_BODY = """\
  wire [23:0] command;
  wire command_valid, command_ready, come_valid;
  wire [15:0] come, dq;
  wire [29:0] control;
  wire [31:0] control_value;
  wire control_cycle, control_ack;
  wire [12:0] a;
  wire [1:0] ba;
  wire cas_n, cke, cs_n, ras_n, we_n;
  {name} columns (
    .clk(clk), .rst(rst),
    .columns__request__payload({{m_columns_tdata[33 +: {count}], m_columns_tdata[1 +: {address}]}}),
    .columns__request__valid(m_columns_tvalid), .columns__request__ready(m_columns_tready),
    .columns__word__payload(s_columns_tdata), .columns__word__valid(s_columns_tvalid),
    .columns__word__ready(s_columns_tready),
    .port__cmd__payload(command), .port__cmd__valid(command_valid),
    .port__cmd__ready(command_ready), .port__rdata(come), .port__rvalid(come_valid),
    .control_address(control), .control_value(control_value), .control_cycle(control_cycle),
    .control_ack(control_ack)
  );
  litedram_core controller (
    .clk(clk), .rst(rst),
    .sdram_a(a), .sdram_ba(ba), .sdram_cas_n(cas_n), .sdram_cke(cke), .sdram_cs_n(cs_n),
    .sdram_dq(dq), .sdram_ras_n(ras_n), .sdram_we_n(we_n),
    .user_port_n0_cmd_addr(command), .user_port_n0_cmd_valid(command_valid),
    .user_port_n0_cmd_ready(command_ready), .user_port_n0_cmd_we(1'b0),
    .user_port_n0_rdata_data(come), .user_port_n0_rdata_valid(come_valid),
    .user_port_n0_rdata_ready(1'b1), .user_port_n0_wdata_data(16'd0),
    .user_port_n0_wdata_valid(1'b0), .user_port_n0_wdata_we(2'd0),
    .wb_ctrl_adr(control), .wb_ctrl_dat_w(control_value), .wb_ctrl_cyc(control_cycle),
    .wb_ctrl_stb(control_cycle), .wb_ctrl_we(control_cycle), .wb_ctrl_ack(control_ack),
    .wb_ctrl_sel(4'hf), .wb_ctrl_bte(2'd0), .wb_ctrl_cti(3'd0)
  );
  deltarnn_sdram #(.FILE("{file}"), .WORDS({words})) chips (
    .clk(clk), .a(a), .ba(ba), .cas_n(cas_n), .cke(cke), .cs_n(cs_n), .ras_n(ras_n),
    .we_n(we_n), .dq(dq)
  );
"""


def beside_sdram(emission: Emission, image: Path, controller: Controller) -> Emission:
    """``emission``, of a core of two lanes with its weights outside, its controller and chips that
    hold ``image`` ($readmemh reads a word of it from each line), as one core.

    Raises ValueError where the core has other lanes.
    """
    lanes = emission.manifest["lanes"]
    if lanes != LANES:
        raise refusal("lanes of a core with an SDRAM", lanes, LANES)
    words = emission.manifest["memories"]["weights"]["words"]
    longest = max(layer["bytes_per_event"] for layer in emission.manifest["layers"]) // LANES
    writes = [(address, value, min(wait, STARTS)) for address, value, wait in controller.writes]
    columns = SdramColumns(words=words, longest=longest, writes=writes)
    request = columns.columns.request.payload
    body = _BODY.format(
        name=_NAME,
        count=len(request.words),
        address=len(request.address),
        file=image,
        words=words,
    )
    models = (files("boards") / "models/sdram.v").read_text()
    modules = converted(columns, _NAME) + controller.verilog + models
    return enclosed(emission, COLUMNS, body, modules)
