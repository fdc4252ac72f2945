// Pins, those that are always inputs or always outputs without a driver that lets go; an iCE40's with
// and without registers, and with one for each edge of the clock.
module SB_IO(
  inout PACKAGE_PIN,
  input LATCH_INPUT_VALUE, CLOCK_ENABLE, INPUT_CLK, OUTPUT_CLK, OUTPUT_ENABLE, D_OUT_0, D_OUT_1,
  output D_IN_0, D_IN_1
);
  parameter [5:0] PIN_TYPE = 6'b000000;
  parameter IO_STANDARD = "SB_LVCMOS";
  parameter [0:0] PULLUP = 1'b0;
  reg first, second, enabled, high, came;
  initial {first, second, enabled, high, came} = 0;
  always @(posedge OUTPUT_CLK) begin
    first <= D_OUT_0;
    enabled <= OUTPUT_ENABLE;
    high <= 1'b1;
  end
  always @(negedge OUTPUT_CLK) begin
    second <= D_OUT_1;
    high <= 1'b0;
  end
  always @(posedge INPUT_CLK) came <= PACKAGE_PIN;
  generate
    if (PIN_TYPE[5:2] == 4'b1101) assign PACKAGE_PIN = enabled ? first : 1'bz;
    else if (PIN_TYPE[5:2] == 4'b1100) assign PACKAGE_PIN = high ? first : second;
    else if (PIN_TYPE[5:2] != 0) assign PACKAGE_PIN = D_OUT_0;
    if (PIN_TYPE[1:0] == 2'b00) assign D_IN_0 = came;
    else assign D_IN_0 = PACKAGE_PIN;
  endgenerate
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
