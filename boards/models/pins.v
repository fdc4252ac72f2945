// Pins, those that are always inputs or always outputs without a driver that lets go.
module SB_IO(
  inout PACKAGE_PIN,
  input LATCH_INPUT_VALUE, CLOCK_ENABLE, INPUT_CLK, OUTPUT_CLK, OUTPUT_ENABLE, D_OUT_0, D_OUT_1,
  output D_IN_0, D_IN_1
);
  parameter [5:0] PIN_TYPE = 6'b000000;
  parameter IO_STANDARD = "SB_LVCMOS";
  parameter [0:0] PULLUP = 1'b0;
  generate
    if (PIN_TYPE[5:2] != 0) assign PACKAGE_PIN = D_OUT_0;
  endgenerate
  assign D_IN_0 = PACKAGE_PIN;
  assign D_IN_1 = PACKAGE_PIN;
endmodule

module SB_GB_IO(
  inout PACKAGE_PIN,
  input LATCH_INPUT_VALUE, CLOCK_ENABLE, INPUT_CLK, OUTPUT_CLK, OUTPUT_ENABLE, D_OUT_0, D_OUT_1,
  output GLOBAL_BUFFER_OUTPUT, D_IN_0, D_IN_1
);
  parameter [5:0] PIN_TYPE = 6'b000000;
  parameter IO_STANDARD = "SB_LVCMOS";
  parameter [0:0] PULLUP = 1'b0;
  assign GLOBAL_BUFFER_OUTPUT = PACKAGE_PIN;
  assign D_IN_0 = PACKAGE_PIN;
  assign D_IN_1 = PACKAGE_PIN;
endmodule

module TRELLIS_IO(inout B, input I, T, output O);
  parameter DIR = "INPUT";
  generate
    if (DIR == "OUTPUT") assign B = I;
    else if (DIR == "BIDIR") assign B = T ? 1'bz : I;
  endgenerate
  assign O = B;
endmodule

// A clock that leaves over a register of both edges; and the flash's, which leaves over a pin of the
// configuration that no netlist shows.
module ODDRX1F(input D0, D1, RST, SCLK, output Q);
  assign Q = SCLK ? D0 : D1;
endmodule

module USRMCLK(input USRMCLKI, USRMCLKTS);
endmodule
