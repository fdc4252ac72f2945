// Cells of nextpnr's netlists for the ECP5 of which Yosys has no models: a clock's way to its tree, and
// the half of a slice through which a distributed memory's writes come.
module DCCA(input CLKI, CE, output CLKO);
  assign CLKO = CLKI;
endmodule

module TRELLIS_RAMW(
  input A0, B0, C0, D0, A1, B1, C1, D1,
  output WADO0, WADO1, WADO2, WADO3, WDO0, WDO1, WDO2, WDO3
);
  assign {WADO3, WADO2, WADO1, WADO0} = {A0, C0, B0, D0};
  assign {WDO3, WDO2, WDO1, WDO0} = {B1, D1, A1, C1};
endmodule
