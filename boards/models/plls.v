// PLLs for simulation, which Yosys has as black boxes only: the clock as it comes, good after some
// cycles. Dividers are not modelled; a bench's clock is the one behind the PLL.
module pll_lock(input clk, input reset, output lock);
  reg [3:0] cycles = 0;
  assign lock = &cycles;
  always @(posedge clk)
    if (reset) cycles <= 0;
    else if (!lock) cycles <= cycles + 1;
endmodule

module SB_PLL40_CORE(
  input REFERENCECLK, BYPASS, RESETB, EXTFEEDBACK, LATCHINPUTVALUE, SDI, SCLK,
  input [7:0] DYNAMICDELAY,
  output PLLOUTCORE, PLLOUTGLOBAL, LOCK, SDO
);
  parameter FEEDBACK_PATH = "SIMPLE";
  parameter DELAY_ADJUSTMENT_MODE_FEEDBACK = "FIXED";
  parameter DELAY_ADJUSTMENT_MODE_RELATIVE = "FIXED";
  parameter PLLOUT_SELECT = "GENCLK";
  parameter SHIFTREG_DIV_MODE = 1'b0;
  parameter FDA_FEEDBACK = 4'b0000;
  parameter FDA_RELATIVE = 4'b0000;
  parameter DIVR = 4'b0000;
  parameter DIVF = 7'b0000000;
  parameter DIVQ = 3'b000;
  parameter FILTER_RANGE = 3'b000;
  parameter ENABLE_ICEGATE = 1'b0;
  parameter TEST_MODE = 1'b0;
  assign PLLOUTCORE = REFERENCECLK;
  assign PLLOUTGLOBAL = REFERENCECLK;
  pll_lock lock(REFERENCECLK, !RESETB, LOCK);
endmodule

// nextpnr's form of it. Its clock goes to the global buffers over wires of their own, which are not
// in nextpnr's netlist (boards/flow/unsaid.py).
module ICESTORM_PLL(input REFERENCECLK, BYPASS, RESETB, output LOCK);
  parameter DELAY_ADJMODE_FB = 0;
  parameter DELAY_ADJMODE_REL = 0;
  parameter DIVR = 0;
  parameter DIVF = 0;
  parameter DIVQ = 0;
  parameter ENABLE_ICEGATE_PORTA = 0;
  parameter ENABLE_ICEGATE_PORTB = 0;
  parameter FDA_FEEDBACK = 0;
  parameter FDA_RELATIVE = 0;
  parameter FEEDBACK_PATH = 0;
  parameter FILTER_RANGE = 0;
  parameter PLLOUT_SELECT_A = 0;
  parameter PLLOUT_SELECT_B = 0;
  parameter PLLTYPE = 0;
  parameter SHIFTREG_DIVMODE = 0;
  parameter TEST_MODE = 0;
  pll_lock lock(REFERENCECLK, !RESETB, LOCK);
endmodule

module EHXPLLL(
  input CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG,
  input PLLWAKESYNC, ENCLKOP,
  output CLKOP, CLKOS, LOCK
);
  parameter PLLRST_ENA = "DISABLED";
  parameter INTFB_WAKE = "DISABLED";
  parameter STDBY_ENABLE = "DISABLED";
  parameter DPHASE_SOURCE = "DISABLED";
  parameter OUTDIVIDER_MUXA = "DIVA";
  parameter CLKOP_ENABLE = "ENABLED";
  parameter CLKI_DIV = 1;
  parameter CLKFB_DIV = 1;
  parameter CLKOP_DIV = 1;
  parameter CLKOP_CPHASE = 0;
  parameter CLKOP_FPHASE = 0;
  parameter CLKOS_ENABLE = "DISABLED";
  parameter CLKOS_DIV = 1;
  parameter CLKOS_CPHASE = 0;
  parameter CLKOS_FPHASE = 0;
  parameter FEEDBK_PATH = "CLKOP";
  assign CLKOP = CLKI;
  assign CLKOS = CLKI;
  pll_lock lock(CLKI, RST, LOCK);
endmodule
