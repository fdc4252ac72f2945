// SB_PLL40_PAD for simulation, which Yosys has as a black box only: the clock as it comes, good after
// some cycles. Dividers are not modelled; a bench's clock is the one behind the PLL.
module SB_PLL40_PAD(input PACKAGEPIN, output PLLOUTGLOBAL, output LOCK, input BYPASS, input RESETB);
  parameter FEEDBACK_PATH = "SIMPLE";
  parameter DIVR = 4'b0000;
  parameter DIVF = 7'b0000000;
  parameter DIVQ = 3'b000;
  parameter FILTER_RANGE = 3'b000;
  reg [3:0] cycles = 0;
  assign PLLOUTGLOBAL = PACKAGEPIN;
  assign LOCK = &cycles;
  always @(posedge PACKAGEPIN)
    if (!RESETB) cycles <= 0;
    else if (!LOCK) cycles <= cycles + 1;
endmodule
