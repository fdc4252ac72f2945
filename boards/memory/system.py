"""A core with its weights in an SDRAM: LiteDRAM's controller joined to it, and the chips' pins."""

from boards.memory.litedram import Controller
from boards.memory.sdram import SdramColumns
from golden.errors import refusal
from hw.emit.enclosed import MEMORY, enclosed
from hw.emit.verilog import Emission, converted

LANES = 2  # two weights are the 16 bits of a word
_NAME = "deltarnn_sdram_columns"
# The chips' pins but for their clock, and what is to be known of the memory.
PINS = (
    {"name": "sdram_a", "direction": "out", "width": 13},
    {"name": "sdram_ba", "direction": "out", "width": 2},
    {"name": "sdram_cas_n", "direction": "out", "width": 1},
    {"name": "sdram_cke", "direction": "out", "width": 1},
    {"name": "sdram_cs_n", "direction": "out", "width": 1},
    {"name": "sdram_dm", "direction": "out", "width": 2},
    {"name": "sdram_dq", "direction": "io", "width": 16},
    {"name": "sdram_ras_n", "direction": "out", "width": 1},
    {"name": "sdram_we_n", "direction": "out", "width": 1},
)
SAID = (
    {"name": "memory_ready", "direction": "out", "width": 1},
    {"name": "memory_failed", "direction": "out", "width": 1},
)

_BODY = """\
  wire [24:0] command;
  wire command_valid, command_ready, come_valid, given_ready;
  wire [15:0] come, given;
  wire [29:0] control;
  wire [31:0] control_value;
  wire control_cycle, control_ack;
  {name} columns (
    .clk(clk), .rst(rst),
    .columns__request__payload({{m_columns_tdata[33 +: {count}], m_columns_tdata[1 +: {address}]}}),
    .columns__request__valid(m_columns_tvalid), .columns__request__ready(m_columns_tready),
    .columns__word__payload(s_columns_tdata), .columns__word__valid(s_columns_tvalid),
    .columns__word__ready(s_columns_tready), {fill},
    .port__cmd__payload(command), .port__cmd__valid(command_valid),
    .port__cmd__ready(command_ready), .port__wdata(given), .port__wready(given_ready),
    .port__rdata(come), .port__rvalid(come_valid),
    .control_address(control), .control_value(control_value), .control_cycle(control_cycle),
    .control_ack(control_ack), .ready(memory_ready), .failed(memory_failed)
  );
  litedram_core controller (
    .clk(clk), .rst(rst), {pins},
    .user_port_n0_cmd_addr(command[23:0]), .user_port_n0_cmd_valid(command_valid),
    .user_port_n0_cmd_ready(command_ready), .user_port_n0_cmd_we(command[24]),
    .user_port_n0_rdata_data(come), .user_port_n0_rdata_valid(come_valid),
    .user_port_n0_rdata_ready(1'b1), .user_port_n0_wdata_data(given),
    .user_port_n0_wdata_ready(given_ready), .user_port_n0_wdata_valid(1'b1),
    .user_port_n0_wdata_we(2'd3),
    .wb_ctrl_adr(control), .wb_ctrl_dat_w(control_value), .wb_ctrl_cyc(control_cycle),
    .wb_ctrl_stb(control_cycle), .wb_ctrl_we(control_cycle), .wb_ctrl_ack(control_ack),
    .wb_ctrl_sel(4'hf), .wb_ctrl_bte(2'd0), .wb_ctrl_cti(3'd0)
  );
"""
_LOADED = (
    ".fill__payload({m_weights_tlast, m_weights_tdata}), .fill__valid(m_weights_tvalid), "
    ".fill__ready(m_weights_tready)"
)
_FILLED = ".fill__payload(17'd0), .fill__valid(1'b0)"


def with_sdram(emission: Emission, controller: Controller) -> Emission:
    """``emission``, of a core of two lanes with its weights outside, and its controller, as one
    core with the ports PINS and SAID.

    Where its weights are not loaded a simulated memory has them; it is not tested then. Raises
    ValueError where the core has other lanes, or no checksums.
    """
    lanes, memory = emission.manifest["lanes"], emission.manifest["memories"]["weights"]
    if lanes != LANES or not memory.get("checksums"):
        found = f"{lanes}{'' if memory.get('checksums') else ', no checksums'}"
        raise refusal("lanes of a core with an SDRAM", found, f"{LANES}, and checksums")
    longest = max(layer["bytes_per_event"] for layer in emission.manifest["layers"]) // LANES
    columns = SdramColumns(
        words=memory["words"],
        longest=longest,
        writes=controller.writes,
        filled=not memory["loaded"],
    )
    request = columns.columns.request.payload
    body = _BODY.format(
        name=_NAME,
        count=len(request.words),
        address=len(request.address),
        fill=_LOADED if memory["loaded"] else _FILLED,
        pins=", ".join(f".{pin['name']}({pin['name']})" for pin in PINS),
    )
    modules = converted(columns, _NAME) + controller.verilog
    return enclosed(emission, MEMORY, body, modules, [*PINS, *SAID])
