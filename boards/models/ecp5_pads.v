// Cells of ECP5 that LiteDRAM's controller has in its text.
module IFS1P3BX(input D, input SCLK, input SP, input PD, output reg Q);
  always @(posedge SCLK) if (SP) Q <= D;
endmodule
module OFS1P3BX(input D, input SCLK, input SP, input PD, output reg Q);
  always @(posedge SCLK) if (SP) Q <= D;
endmodule
module FD1S3BX(input D, input CK, input PD, output reg Q);
  initial Q = 1'b1;
  always @(posedge CK) Q <= D | PD;
endmodule
module TRELLIS_IO #(parameter DIR = "") (inout B, input I, input T, output O);
  assign B = T ? 1'bz : I;
  assign O = B;
endmodule
